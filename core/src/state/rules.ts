import { createPatch } from "rfc6902";

/**
 * RFC 7386: members of the patch replace or, when null, remove those of the target; anything that is
 * not an object replaces the whole. The target is not changed.
 */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return patch;
  const merged = new Map(Object.entries(isObject(target) ? target : {}));
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

/** RFC 6902: the operations that turn one document into the other. */
export function patchBetween(from: unknown, to: unknown): Record<string, unknown>[] {
  return createPatch(from, to).map((operation) => ({ ...operation }));
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
