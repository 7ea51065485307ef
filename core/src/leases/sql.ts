import type { JsonText } from "../json-text.ts";
import { notQuarantined } from "../quarantine-sql.ts";
import type { Run } from "../runs/schema.ts";
import { batch, fragment, items, statement } from "../statement.ts";
import { held, lease, type Refused, refused, seen } from "./fence.ts";
import type { Holder, ResumeHint } from "./holder.ts";
import type { Lease } from "./schema.ts";

/**
 * Grants the lease, takes over one whose time is over or whose holder is gone, or finds the caller's own
 * grant again after a lost answer. The holder is answered only with the epoch it belongs to: this
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
    outcome: "begun" | "completed" | "run_leased" | "run_cancelled" | "workflow_mismatch";
  }
>("runs.begin")`
  with held as materialized (
    select run_id, workflow, status, epoch, grant_id, lease_ms, lease_expires_at, attempts from tidebase.runs
     where run_id = $run_id::uuid for no key update
  ), granted as (
    update tidebase.runs r
       set status = 'running', epoch = r.epoch + 1, grant_id = $grant_id::uuid, lease_ms = $lease_ms::int,
           lease_expires_at = tidebase.now() + $lease_ms::int * interval '1 ms', failure_class = null,
           ended_at = null, waits = null, wake_at = null, last_seq = r.last_seq + 1, attempts = r.attempts + (held.status = 'running')::int
      from held
     where r.run_id = $run_id::uuid and coalesce(held.workflow = $workflow::text, true)
       and (held.status in ('pending', 'waiting', 'interrupted', 'failed')
         or held.status = 'running' and held.grant_id <> $grant_id::uuid
           and (held.lease_expires_at <= tidebase.now() or held.epoch = $gone_epoch::bigint))
    returning r.run_id, r.epoch, r.lease_ms, r.attempts, r.last_seq
  ), noted as (
    insert into tidebase.holders as h (run_id, epoch, machine, holder, version, resume_hint, principal)
    select run_id, epoch, $machine::text, $holder::text, $version::text, $resume_hint::text, $principal::text from granted
    on conflict (run_id) do update set epoch = excluded.epoch, machine = excluded.machine, holder = excluded.holder,
      previous_version = h.version, version = excluded.version, principal = excluded.principal,
      resume_hint = coalesce(excluded.resume_hint, h.resume_hint)
    returning h.run_id, h.previous_version
  ), logged as (
    insert into tidebase.events (run_id, seq, type, at, data)
    select g.run_id, g.last_seq, 'run.begun', tidebase.now(), jsonb_strip_nulls(jsonb_build_object(
        'epoch', g.epoch, 'version', $version::text, 'machine', $machine::text, 'takeover', case
          when held.status <> 'running' then null
          when held.lease_expires_at <= tidebase.now() then 'lease_over' else 'holder_gone' end))
      from granted g join held using (run_id)
  )
  select coalesce(granted.epoch, held.epoch) as epoch, coalesce(granted.lease_ms, held.lease_ms) as lease_ms,
    coalesce(granted.attempts, held.attempts) as attempts, held.workflow,
    case when noted.run_id is null then h.previous_version else noted.previous_version end as previous_version,
    greatest(0, ceil(extract(epoch from held.lease_expires_at - tidebase.now()) * 1000))::int as lease_left_ms,
    case when h.epoch = held.epoch then h.holder end as holder, case
      when held.workflow <> $workflow::text then 'workflow_mismatch'
      when granted.run_id is not null then 'begun'
      when held.status = 'running' and held.grant_id = $grant_id::uuid then 'begun'
      when held.status = 'cancelled' then 'run_cancelled'
      when held.status = 'completed' then 'completed'
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
export const heartbeat = batch<Lease, { i: number; outcome: Refused | "held" }>("runs.heartbeat")`
  with ${items(lease)}, ${held}, beaten as (
    update tidebase.runs r set lease_expires_at = tidebase.now() + r.lease_ms * interval '1 ms'
      from held where r.run_id = held.run_id and r.run_id = any (array(select run_id from held)) and held.fenced
  )
  select i, case ${refused} else 'held' end as outcome
    from item left join held using (i) order by i`;

/** Back to `pending` without an attempt; a repeated request gets the same answer. */
export const release = batch<
  Lease & { reason: string },
  { i: number; outcome: Refused | "released" }
