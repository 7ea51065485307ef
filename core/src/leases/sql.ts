import type { JsonText } from "../json-text.ts";
import { notQuarantined } from "../quarantine-sql.ts";
import type { Run } from "../runs/schema.ts";
import { batch, fragment, items, sharedBatch, sharedItems, statement } from "../statement.ts";
import {
  earlierKeys,
  family,
  held,
  heldWithParents,
  lease,
  parentHeld,
  type Refused,
  refused,
  seen,
  skipLocked,
} from "./fence.ts";
import type { Holder, ResumeHint } from "./holder.ts";
import type { Lease } from "./schema.ts";

/**
 * Grants the lease, takes over one whose time is over or whose holder is gone, or finds the caller's own
 * grant again after a lost answer. Runs of a queue begin by claim, so that its limits hold: what was claimed in
 * the name of a message (`pushed`) is taken over once. The holder is answered only with the epoch it belongs to: this
 * snapshot may be older than the locked row.
 */
export const begin = statement<
  {
    runId: string;
    grantId: string;
    leaseMs: number;
    workflow?: string | undefined;
    version?: string | undefined;
    machine?: string | undefined;
    holder?: Holder | undefined;
    resumeHint?: ResumeHint | undefined;
    goneEpoch?: number | undefined;
    principal?: string | undefined;
  },
  {
    epoch: number;
    leaseMs: number;
    attempts: number;
    workflow: string;
    previousVersion: string | null;
    leaseLeftMs: number | null;
    holder: JsonText | null;
    queue: string | null;
    outcome:
      | "begun"
      | "completed"
      | "run_leased"
      | "run_in_queue"
      | "run_cancelled"
      | "run_erased"
      | "workflow_mismatch";
  }
>("runs.begin")`
  with held as materialized (
    select run_id, workflow, status, epoch, grant_id, lease_ms, lease_expires_at, attempts, queue, pushed,
      erased_at is not null as erased from tidebase.runs
     where run_id = $run_id::uuid for no key update
  ), granted as (
    update tidebase.runs r
       set status = 'running', pushed = false, expires_at = null, epoch = r.epoch + 1, grant_id = $grant_id::uuid, lease_ms = $lease_ms::int,
           lease_expires_at = tidebase.now() + $lease_ms::int * interval '1 ms', failure_class = null,
           ended_at = null, waits = null, wake_at = null, last_seq = r.last_seq + 1, attempts = r.attempts + (held.status = 'running' and not held.pushed)::int
      from held
     where r.run_id = $run_id::uuid and coalesce(held.workflow = $workflow::text, true)
       and (held.pushed or held.queue is null and (
         held.status in ('pending', 'waiting', 'interrupted', 'failed')
         or held.status = 'running' and held.grant_id <> $grant_id::uuid
           and (held.lease_expires_at <= tidebase.now() or held.epoch = $gone_epoch::bigint)))
    returning r.run_id, r.epoch, r.lease_ms, r.attempts, r.last_seq
  ), noted as (
    insert into tidebase.holders as h (run_id, epoch, machine, holder, version, resume_hint, principal)
    select run_id, epoch, $machine::text, $holder::text, $version::text, $resume_hint::text, $principal::text from granted
    on conflict (run_id) do update set epoch = excluded.epoch, machine = excluded.machine, holder = excluded.holder,
      previous_version = h.version, version = excluded.version, principal = excluded.principal,
      ${earlierKeys},
      resume_hint = coalesce(excluded.resume_hint, h.resume_hint)
    returning h.run_id, h.previous_version
  ), logged as (
    insert into tidebase.events (run_id, seq, type, at, data)
    select g.run_id, g.last_seq, 'run.begun', tidebase.now(), jsonb_strip_nulls(jsonb_build_object(
        'epoch', g.epoch, 'version', $version::text, 'machine', $machine::text, 'takeover', case
          when held.status <> 'running' or held.pushed then null
          when held.lease_expires_at <= tidebase.now() then 'lease_over' else 'holder_gone' end))
      from granted g join held using (run_id)
  )
  select coalesce(granted.epoch, held.epoch) as epoch, coalesce(granted.lease_ms, held.lease_ms) as lease_ms,
    coalesce(granted.attempts, held.attempts) as attempts, held.workflow,
    case when noted.run_id is null then h.previous_version else noted.previous_version end as previous_version,
    greatest(0, ceil(extract(epoch from held.lease_expires_at - tidebase.now()) * 1000))::int as lease_left_ms,
    case when h.epoch = held.epoch then h.holder end as holder, held.queue, case
      when held.workflow <> $workflow::text then 'workflow_mismatch'
      when granted.run_id is not null then 'begun'
      when held.status = 'running' and held.grant_id = $grant_id::uuid then 'begun'
      when held.erased then 'run_erased'
      when held.status = 'cancelled' then 'run_cancelled'
      when held.status = 'completed' then 'completed'
      when held.queue is not null and held.status <> 'running' then 'run_in_queue'
      else 'run_leased' end as outcome
    from held left join granted using (run_id) left join noted using (run_id)
    left join tidebase.holders h on h.run_id = $run_id::uuid`;

