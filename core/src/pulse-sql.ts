import { type Fragment, fragment, type Statement, statement } from "./statement.ts";

/** Something that may be due, as SQL: an index probe, true or false. */
export interface Due {
  readonly name: string;
  readonly due: Fragment;
}

/**
 * Whether the queue `w.queue`, with its row `q` if it has one, would give a run to who asks now; as
 * tidebase.claim() decides, but for the limits of keys: those are counted by who claims. No `exists`, and ordered: so
 * the planner goes by the queue's own index, whatever it knows of the table.
 */
export const claimable = fragment`q.paused_at is null
       and (q.concurrency is null or q.concurrency > (
         select count(*) from (
           select from tidebase.runs r where r.queue = w.queue collate "C" and r.status = 'running'
            order by r.queue, r.concurrency_key limit q.concurrency) busy))
       and (q.rate_per_minute is null or q.rate_used < q.rate_per_minute
         or q.rate_window <= (select tidebase.now()) - interval '1 minute')
       and coalesce((
         select r.run_id from tidebase.runs r
          where r.queue = w.queue collate "C" and r.status = 'queued'
            and r.order_at <= (select tidebase.now()) and r.run_at <= (select tidebase.now())
            and (r.expires_at is null or r.expires_at > (select tidebase.now()))
            and (r.deadline_at is null or r.deadline_at > (select tidebase.now()))
          order by r.order_at, r.run_id limit 1), (
         select r.run_id from tidebase.runs r
          where r.queue = w.queue collate "C" and r.status = 'queued' and r.priority < 0
            and r.order_at > (select tidebase.now()) and r.order_at <= (select tidebase.now()) + interval '100 minutes'
            and r.run_at <= (select tidebase.now())
            and (r.expires_at is null or r.expires_at > (select tidebase.now()))
            and (r.deadline_at is null or r.deadline_at > (select tidebase.now()))
          order by r.order_at, r.run_id limit 1)) is not null`;

/** A delivery that deliveries.claim would take. */
export const deliveries: Due = {
  name: "deliveries",
  due: fragment`exists (
      select from tidebase.webhooks w cross join lateral (
          select from tidebase.deliveries
           where webhook_id = w.webhook_id and status = 'pending' and due_at <= (select tidebase.now()) limit 1) d
       where w.disabled_at is null and coalesce(w.closed_until <= (select tidebase.now()), true))`,
};

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
