import { setTimeout as delay } from "node:timers/promises";

/** Runs a statement on the store, past the server. */
export type Query = (
  sql: string,
  values?: readonly unknown[],
) => Promise<readonly Record<string, unknown>[]>;

/** Number of rows and a hash of them, by table. */
export type Fingerprint = ReadonlyMap<string, string>;

/** A refused act is noted in the audit trail; a key and its worker are seen; the clock stands still anyway. */
const APART = ["migrations", "audit", "clock"];
/** Columns that a refused call may write: when its key was last used, and how often a proof was guessed at. */
const SEEN = ["last_used_at", "tries"];

const TABLES = `select t.table_name::text as name, exists (
    select from information_schema.columns c
     where (c.table_schema, c.table_name) = (t.table_schema, t.table_name) and c.column_name = any ($1)) as is_seen
  from information_schema.tables t
 where t.table_schema = 'tidebase' and t.table_type = 'BASE TABLE' order by 1`;

/** What changes with each version of a row, even one of the same content; and its content, where some of that is left out. */
const VERSION = "ctid::text || xmin::text";
const CONTENT = `(to_jsonb(t) - '{${SEEN.join()}}'::text[])::text`;

/** How the store's content is fingerprinted, whatever tables it has. Many thousands of rows are looked at very often. */
export async function fingerprinter(query: Query): Promise<() => Promise<Fingerprint>> {
  const sql = (await query(TABLES, [SEEN]))
    .filter(({ name }) => !APART.includes(String(name)))
    .map(({ name, is_seen }) => {
      const row = is_seen === true ? CONTENT : VERSION;
      return `select '${name}' as name, count(*) || ' ' || coalesce(sum(hashtextextended(${row}, 0)), 0) as hash
        from tidebase.${name} t`;
    })
    .join(" union all ");
  return async () =>
    new Map((await query(sql)).map(({ name, hash }) => [String(name), String(hash)]));
}

/** The tables whose content is not the same. */
export function changedTables(before: Fingerprint, after: Fingerprint): string[] {
  return [...after].flatMap(([name, hash]) => (before.get(name) === hash ? [] : [name]));
}

const REST_MS = 50;
const ROUNDS = 60;

/** The store's content when two looks in a row see the same: sweeps and deliveries have come to their end. */
export async function atRest(look: () => Promise<Fingerprint>): Promise<Fingerprint> {
  let before = await look();
  for (let round = 0; round < ROUNDS; round++) {
    await delay(REST_MS);
    const after = await look();
    if (changedTables(before, after).length === 0) return after;
    before = after;
  }
  return before;
}

/** What the dispatcher writes while it sends. */
const OF_DELIVERIES = ["deliveries", "webhooks", "gate_proofs"];

/**
 * The tables that the act changes, on a store at rest. What a delivery wrote meanwhile is told from it by doing it
 * again: an act that changes nothing even once did not do so the other times either.
 */
export async function changesOf(
  look: () => Promise<Fingerprint>,
  act: () => Promise<void>,
): Promise<string[]> {
  let changed: string[] = [];
  for (let round = 0; round < 3; round++) {
    const before = await atRest(look);
    await act();
    changed = changedTables(before, await look());
    if (!changed.every((name) => OF_DELIVERIES.includes(name))) return changed;
    if (changed.length === 0) return [];
  }
  return changed;
}
