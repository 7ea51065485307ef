import { createHash } from "node:crypto";

/**
 * An opaque cursor: the position after the last row of a page, bound to the list's filters by a
 * short hash, so that a cursor of another list is refused instead of answering nonsense.
 */
function writeCursor(position: readonly string[], filters: object): string {
  return Buffer.from(JSON.stringify([fingerprint(filters), ...position])).toString("base64url");
}

/** The position, or `invalid` when the cursor is not one of this list with these filters. */
export function readCursor(cursor: string, filters: object): string[] | "invalid" {
  try {
    const parsed: unknown = JSON.parse(Buffer.from(cursor, "base64url").toString());
    if (!Array.isArray(parsed) || !parsed.every((part) => typeof part === "string"))
      return "invalid";
    const [owner, ...position] = parsed as string[];
    return owner === fingerprint(filters) && isPosition(position) ? position : "invalid";
  } catch {
    return "invalid";
  }
}

/** An instant as Postgres writes it, and an id. */
function isPosition([at = "", id = ""]: readonly string[]): boolean {
  return (
    /^\d{4}-\d\d-\d\d [\d:.]+Z$/.test(at) &&
    !Number.isNaN(Date.parse(at)) &&
    /_[0-9a-f-]{36}$/.test(id)
  );
}

/**
 * The rows of one page, of a statement that was asked for one more than `limit`, and the cursor that
 * asks for the next; null at the end. `position` and the id tell where a row stands; `stopped` where a
 * statement stopped looking that found no full page: the next goes on there.
 */
export function pageOf<Row extends { position: string }>(
  rows: readonly Row[],
  idOf: (row: Row) => string,
  {
    limit,
    filters,
    stopped,
  }: {
    limit: number;
    filters: object;
    stopped?: readonly string[] | undefined;
  },
): { page: Omit<Row, "position">[]; nextCursor: string | null } {
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  const more = rows.length > limit && last !== undefined;
  const next = more ? [last.position, idOf(last)] : stopped;
  return {
    page: shown.map(({ position: _, ...row }) => row),
    nextCursor: next === undefined ? null : writeCursor(next, filters),
  };
}

function fingerprint(filters: object): string {
  const named = Object.entries(filters)
    .filter(([, value]) => value !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return createHash("sha256").update(JSON.stringify(named)).digest("base64url").slice(0, 12);
}
