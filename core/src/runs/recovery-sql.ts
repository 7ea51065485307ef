import type { JsonText } from "../json-text.ts";
import { batch, items, statement } from "../statement.ts";
import type { OpenStepRow } from "./rules.ts";
import type { Run } from "./schema.ts";

/** Makes a run at rest ready to be begun, with a fresh budget; changes nothing on a dry run. */
export const recover = statement<
  {
    runId: string;
    dryRun: boolean;
    asOf?: number | undefined;
    actor: string;
    reason?: string | undefined;
  },
  {
    status: Run["status"];
    seq: number;
    leaseLeftMs: number | null;
    outcome:
      | "ready"
      | "run_completed"
      | "run_cancelled"
      | "run_leased"
      | "run_waiting"
      | "run_changed";
  }
>("runs.recover")`
  with held as materialized (
    select run_id, status, last_seq, lease_expires_at,
      status = 'running' and lease_expires_at > tidebase.now() as live,
      coalesce(last_seq = $as_of::bigint, true) as unmoved
      from tidebase.runs where run_id = $run_id::uuid for no key update
  ), readied as (
    update tidebase.runs r
       set status = 'pending', failure_class = null, attempts = 0, lease_expires_at = null, ended_at = null,
           last_seq = r.last_seq + 1
      from held
     where r.run_id = $run_id::uuid and not $dry_run::boolean and held.unmoved and not held.live
       and held.status in ('failed', 'interrupted', 'running')
    returning r.run_id, r.status, r.last_seq
  ), logged as (
    insert into tidebase.events (run_id, seq, type, at, data)
    select run_id, last_seq, 'recovery.requested', tidebase.now(),
      jsonb_strip_nulls(jsonb_build_object('actor', $actor::text, 'reason', $reason::text)) from readied
  )
  select coalesce(readied.status, held.status) as status, coalesce(readied.last_seq, held.last_seq) as seq,
    greatest(0, ceil(extract(epoch from held.lease_expires_at - tidebase.now()) * 1000))::int as lease_left_ms, case
      when held.status = 'completed' then 'run_completed'
      when held.status = 'cancelled' then 'run_cancelled'
      when not held.unmoved then 'run_changed'
      when held.live then 'run_leased'
      when held.status = 'waiting' then 'run_waiting'
      else 'ready' end as outcome
    from held left join readied using (run_id)`;

/** Steps that are not completed, those that stop a rerun first, with their latest events; at most 200. */
export const openSteps = statement<{ runId: string }, OpenStepRow>("runs.open_steps")`
  with open as materialized (
    select name, key, status, on_unknown, epoch, attempt, reason, contract, error,
      'failed_retryable' in (status, case when status = 'begun' then on_unknown end) is true as runs_again
      from tidebase.steps where run_id = $run_id::uuid and status <> 'completed'
     order by runs_again, name, key limit 200
  ), told as materialized (
    select e.data ->> 'name' as name, e.data ->> 'key' as key, array_agg(e.seq::int order by e.seq desc) as seqs
      from tidebase.events e
     where e.run_id = $run_id::uuid and e.type in ('step.begun', 'step.failed', 'step.reviewed') group by 1, 2
  )
  select open.name, open.key, status, on_unknown, epoch, attempt, reason, contract, error, coalesce(told.seqs[1:3], '{}') as event_seqs
    from open left join told on (told.name, told.key) = (open.name, open.key)
   order by runs_again, open.name, open.key`;

/** The events that tell how the run came to its status: its last begin and its last end. */
export const runEvents = statement<
  { runId: string },
  { seq: number; type: string; orphanedSteps: JsonText | null }
>("runs.status_events")`
  select seq, type, orphaned_steps from (
    select distinct on (type) seq, type, data -> 'orphanedSteps' as orphaned_steps from tidebase.events
     where run_id = $run_id::uuid and type like any (array['run.%', 'recovery.%'])
     order by type, seq desc
  ) latest order by seq desc limit 3`;

/** Running runs whose lease is over, or that a process of this machine holds. */
export const suspects = statement<
  { machine: string; limit: number },
  { runId: string; epoch: number; leaseOver: boolean; holder: JsonText | null }
>("runs.suspects")`
  select r.run_id, r.epoch, r.lease_expires_at <= tidebase.now() as lease_over,
    case when h.epoch = r.epoch then h.holder end as holder
    from tidebase.runs r left join tidebase.holders h using (run_id)
    left join tidebase.quarantine q
      on (q.run_id, q.sweep, q.epoch) = (r.run_id, 'lost_workers', r.epoch) and q.tries >= 5
   where r.status = 'running' and q.run_id is null
     and (r.lease_expires_at <= tidebase.now() or h.machine = $machine::text)
   order by lease_over desc, random() limit $limit::int`;

/** Interrupts runs that lost their worker. Re-checks on the locked row; whoever is faster wins. */
export const interrupt = batch<
  { runId: string; epoch: number; reason: "lease_over" | "holder_gone" },
  { i: number; runId: string; outcome: "interrupted" | "moved" }
>("runs.interrupt")`
  with ${items({ run_id: "uuid", epoch: "bigint", reason: "text" })}, lost as materialized (
    select item.i, item.run_id, item.reason from (select * from item order by run_id) item cross join lateral (
        select from tidebase.runs
         where run_id = item.run_id and status = 'running' and epoch = item.epoch
           and (item.reason = 'holder_gone' or lease_expires_at <= tidebase.now())
           for no key update skip locked
      ) r
  ), ended as (
    update tidebase.runs r
       set status = 'interrupted', attempts = r.attempts + 1, lease_expires_at = null, last_seq = r.last_seq + 1
      from lost where r.run_id = lost.run_id and r.run_id = any (array(select run_id from lost))
    returning r.run_id, r.last_seq, r.epoch, lost.i, lost.reason
  ), logged as (
    insert into tidebase.events (run_id, seq, type, at, data)
    select run_id, last_seq, 'run.interrupted', tidebase.now(), jsonb_build_object('reason', reason, 'epoch', epoch)
      from ended
  )
  select item.i, item.run_id, case when ended.i is null then 'moved' else 'interrupted' end as outcome
    from item left join ended using (i) order by i`;
