import { claimable } from "./queues/sql.ts";
import { type Fragment, fragment, type Statement, statement } from "./statement.ts";

/** Something that may be due, as SQL: an index probe, true or false. */
export interface Due {
  readonly name: string;
  readonly due: Fragment;
}

/** What a process asks about once a second: who watches what here, and which machine this is. */
export interface Asked {
  readonly machine: string;
  readonly queues: readonly string[];
  readonly runIds: readonly string[];
}

/** The names of what is due, the watched queues that have work, the latest event of each watched run. */
export interface Found {
  readonly due: readonly string[];
  readonly queues: readonly string[];
  readonly runIds: readonly string[];
  readonly lastSeqs: readonly number[];
}

/** The one statement an idle process sends. Its text depends on what this process does. */
export function pulseOf(probes: readonly Due[]): Statement<Asked, Found> {
  const name = (probe: Due): Fragment => ({ sql: `'${probe.name}'` });
  const cases = probes.map((probe) => fragment`case when ${probe.due} then ${name(probe)} end`.sql);
  return statement<Asked, Found>("sweeps.pulse")`
  select array_remove(array[${{ sql: cases.join(",\n    ") }}]::text[], null) as due,
    array(
      select w.queue from unnest($queues::text[]) w (queue)
        left join lateral (select * from tidebase.queues where queue = w.queue collate "C" limit 1) q on true
       where ${claimable}) as queues,
    followed.run_ids, followed.last_seqs
    from (
      select coalesce(array_agg(run_id), '{}') as run_ids, coalesce(array_agg(last_seq::float8), '{}') as last_seqs
        from tidebase.runs where run_id = any ($run_ids::uuid[])
    ) followed where $machine::text is not null`;
}