/** Read by the statement after the grant: this is the first snapshot that is sure to see them. */
export const payloadsAndUnfinished = statement<
  { runId: string },
  {
    input: JsonText | null;
    inputMeta: JsonText | null;
    result: JsonText | null;
    resultMeta: JsonText | null;
    unfinished: JsonText;
  }
>("runs.payloads_and_unfinished")`
  select p.input, p.input_meta, p.result, p.result_meta, (
      select coalesce(json_agg(u), '[]')::text from (
        select name, key, status, attempt, failures,
          greatest(0, ceil(extract(epoch from retry_at - tidebase.now()) * 1000))::int as "retryInMs"
          from tidebase.steps where run_id = r.run_id and status <> 'completed' order by name, key limit 1000
      ) u) as unfinished
    from tidebase.runs r left join tidebase.payloads p using (run_id) where r.run_id = $run_id::uuid`;

/** Extends leases, never resurrects one, appends no event. */
export const heartbeat = sharedBatch<Lease, { i: number; outcome: Refused | "held" }>(
  "runs.heartbeat",
)`
  with ${sharedItems(lease)}, ${held}, beaten as (
    update tidebase.runs r set lease_expires_at = tidebase.now() + r.lease_ms * interval '1 ms'
      from held where r.run_id = held.run_id and r.run_id = any (array(select run_id from held)) and held.fenced
  )
  select i, case ${refused} else 'held' end as outcome
    from item left join held using (i) order by i`;

/** How leases stand, without extending them. */
export const leaseStatus = batch<
  Lease,
  { i: number; outcome: "held" | "run_not_found" | "run_cancelled" | "lease_lost" }
>("runs.lease_status")`
  with ${items({ run_id: "uuid", epoch: "bigint", grant_id: "uuid" })}
  select item.i, case
      when r.status is null then 'run_not_found'
      when r.status = 'cancelled' then 'run_cancelled'
      when (r.epoch, r.grant_id, r.status) = (item.epoch, item.grant_id, 'running') then 'held'
      else 'lease_lost' end as outcome
    from item left join lateral (
      select status, epoch, grant_id from tidebase.runs where run_id = item.run_id limit 1
    ) r on true order by item.i`;

/** Back to `pending`, or to its queue, without an attempt; a repeated request gets the same answer. */
export const release = batch<
  Lease & { reason: string },
  { i: number; outcome: Refused | "released" }
>("runs.release")`
  with ${items({ ...lease, reason: "text" })}, ${held}, ended as (
    update tidebase.runs r
       set status = case when r.queue is null then 'pending' else 'queued' end, lease_expires_at = null,
           run_at = case when r.queue is null then r.run_at else tidebase.now() end, last_seq = r.last_seq + 1
      from held where r.run_id = held.run_id and r.run_id = any (array(select run_id from held)) and held.fenced
    returning r.run_id, r.last_seq, held.reason
  ), logged as (
    insert into tidebase.events (run_id, seq, type, at, data)
    select run_id, last_seq, 'run.released', tidebase.now(), jsonb_build_object('reason', reason) from ended
  )
  select i, case when held.granted and held.status in ('pending', 'queued') then 'released' ${refused}
      else 'released' end as outcome
    from item left join held using (i) order by i`;

