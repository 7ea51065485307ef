import { isDeepStrictEqual } from "node:util";
import { isJsonObject } from "../payload.ts";

/**
 * RFC 7386: members of the patch replace or, when null, remove those of the target; anything that is
 * not an object replaces the whole. The target is not changed.
 */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isJsonObject(patch)) return patch;
  const merged = new Map(Object.entries(isJsonObject(target) ? target : {}));
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) merged.delete(name);
    else merged.set(name, mergePatch(merged.get(name), value));
  }
  return Object.fromEntries(merged); // defines own members, so `__proto__` is a name like any other
}

/** RFC 6901. `found` tells an absent member from one that is null. */
export function at(document: unknown, pointer: string): { found: boolean; value: unknown } {
  let value = document;
  for (const part of pointer.split("/").slice(1)) {
    const name = part.replaceAll("~1", "/").replaceAll("~0", "~");
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, name))
      return { found: false, value: null };
    value = Reflect.get(value, name);
  }
  return { found: true, value };
}

type PatchOperation =
  | { op: "add" | "replace"; path: string; value: unknown }
  | { op: "remove"; path: string };

/**
 * RFC 6902: the operations that turn one document into the other. Members are compared by name, items
 * by their place after what both ends share, so the time grows with the documents; libraries look for
 * the shortest patch, which takes minutes and gigabytes for a list of a thousand.
 */
export function patchBetween(from: unknown, to: unknown): PatchOperation[] {
  const operations: PatchOperation[] = [];
  compare(from, to, "", operations);
  return operations;
}

function compare(from: unknown, to: unknown, path: string, into: PatchOperation[]): void {
  if (isDeepStrictEqual(from, to)) return;
  if (isJsonObject(from) && isJsonObject(to)) compareMembers(from, to, path, into);
  else if (Array.isArray(from) && Array.isArray(to)) compareItems(from, to, path, into);
  else into.push({ op: "replace", path, value: to });
}

function compareMembers(
  from: Record<string, unknown>,
  to: Record<string, unknown>,
  path: string,
  into: PatchOperation[],
): void {
  const place = (name: string) => `${path}/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`;
  for (const name of Object.keys(from))
    if (!Object.hasOwn(to, name)) into.push({ op: "remove", path: place(name) });
  for (const [name, value] of Object.entries(to))
    if (Object.hasOwn(from, name)) compare(from[name], value, place(name), into);
    else into.push({ op: "add", path: place(name), value });
}

function compareItems(
  from: readonly unknown[],
  to: readonly unknown[],
  path: string,
  into: PatchOperation[],
): void {
  const shorter = Math.min(from.length, to.length);
  let head = 0;
  while (head < shorter && isDeepStrictEqual(from[head], to[head])) head += 1;
  let tail = 0;
  while (tail < shorter - head && isDeepStrictEqual(from.at(-1 - tail), to.at(-1 - tail)))
    tail += 1;
  const [fromEnd, toEnd] = [from.length - tail, to.length - tail];
  const both = Math.min(fromEnd, toEnd);
  for (let i = head; i < both; i++) compare(from[i], to[i], `${path}/${i}`, into);
  for (let i = fromEnd - 1; i >= both; i--) into.push({ op: "remove", path: `${path}/${i}` });
  for (let i = both; i < toEnd; i++) into.push({ op: "add", path: `${path}/${i}`, value: to[i] });
}
