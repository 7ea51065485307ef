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
const SEEN = "{last_used_at,tries}";

const TABLES = `select table_name::text as name from information_schema.tables
  where table_schema = 'tidebase' and table_type = 'BASE TABLE' order by 1`;

/** How the store's content is fingerprinted, whatever tables it has. */
export async function fingerprinter(query: Query): Promise<() => Promise<Fingerprint>> {
  const names = (await query(TABLES)).map(({ name }) => String(name));
  const sql = names
    .filter((name) => !APART.includes(name))
    .map(
      (
        name,
      ) => `select '${name}' as name, count(*) || ' ' || coalesce(md5(string_agg(row, '|' order by row)), '') as hash
        from (select (to_jsonb(t) - '${SEEN}'::text[])::text as row from tidebase.${name} t) rows`,
    )
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
