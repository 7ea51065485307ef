interface Place {
  readonly parent: Place | null;
  readonly source: Readonly<Record<string, unknown>>;
  readonly keys: readonly string[] | null;
  readonly length: number;
  next: number;
}

/**
 * The canonical text (RFC 8785) of a JSON value: members sorted by UTF-16 code units, numbers and
 * strings as ECMAScript writes them. Lone surrogates, which the RFC leaves out, are escaped
 * (`\ud800`). Ours because npm `canonicalize` throws on lone surrogates, recurses, and calls
 * `toJSON`; this one neither throws nor recurses on any tree of JSON values.
 */
export function canonicalJson(value: unknown): string {
  const out: string[] = [];
  let at = enter(null, value, out);
  while (at !== null) {
    if (at.next === at.length) {
      out.push(at.keys === null ? "]" : "}");
      at = at.parent;
      continue;
    }
    const index = at.next++;
    if (index > 0) out.push(",");
    const key = at.keys === null ? String(index) : (at.keys[index] ?? "");
    if (at.keys !== null) out.push(JSON.stringify(key), ":");
    at = enter(at, at.source[key], out) ?? at;
  }
  return out.join("");
}

/** Writes a scalar, or opens an array or object and returns the place to go on at. */
function enter(parent: Place | null, value: unknown, out: string[]): Place | null {
  if (typeof value !== "object" || value === null) {
    out.push(JSON.stringify(value) ?? "null");
    return null;
  }
  const keys = Array.isArray(value) ? null : Object.keys(value).sort();
  out.push(keys === null ? "[" : "{");
  const length = keys?.length ?? (value as readonly unknown[]).length;
  return { parent, source: value as Place["source"], keys, length, next: 0 };
}
