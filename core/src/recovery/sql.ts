import type { JsonText } from "../json-text.ts";
import type { Run } from "../runs/schema.ts";
import { statement } from "../statement.ts";
import type { OpenStepRow } from "./rules.ts";

/**
 * Makes a run at rest ready to be begun, or queues it now, with a fresh budget; changes nothing on a dry run. A dedupe
 * key that another active run has meanwhile is answered with that run. Sent again with the same `as_of`, it finds what it did.
 */
export const recover = statement<
  {
    runId: string;
    dryRun: boolean;
    asOf?: number | undefined;
    /** Whoever redrives means runs that have failed, and no others. */
    onlyFailed?: boolean;
    actor: string;
    reason?: string | undefined;
  },
  {
    status: Run["status"];
    seq: number;
    leaseLeftMs: number | null;
    queue: string | null;
    activeRunId: string | null;
    outcome:
      | "ready"
      | "dedupe_conflict"
      | "run_completed"
      | "run_cancelled"
      | "run_leased"
      | "run_waiting"
      | "run_changed"
      | "again";
  }
>("runs.recover")`
  with seen as materialized (
    select last_seq from tidebase.runs where run_id = $run_id::uuid
  ), held as materialized (
    select run_id, status, last_seq, lease_expires_at, queue, dedupe_key,
      status = 'running' and lease_expires_at > tidebase.now() as live,
      coalesce(last_seq = $as_of::bigint, true) and (status = 'failed' or $only_failed::boolean is not true) as unmoved
      from tidebase.runs where run_id = $run_id::uuid for no key update
  ), done as materialized (
    select from tidebase.events e where e.run_id = $run_id::uuid and e.seq = $as_of::bigint + 1 and e.type = 'recovery.requested'
       and (e.data ->> 'actor', coalesce(e.data ->> 'reason', '')) = ($actor::text, coalesce($reason::text, ''))
       and not $dry_run::boolean
  ), active as materialized (
    select other.run_id as active_run_id from held cross join lateral (
      select run_id from tidebase.runs o where (o.queue, o.dedupe_key) = (held.queue, held.dedupe_key)
         and o.status in ('queued', 'running', 'waiting', 'interrupted') and o.run_id <> held.run_id limit 1) other
     where held.status = 'failed'
  ), readied as (
    update tidebase.runs r
       set status = case when r.queue is null then 'pending' else 'queued' end, pushed = false,
           run_at = case when r.queue is null then r.run_at else tidebase.now() end, failure_class = null, attempts = 0, lease_expires_at = null, ended_at = null,
           last_seq = r.last_seq + 1
      from held
     where r.run_id = $run_id::uuid and not $dry_run::boolean and held.unmoved and not held.live
       and held.status in ('pending', 'queued', 'failed', 'interrupted', 'running') and not exists (select from active)
    returning r.run_id, r.status, r.last_seq
  ), logged as (
    insert into tidebase.events (run_id, seq, type, at, data)
    select run_id, last_seq, 'recovery.requested', tidebase.now(),
      jsonb_strip_nulls(jsonb_build_object('actor', $actor::text, 'reason', $reason::text)) from readied
  )
  select coalesce(readied.status, held.status) as status, coalesce(readied.last_seq, held.last_seq) as seq,
    greatest(0, ceil(extract(epoch from held.lease_expires_at - tidebase.now()) * 1000))::int as lease_left_ms, held.queue,
    active.active_run_id, case
      when exists (select from done) then 'ready'
      when held.status = 'completed' then 'run_completed'
      when held.status = 'cancelled' then 'run_cancelled'
      when not held.unmoved and held.last_seq <> seen.last_seq then 'again'
      when not held.unmoved then 'run_changed'
      when held.live then 'run_leased'
      when held.status = 'waiting' then 'run_waiting'
      when active.active_run_id is not null then 'dedupe_conflict'
      else 'ready' end as outcome
    from held cross join seen left join readied using (run_id) left join active on true`;

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

/**
 * Settles a step that nobody executes; a run that sleeps through its backoff wakes. A worker that vanished loses its lease by it, so that nothing it
 * still sends contradicts the review. The step is looked up in the snapshot: a run that moved on while
 * this waited for its lock is asked `again`. Sent again with the same `as_of`, it finds what it did.
 */
