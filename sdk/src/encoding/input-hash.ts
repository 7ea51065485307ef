import { createHash } from "node:crypto";
import { canonicalJson } from "./canonical-json.ts";
import { isPlain } from "./plain.ts";
import { write } from "./walk.ts";

/**
 * The hash by which a replayed step recognises its input: `v1:` and 64 hexadecimal digits, the
 * SHA-256 of the canonical JSON (RFC 8785) of the encoded input, followed, where the encoding has a
 * meta, by a line feed and the canonical JSON of the meta.
 *
 * Equal values have equal hashes, whatever the order of their members; so, unlike in storage, an
 * object met twice is written twice (only cycles are noted), and the stacks of errors, which name
 * lines of code, are left out. It never throws: a function, class instance, unreadable member or
 * depth over 2,000 counts as its place and its built-in type name.
 */
export function inputHash(value: unknown): string {
  return `v1:${createHash("sha256").update(canonicalText(value)).digest("hex")}`;
}

function canonicalText(value: unknown): string {
  try {
    if (isPlain(value)) return canonicalJson(value);
  } catch {
    // a getter that threw only when it was read again: the walk below reads each member once
  }
  const { tree, meta } = write(value, "compare");
  return meta === null ? canonicalJson(tree) : `${canonicalJson(tree)}\n${canonicalJson(meta)}`;
}

/**
 * The places at which two JSON values differ, as JSON Pointers (RFC 6901; `""` is the whole value),
 * at most `limit` of them, for telling a caller what changed. A member on one side only counts
 * once, at its own path. Values that differ in their meta alone have no such place.
 */
export function diffPaths(a: unknown, b: unknown, limit = 20): string[] {
  const paths: string[] = [];
  const pairs: { readonly path: Path | null; readonly a: unknown; readonly b: unknown }[] = [
    { path: null, a, b },
  ];
  for (let pair = pairs.pop(); pair !== undefined && paths.length < limit; pair = pairs.pop()) {
    const { path } = pair;
    if (!isHolder(pair.a) || !isHolder(pair.b) || Array.isArray(pair.a) !== Array.isArray(pair.b)) {
      if (pair.a !== pair.b) paths.push(pointer(path));
      continue;
    }
    const keys = new Set([...Object.keys(pair.a), ...Object.keys(pair.b)]);
    for (const key of [...keys].reverse())
      pairs.push({ path: { parent: path, key }, a: own(pair.a, key), b: own(pair.b, key) });
  }
  return paths;
}

interface Path {
  readonly parent: Path | null;
  readonly key: string;
}

function pointer(path: Path | null): string {
  const names: string[] = [];
  for (let at = path; at !== null; at = at.parent)
    names.push(`/${at.key.replaceAll("~", "~0").replaceAll("/", "~1")}`);
  return names.reverse().join("");
}

function isHolder(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}

/** Undefined, which no JSON value is, when there is no such member. */
function own(holder: Readonly<Record<string, unknown>>, key: string): unknown {
  return Object.hasOwn(holder, key) ? holder[key] : undefined;
}
