import { isDense, isRecord } from "./kinds.ts";
import { MAX_DEPTH } from "./meta.ts";

/**
 * True when `JSON.stringify` keeps the value whole: a tree of plain JSON at most MAX_DEPTH deep in
 * which no object stands twice. Level by level, so that no depth can exhaust the stack.
 */
export function isPlain(value: unknown): boolean {
  if (!isObject(value)) return isPlainScalar(value);
  try {
    const seen = new Set<object>();
    let level: object[] = [value];
    for (let depth = 1; level.length > 0; depth++) {
      if (depth > MAX_DEPTH) return false;
      const next: object[] = [];
      for (const holder of level) if (!gather(holder, seen, next)) return false;
      level = next;
    }
    return true;
  } catch {
    return false; // a getter or Proxy that threw: the careful walk meets it again and names its path
  }
}

/** Adds the objects in `holder` to `next`; false when something in it, or itself, is not plain. */
function gather(holder: object, seen: Set<object>, next: object[]): boolean {
  if (seen.has(holder)) return false;
  seen.add(holder);
  if ("toJSON" in holder && typeof holder.toJSON === "function") return false;
  if (Array.isArray(holder)) {
    if (!isDense(holder)) return false;
    for (const member of holder) {
      if (isObject(member)) next.push(member);
      else if (!isPlainScalar(member)) return false;
    }
    return true;
  }
  if (!isRecord(holder)) return false;
  // Cheaper than Object.keys; an inherited member is at worst one more reason to walk carefully.
  for (const key in holder) {
    const member = (holder as Readonly<Record<string, unknown>>)[key];
    if (isObject(member)) next.push(member);
    else if (!isPlainScalar(member)) return false;
  }
  return true;
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

function isPlainScalar(value: unknown): boolean {
  if (typeof value === "number") return Number.isFinite(value) && !Object.is(value, -0);
  return typeof value === "string" || typeof value === "boolean" || value === null;
}