export const settle = statement<
  {
    runId: string;
    name: string;
    key: string;
    decision: string;
    becomes: string;
    output: JsonText | undefined;
    reason: string;
    actor: string;
    dryRun: boolean;
    asOf?: number | undefined;
  },
  {
    status: string | null;
    seq: number;
    outcome:
      | "reviewable"
      | "step_not_found"
      | "step_not_in_review"
      | "run_completed"
      | "run_cancelled"
      | "run_changed"
      | "again";
  }
>("steps.review")`
  with seen as materialized (
    select run_id, last_seq from tidebase.runs where run_id = $run_id::uuid
  ), held as materialized (
    select run_id, status, epoch, last_seq, coalesce(last_seq = $as_of::bigint, true) as unmoved,
      coalesce(status = 'running' and lease_expires_at <= tidebase.now(), false) as stalled,
      coalesce('timer' = any (waits), false) as waits, queue
      from tidebase.runs where run_id = $run_id::uuid for no key update
  ), done as materialized (
    select from tidebase.events e join tidebase.steps s on (s.run_id, s.name, s.key) = (e.run_id, $name::text, $key::text)
       and ($decision::text <> 'completed' or s.output is not distinct from $output::text)
     where e.run_id = $run_id::uuid and e.seq between $as_of::bigint + 1 and $as_of::bigint + 2 and e.type = 'step.reviewed'
       and e.data = jsonb_build_object('name', $name::text, 'key', $key::text, 'decision', $decision::text, 'actor', $actor::text,
         'reason', $reason::text) and not $dry_run::boolean
  ), target as materialized (
    select s.run_id, s.name, s.key, s.status,
      s.status in ('manual_review', 'failed') or s.status = 'begun' and s.on_unknown <> 'failed_retryable'
        and not (held.status = 'running' and s.epoch = held.epoch and not held.stalled) as reviewable
      from held join tidebase.steps s using (run_id) where s.name = $name::text and s.key = $key::text
  ), settled as (
    update tidebase.steps s
       set status = $becomes::text, output = $output::text, output_meta = null, retry_at = null, failures = 0,
           reason = 'reviewed', ended_at = tidebase.now()
      from target, held, seen
     where (s.run_id, s.name, s.key) = (target.run_id, target.name, target.key) and target.reviewable
       and not $dry_run::boolean and held.unmoved and held.status not in ('completed', 'cancelled')
       and held.last_seq = seen.last_seq
    returning s.run_id, s.status
  ), counted as (
    update tidebase.runs r
       set last_seq = r.last_seq + 1 + held.stalled::int + held.waits::int, attempts = r.attempts + (held.stalled and not r.pushed)::int,
           status = case when not held.stalled and not held.waits then r.status when r.queue is not null then 'queued'
             when held.stalled then 'interrupted' else 'pending' end,
           pushed = r.pushed and not held.stalled,
           run_at = case when r.queue is not null and (held.stalled or held.waits) then tidebase.now() else r.run_at end,
           waits = case when held.waits then null else r.waits end, wake_at = case when held.waits then null else r.wake_at end,
           lease_expires_at = case when held.stalled then null else r.lease_expires_at end
      from settled join held using (run_id) where r.run_id = settled.run_id
    returning r.run_id, r.last_seq
  ), logged as (
    insert into tidebase.events (run_id, seq, type, at, data)
    select run_id, c.last_seq - held.waits::int, 'step.reviewed', tidebase.now(), jsonb_build_object('name', $name::text,
      'key', $key::text, 'decision', $decision::text, 'actor', $actor::text, 'reason', $reason::text)
      from counted c join held using (run_id)
    union all
    select run_id, c.last_seq, 'run.woken', tidebase.now(), jsonb_build_object('by', 'review')
      from counted c join held using (run_id) where held.waits
    union all
    select run_id, c.last_seq - 1, case when held.queue is null then 'run.interrupted' else 'run.queued' end, tidebase.now(),
      jsonb_build_object('reason', 'lease_over', 'epoch', held.epoch) from counted c join held using (run_id) where held.stalled
  )
  select coalesce(settled.status, target.status) as status, coalesce(counted.last_seq, held.last_seq) as seq, case
      when exists (select from done) then 'reviewable'
      when held.status = 'completed' then 'run_completed'
      when held.status = 'cancelled' then 'run_cancelled'
      when not held.unmoved and held.last_seq = seen.last_seq then 'run_changed'
      when held.last_seq <> seen.last_seq then 'again'
      when target.run_id is null then 'step_not_found'
      when not target.reviewable then 'step_not_in_review'
      else 'reviewable' end as outcome
    from held join seen using (run_id) left join target using (run_id) left join settled using (run_id)
    left join counted using (run_id)`;
