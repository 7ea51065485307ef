import type { Row } from "./lines.ts";

/** What an export or import carried. */
export interface Transferred {
  /** Rows of each table, the tables by name. */
  readonly tables: Readonly<Record<string, number>>;
  readonly rows: number;
}

/** About as much text as one round trip carries. */
export const BATCH_CHARACTERS = 4_000_000;
/** Rows that one round trip carries at most. */
export const BATCH_ROWS = 1000;

/** Size of a row in characters, at least 1. */
export function charactersOf(row: Row): number {
  return row.reduce((sum, value) => sum + (value?.length ?? 0), 1);
}

/** The sum of what was counted. */
export function transferred(counts: Record<string, number>): Transferred {
  return { tables: counts, rows: Object.values(counts).reduce((sum, count) => sum + count, 0) };
}
