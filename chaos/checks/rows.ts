import type { Evidence, Row } from "../history/evidence.ts";

/** The rows of a table; none when the final read has no such table. */
export function rows(evidence: Evidence, table: string): readonly Row[] {
  return evidence.final.tables[table] ?? [];
}

/** The uuid of an id: operations say `run_0190…`, rows hold the uuid alone. Anything else stays as it is. */
export function bare(id: unknown): string {
  return id === null || id === undefined ? "" : String(id).replace(/^[a-z]+_(?=[0-9a-f]{8}-)/, "");
}

/** A text column; empty when it is null. */
export function text(value: unknown): string {
  return value === null || value === undefined ? "" : String(value);
}

/** A number column; undefined when it is null. */
export function count(value: unknown): number | undefined {
  return value === null || value === undefined ? undefined : Number(value);
}

/** A timestamptz, as milliseconds of the database's clock; undefined when it is null. */
export function instant(value: unknown): number | undefined {
  if (value === null || value === undefined) return undefined;
  const at = value instanceof Date ? value.getTime() : Date.parse(String(value));
  return Number.isNaN(at) ? undefined : at;
}

/** JSON text, or what a driver has made of it; undefined when there is none or it is malformed. */
export function parsed(value: unknown): unknown {
  if (typeof value !== "string") return value ?? undefined;
  try {
    return JSON.parse(value);
  } catch {
    return undefined;
  }
}

/** A member of something that may be an object. */
export function member(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined;
}

/** An array column; empty when it is null. */
export function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** Things by their key, in their order. */
export function grouped<T>(things: Iterable<T>, keyOf: (thing: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const thing of things) {
    const group = groups.get(keyOf(thing));
    if (group === undefined) groups.set(keyOf(thing), [thing]);
    else group.push(thing);
  }
  return groups;
}

/** Rows by one of their columns, the last of those that share it. */
export function indexed(evidence: Evidence, table: string, column: string): Map<string, Row> {
  return new Map(rows(evidence, table).map((row) => [bare(row[column]), row]));
}

/**
 * Runs that retention has deleted, with the status that each had then: `deleted_runs` is written by a trigger of the
 * trial, where a workload deletes.
 */
export function deletedRuns(evidence: Evidence): Map<string, Row> {
  return indexed(evidence, "deleted_runs", "run_id");
}

/** The database's clock at the read, ms; undefined when it was not read. */
export function readClock(evidence: Evidence): number | undefined {
  return instant(evidence.final.now);
}