/** Event data of an end: the recorded steps that the attempt never asked for, if any. */
const orphans = fragment`jsonb_strip_nulls(jsonb_build_object('orphanedSteps', orphaned::jsonb))`;

/** A repeated request under the grant that completed the run gets the same answer. */
export const complete = sharedBatch<
  Lease & { result?: unknown; resultMeta?: unknown; orphaned?: unknown },
  { i: number; outcome: Refused | "completed" }
>("runs.complete")`
  with ${sharedItems({ ...lease, result: "text", result_meta: "text", orphaned: "text" })}, ${heldWithParents}, ended as (
    update tidebase.runs r
       set status = 'completed', last_seq = r.last_seq + 1, lease_expires_at = null, ended_at = (select tidebase.now())
      from held where r.run_id = held.run_id and r.run_id = any (array(select run_id from held)) and held.fenced
    returning r.run_id, r.last_seq, held.result, held.result_meta, held.orphaned
  ), kept as (
    insert into tidebase.payloads as p (run_id, result, result_meta) select run_id, result, result_meta from ended
    on conflict (run_id) do update set result = excluded.result, result_meta = excluded.result_meta,
      error = null, error_message = null
  ), logged as (
    insert into tidebase.events (run_id, seq, type, at, data)
    select run_id, last_seq, 'run.completed', (select tidebase.now()), nullif(${orphans}, '{}') from ended
  )
  select i, case when held.granted and held.status = 'completed' then 'completed' ${refused}
      else 'completed' end as outcome
    from item left join held using (i) order by i`;

/**
 * Ends the attempt. A run of a queue goes back to it after its backoff while attempts are left and the failure may be
 * retried; else the run rests in `failed`. A step whose outcome is unknown makes that `manual_review`, and one that may
 * not run again ends the attempts. Steps are looked up in the snapshot, so a run that moved on since is asked `again`.
 */
export const fail = batch<
  Lease & {
    error: unknown;
    message: string;
    failureClass: string;
    retryable: boolean;
    orphaned?: unknown;
  },
  {
    i: number;
    status: "failed" | "queued";
    failureClass: Run["failureClass"];
    attempts: number;
    retryInMs: number | null;
    outcome: Refused | "failed" | "again";
  }
>("runs.fail")`
  with ${items({ ...lease, error: "text", message: "text", failure_class: "text", retryable: "boolean", orphaned: "text" })},
  ${seen}, ${heldWithParents}, judged as materialized (
    select held.*, case
        when (select true from tidebase.steps s where s.run_id = held.run_id
           and (s.status = 'manual_review' or s.status = 'begun' and s.on_unknown = 'manual_review') limit 1) then 'manual_review'
        when held.queue is null or not held.retryable or held.failure_class = 'manual_review' or (select true from tidebase.steps s where s.run_id = held.run_id
           and (s.status = 'failed' or s.status = 'begun' and s.on_unknown = 'failed') limit 1) then held.failure_class
        when held.attempts + 1 >= held.max_attempts then 'max_attempts' end as class
      from held join seen using (i) where held.fenced and held.last_seq = seen.seen_seq
  ), ended as (
    update tidebase.runs r
       set status = case when judged.class is null then 'queued' else 'failed' end, failure_class = judged.class,
           ended_at = case when judged.class is not null then tidebase.now() end, lease_expires_at = null,
           run_at = case when judged.class is not null then r.run_at
             else tidebase.now() + tidebase.backoff(r.attempts + 1, r.backoff_min_ms, r.backoff_factor, r.backoff_max_ms) end,
           attempts = r.attempts + 1, last_seq = r.last_seq + 1
      from judged where r.run_id = judged.run_id and r.run_id = any (array(select run_id from judged))
    returning r.run_id, r.last_seq, r.status, r.failure_class, r.attempts, r.run_at,
      judged.i, judged.error, judged.message, judged.orphaned, judged.failure_class as failed_as
  ), kept as (
    insert into tidebase.payloads as p (run_id, error, error_message) select run_id, error, message from ended
    on conflict (run_id) do update set error = excluded.error, error_message = excluded.error_message
  ), logged as (
    insert into tidebase.events (run_id, seq, type, at, data)
    select run_id, last_seq, 'run.' || status, tidebase.now(), ${orphans} || jsonb_strip_nulls(jsonb_build_object(
      'failureClass', coalesce(failure_class, failed_as), 'message', message, 'attempts', attempts,
      'reason', case when status = 'queued' then 'retry' end, 'runAt', case when status = 'queued' then run_at end)) from ended
  )
  select i, coalesce(ended.status, held.status) as status,
    case when ended.i is null then held.recorded_class else ended.failure_class end as failure_class,
    coalesce(ended.attempts, held.attempts) as attempts,
    case when ended.status = 'queued' then greatest(0, ceil(extract(epoch from ended.run_at - tidebase.now()) * 1000))::float8
      end as retry_in_ms, case
      when held.granted and held.status in ('failed', 'queued') then 'failed' ${refused}
      when ended.i is null then 'again'
      else 'failed' end as outcome
    from item left join held using (i) left join ended using (i) order by i`;