>("runs.release")`
  with ${items({ ...lease, reason: "text" })}, ${held}, ended as (
    update tidebase.runs r set status = 'pending', lease_expires_at = null, last_seq = r.last_seq + 1
      from held where r.run_id = held.run_id and r.run_id = any (array(select run_id from held)) and held.fenced
    returning r.run_id, r.last_seq, held.reason
  ), logged as (
    insert into tidebase.events (run_id, seq, type, at, data)
    select run_id, last_seq, 'run.released', tidebase.now(), jsonb_build_object('reason', reason) from ended
  )
  select i, case when held.granted and held.status = 'pending' then 'released' ${refused}
      else 'released' end as outcome
    from item left join held using (i) order by i`;

/** Event data of an end: the recorded steps that the attempt never asked for, if any. */
const orphans = fragment`jsonb_strip_nulls(jsonb_build_object('orphanedSteps', orphaned::jsonb))`;

/** A repeated request under the grant that completed the run gets the same answer. */
export const complete = batch<
  Lease & { result?: unknown; resultMeta?: unknown; orphaned?: unknown },
  { i: number; outcome: Refused | "completed" }
>("runs.complete")`
  with ${items({ ...lease, result: "text", result_meta: "text", orphaned: "text" })}, ${held}, ended as (
    update tidebase.runs r
       set status = 'completed', last_seq = r.last_seq + 1, lease_expires_at = null, ended_at = tidebase.now()
      from held where r.run_id = held.run_id and r.run_id = any (array(select run_id from held)) and held.fenced
    returning r.run_id, r.last_seq, held.result, held.result_meta, held.orphaned
  ), kept as (
    insert into tidebase.payloads as p (run_id, result, result_meta) select run_id, result, result_meta from ended
    on conflict (run_id) do update set result = excluded.result, result_meta = excluded.result_meta,
      error = null, error_message = null
  ), logged as (
    insert into tidebase.events (run_id, seq, type, at, data)
    select run_id, last_seq, 'run.completed', tidebase.now(), nullif(${orphans}, '{}') from ended
  )
  select i, case when held.granted and held.status = 'completed' then 'completed' ${refused}
      else 'completed' end as outcome
    from item left join held using (i) order by i`;

/**
 * Rests the run in `failed`. A step whose outcome is unknown makes it `manual_review`; steps are looked up
 * in the snapshot, so a run that moved on since is asked `again`.
 */
export const fail = batch<
  Lease & { error: unknown; message: string; failureClass: string; orphaned?: unknown },
  {
    i: number;
    failureClass: NonNullable<Run["failureClass"]>;
    attempts: number;
    outcome: Refused | "failed" | "again";
  }
>("runs.fail")`
  with ${items({ ...lease, error: "text", message: "text", failure_class: "text", orphaned: "text" })},
  ${seen}, ${held}, ended as (
    update tidebase.runs r
       set status = 'failed', last_seq = r.last_seq + 1, lease_expires_at = null, ended_at = tidebase.now(),
           attempts = r.attempts + 1,
           failure_class = case when (
             select true from tidebase.steps s where s.run_id = held.run_id
                and (s.status = 'manual_review' or s.status = 'begun' and s.on_unknown = 'manual_review') limit 1
           ) then 'manual_review' else held.failure_class end
      from held join seen using (i)
     where r.run_id = held.run_id and r.run_id = any (array(select run_id from held)) and held.fenced and held.last_seq = seen.seen_seq
    returning r.run_id, r.last_seq, r.failure_class, r.attempts, held.i, held.error, held.message, held.orphaned
  ), kept as (
    insert into tidebase.payloads as p (run_id, error, error_message) select run_id, error, message from ended
    on conflict (run_id) do update set error = excluded.error, error_message = excluded.error_message
  ), logged as (
    insert into tidebase.events (run_id, seq, type, at, data)
    select run_id, last_seq, 'run.failed', tidebase.now(), ${orphans} || jsonb_build_object(
      'failureClass', failure_class, 'message', message, 'attempts', attempts) from ended
  )
  select i, coalesce(ended.failure_class, held.recorded_class) as failure_class,
    coalesce(ended.attempts, held.attempts) as attempts, case
      when held.granted and held.status = 'failed' then 'failed' ${refused}
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
