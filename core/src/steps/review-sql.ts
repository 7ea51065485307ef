import type { JsonText } from "../json-text.ts";
import { statement } from "../statement.ts";

/**
 * Settles a step that nobody executes. A worker that vanished loses its lease by it, so that nothing it
 * still sends contradicts the review. The step is looked up in the snapshot: a run that moved on while
 * this waited for its lock is asked `again`.
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
      coalesce(status = 'running' and lease_expires_at <= tidebase.now(), false) as stalled
      from tidebase.runs where run_id = $run_id::uuid for no key update
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
       set last_seq = r.last_seq + 1 + held.stalled::int, attempts = r.attempts + held.stalled::int,
           status = case when held.stalled then 'interrupted' else r.status end,
           lease_expires_at = case when held.stalled then null else r.lease_expires_at end
      from settled join held using (run_id) where r.run_id = settled.run_id
    returning r.run_id, r.last_seq
  ), logged as (
    insert into tidebase.events (run_id, seq, type, at, data)
    select run_id, last_seq, 'step.reviewed', tidebase.now(), jsonb_build_object('name', $name::text, 'key', $key::text,
      'decision', $decision::text, 'actor', $actor::text, 'reason', $reason::text) from counted
    union all
    select run_id, c.last_seq - 1, 'run.interrupted', tidebase.now(),
      jsonb_build_object('reason', 'lease_over', 'epoch', held.epoch) from counted c join held using (run_id) where held.stalled
  )
  select coalesce(settled.status, target.status) as status, coalesce(counted.last_seq, held.last_seq) as seq, case
      when held.status = 'completed' then 'run_completed'
      when held.status = 'cancelled' then 'run_cancelled'
      when not held.unmoved then 'run_changed'
      when held.last_seq <> seen.last_seq then 'again'
      when target.run_id is null then 'step_not_found'
      when not target.reviewable then 'step_not_in_review'
      else 'reviewable' end as outcome
    from held join seen using (run_id) left join target using (run_id) left join settled using (run_id)
    left join counted using (run_id)`;