/** Running runs whose lease is over, or that a process of this machine holds. */
export const suspects = statement<
  { machine: string; limit: number },
  { runId: string; epoch: number; leaseMs: number; overMs: number; holder: JsonText | null }
>("runs.suspects")`
  select r.run_id, r.epoch, r.lease_ms,
    ceil(extract(epoch from tidebase.now() - r.lease_expires_at) * 1000)::float8 as over_ms,
    case when h.epoch = r.epoch then h.holder end as holder
    from tidebase.runs r left join tidebase.holders h using (run_id)
   where r.status = 'running' and ${notQuarantined("lost_workers")}
     and (r.lease_expires_at <= tidebase.now() or h.machine = $machine::text)
   order by r.lease_expires_at <= tidebase.now() desc, random() limit $limit::int`;

/**
 * Interrupts runs that lost their worker; those of a queue go back to it after their backoff, or rest in `failed` when
 * their attempts are spent. A push that nobody began costs none. Re-checks on the locked rows; whoever is faster wins,
 * and a child whose parent is busy waits for the next round.
 */
export const interrupt = batch<
  { runId: string; epoch: number; reason: "lease_over" | "holder_gone" },
  { i: number; runId: string; outcome: "interrupted" | "moved" }
>("runs.interrupt")`
  with ${items({ run_id: "uuid", epoch: "bigint", reason: "text" })}, ${family(skipLocked)}, lost as materialized (
    select item.i, item.run_id, item.reason, case when r.queue is null then 'interrupted'
        when r.pushed or r.attempts + 1 < r.max_attempts then 'queued' else 'failed' end as becomes
      from item join family r using (run_id)
     where r.status = 'running' and r.epoch = item.epoch
       and (item.reason = 'holder_gone' or r.lease_expires_at <= tidebase.now())
       and ${parentHeld}
  ), ended as (
    update tidebase.runs r
       set status = lost.becomes, failure_class = case when lost.becomes = 'failed' then 'worker_lost' end,
           ended_at = case when lost.becomes = 'failed' then tidebase.now() end,
           run_at = case when lost.becomes = 'queued' then tidebase.now()
             + tidebase.backoff(r.attempts + 1, r.backoff_min_ms, r.backoff_factor, r.backoff_max_ms) else r.run_at end,
           attempts = r.attempts + (not r.pushed)::int, pushed = false, lease_expires_at = null, last_seq = r.last_seq + 1
      from lost where r.run_id = lost.run_id and r.run_id = any (array(select run_id from lost))
    returning r.run_id, r.last_seq, r.epoch, r.status, r.failure_class, r.attempts, r.run_at, lost.i, lost.reason
  ), kept as (
    insert into tidebase.payloads as p (run_id, error_message)
    select run_id, 'The worker was lost: its lease ended without an answer.' from ended where status = 'failed'
    on conflict (run_id) do update set error = null, error_message = excluded.error_message
  ), logged as (
    insert into tidebase.events (run_id, seq, type, at, data)
    select run_id, last_seq, 'run.' || status, tidebase.now(), jsonb_strip_nulls(jsonb_build_object('reason', reason,
        'epoch', epoch, 'failureClass', failure_class, 'attempts', case when status <> 'interrupted' then attempts end,
        'runAt', case when status = 'queued' then run_at end))
      from ended
  )
  select item.i, item.run_id, case when ended.i is null then 'moved' else 'interrupted' end as outcome
    from item left join ended using (i) order by i`;
