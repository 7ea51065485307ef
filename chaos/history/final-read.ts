import type { World } from "../world/world.ts";
import type { FinalRead } from "./evidence.ts";

/** Of the store, and what workloads put beside it (`public`). Keys and secrets prove nothing. */
const TABLES = `select table_schema as schema, table_name as name from information_schema.tables
  where table_schema in ('tidebase', 'public') and table_type = 'BASE TABLE'
    and table_name not in ('api_keys', 'sessions', 'gate_proofs', 'migrations')
  order by 1, 2`;

/**
 * A transaction that a live server has open between two of its statements is there for milliseconds only: what is still
 * there after a second is stuck.
 */
const STUCK = `select pid, state, wait_event_type, wait_event, left(query, 200) as query,
    extract(epoch from clock_timestamp() - state_change)::float8 as seconds
  from pg_stat_activity
  where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'
    and (state like 'idle in transaction%' and clock_timestamp() - state_change > interval '1 second'
      or wait_event_type = 'Lock' and clock_timestamp() - state_change > interval '5 seconds')`;

/**
 * Every row of the store as JSON: instants are ISO texts, bigint columns numbers, and JSON that the store keeps as text
 * stays text. One statement, and so one snapshot.
 */
export async function readFinally({ query }: Pick<World, "query">): Promise<FinalRead> {
  const names = await query(TABLES);
  const parts = names.map(
    ({ schema, name }) =>
      `select '${name}' as name, (select coalesce(json_agg(t), '[]') from ${schema}."${name}" t) as rows`,
  );
  const read = await query(`${parts.join(" union all ")} union all
    select 'now', to_json(tidebase.now())`);
  const tables = new Map(read.map(({ name, rows }) => [String(name), rows]));
  const now = String(tables.get("now"));
  tables.delete("now");
  const stuck = await query(STUCK);
  return { tables: Object.fromEntries(tables) as FinalRead["tables"], stuck, now };
}
