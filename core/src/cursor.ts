import { createHash } from "node:crypto";

/**
 * An opaque cursor: the position after the last row of a page, bound to the list's filters by a
 * short hash, so that a cursor of another list is refused instead of answering nonsense.
 */
export function writeCursor(position: readonly string[], filters: object): string {
  return Buffer.from(JSON.stringify([fingerprint(filters), ...position])).toString("base64url");
}

/** The position, or `invalid` when the cursor is not one of this list with these filters. */
export function readCursor(cursor: string, filters: object): string[] | "invalid" {
  try {
    const parsed: unknown = JSON.parse(Buffer.from(cursor, "base64url").toString());
    if (!Array.isArray(parsed) || !parsed.every((part) => typeof part === "string"))
      return "invalid";
    const [owner, ...position] = parsed as string[];
    return owner === fingerprint(filters) ? position : "invalid";
  } catch {
    return "invalid";
  }
}

function fingerprint(filters: object): string {
  const named = Object.entries(filters)
    .filter(([, value]) => value !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return createHash("sha256").update(JSON.stringify(named)).digest("base64url").slice(0, 12);
}
