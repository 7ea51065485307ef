/** A member of a large document: where it is and how much of it there is. */
export interface Member {
  /** JSON Pointer from the value that was read. */
  readonly path: string;
  readonly kind: "object" | "array" | "string" | "number" | "boolean" | "null";
  /** Size as JSON. */
  readonly bytes: number;
}

/** The direct members of a document, the largest first: what to read when the whole does not fit. */
export function membersOf(value: unknown): Member[] {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value)
    .map(([name, member]) => ({
      path: `/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`,
      kind: kindOf(member),
      bytes: Buffer.byteLength(JSON.stringify(member) ?? "null"),
    }))
    .sort((a, b) => b.bytes - a.bytes);
}

function kindOf(value: unknown): Member["kind"] {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  return typeof value as Member["kind"];
}
