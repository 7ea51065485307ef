import { statement } from "../statement.ts";

/** So that a table that somebody holds is told, and not waited for. Only where the connection is ours alone. */
export const patience = statement<object, { patient: string }>("doctor.patience")`
  select set_config('lock_timeout', '5s', false) as patient, set_config('statement_timeout', '15s', false)`;

export interface ServerSettings {
  readonly serverVersion: string;
  readonly major: number;
  /** A replica: it takes no writes. */
  readonly standby: boolean;
  readonly fsync: string;
  readonly fullPageWrites: string;
  readonly synchronousCommit: string;
  readonly autovacuum: string;
}

export const settings = statement<object, ServerSettings>("doctor.settings")`
  select current_setting('server_version') as server_version, current_setting('server_version_num')::int / 10000 as major,
    pg_is_in_recovery() as standby, current_setting('fsync') as fsync,
    current_setting('full_page_writes') as full_page_writes, current_setting('synchronous_commit') as synchronous_commit,
    current_setting('autovacuum') as autovacuum`;

/** The database's own clock, and the offset that tests write; no row where somebody deleted it. */
export const clock = statement<object, { at: string; shiftMs: number }>("doctor.clock")`
  select clock_timestamp() as at, (extract(epoch from shift) * 1000)::float8 as shift_ms from tidebase.clock where id = 1`;

/** What the user of this connection may not do with the store's tables. */
export const lacking = statement<object, { name: string; rights: readonly string[] }>(
  "doctor.lacking",
)`
  select name, rights from (
    select c.relname::text as name, array_remove(array[
        case when not has_table_privilege(c.oid, 'select') then 'select' end,
        case when not has_table_privilege(c.oid, 'insert') then 'insert' end,
        case when not has_table_privilege(c.oid, 'update') then 'update' end,
        case when not has_table_privilege(c.oid, 'delete') then 'delete' end], null) as rights
      from pg_class c
     where c.relkind = 'r' and c.relname <> 'migrations'
       and c.relnamespace = (select runs.relnamespace from pg_class runs where runs.oid = 'tidebase.runs'::regclass)) found
   where cardinality(rights) > 0 order by name limit 100`;

/** Runs whose lease lapsed over a minute ago, and that nobody ended or took over. */
export const lapsed = statement<object, { found: number; runId: string | null }>("doctor.lapsed")`
  select count(*) as found, (array_agg(run_id order by lease_expires_at))[1] as run_id
    from tidebase.runs where status = 'running' and lease_expires_at < tidebase.now() - interval '1 minute'`;

/** What sweeps have given up on. */
export const quarantined = statement<
  object,
  { sweep: string; found: number; runId: string; lastError: string }
>("doctor.quarantined")`
  select q.sweep, count(*) as found, (array_agg(q.run_id order by q.at desc))[1] as run_id,
    (array_agg(q.last_error order by q.at desc))[1] as last_error
    from tidebase.quarantine q join tidebase.runs r on (r.run_id, r.epoch) = (q.run_id, q.epoch)
   where q.tries >= 5 and r.status not in ('completed', 'cancelled')
   group by q.sweep order by q.sweep limit 50`;

/** Transactions that are open for longer than this: what they might still read is not cleaned up. */
export const transactions = statement<
  { overMs: number },
  { pid: number; program: string; state: string; openMs: number }
>("doctor.transactions")`
  select pid, program, state, (extract(epoch from clock_timestamp() - since) * 1000)::float8 as open_ms from (
    select pid, coalesce(nullif(application_name, ''), 'a program') as program, coalesce(state, '') as state, xact_start as since
      from pg_stat_activity
     where datname = current_database() and backend_type = 'client backend' and pid <> pg_backend_pid()
    union all
    select 0, 'prepared ' || gid, 'prepared', prepared from pg_prepared_xacts where database = current_database()) open
   where since < clock_timestamp() - $over_ms::float8 * interval '1 ms'
   order by since limit 20`;

/** Tables of the store of which a good part is dead rows. */
export const bloated = statement<
  { schemaName: string },
  { name: string; dead: number; live: number }
>("doctor.bloated")`
  select relname::text as name, n_dead_tup as dead, n_live_tup as live from pg_stat_user_tables
   where schemaname = $schema_name::text and n_dead_tup > 10000 and n_dead_tup > n_live_tup * 0.4
   order by n_dead_tup desc limit 20`;

/** How long history is kept, and since when the sweep that ends it is overdue. */
export const retention = statement<object, { days: number; overdueMs: number }>("doctor.retention")`
  select days, greatest(0, extract(epoch from tidebase.now() - next_at) * 1000)::float8 as overdue_ms
    from tidebase.retention where id = 1`;
