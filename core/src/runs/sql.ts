import type { JsonText } from "../json-text.ts";
import { statement } from "../statement.ts";
import { around, summary } from "./columns-sql.ts";
import type { Run, StepCounts } from "./schema.ts";

/** `again`: lost to a row that is newer than this snapshot. */
export const create = statement<
  {
    runId: string;
    /** The caller chose the id: then only that run will do. */
    named: boolean;
    workflow: string;
    input: unknown;
    inputMeta: unknown;
    metadata: unknown;
    tags: readonly string[];
    idempotencyKey?: string | undefined;
    bodyHash: string;
    deadlineMs?: number | undefined;
    maxSteps: number;
    actor: string;
    webhooks: readonly string[];
  },
  {
    runId: string;
    status: Run["status"];
    outcome: "created" | "existing" | "idempotency_conflict" | "webhook_not_found" | "again";
  }
>("runs.create")`
  with named as materialized (
    select webhook_id from tidebase.webhooks where name = any ($webhooks::text[])
  ), made as (
    insert into tidebase.runs
      (run_id, workflow, status, idempotency_key, body_hash, tags, deadline_at, max_steps, last_seq, created_at)
    select $run_id::uuid, $workflow::text, 'pending', $idempotency_key::text, $body_hash::text, $tags::text[],
      tidebase.now() + $deadline_ms::bigint * interval '1 ms', $max_steps::int, 1, tidebase.now()
     where (select count(*) from named) = cardinality($webhooks::text[])
    on conflict do nothing
    returning run_id, status
  ), followed as (
    insert into tidebase.run_webhooks (run_id, webhook_id) select run_id, webhook_id from made cross join named
  ), stored as (
    insert into tidebase.payloads (run_id, input, input_meta, metadata)
    select run_id, $input::text, $input_meta::text, $metadata::text from made
  ), logged as (
    insert into tidebase.events (run_id, seq, type, at, data)
    select run_id, 1, 'run.created', tidebase.now(),
      jsonb_build_object('workflow', $workflow::text, 'actor', $actor::text) from made
  ), same as (
    select run_id, status, body_hash, workflow, idempotency_key from tidebase.runs
     where (workflow, idempotency_key) = ($workflow::text, $idempotency_key::text)
    union all
    select run_id, status, body_hash, workflow, idempotency_key from tidebase.runs where run_id = $run_id::uuid
    limit 1
  )
  select coalesce(made.run_id, same.run_id) as run_id, coalesce(made.status, same.status) as status, case
      when made.run_id is not null then 'created'
      when same.run_id is null and (select count(*) from named) < cardinality($webhooks::text[]) then 'webhook_not_found'
      when same.run_id is null then 'again'
      when same.body_hash in ($body_hash::text, 'sql:erased') and same.workflow = $workflow::text
        and same.idempotency_key is not distinct from $idempotency_key::text
        and (same.run_id = $run_id::uuid or not $named::boolean) then 'existing'
      else 'idempotency_conflict' end as outcome
    from (select) as always left join made on true left join same on true`;

/** What a creation is compared with. */
export const body = statement<
  { runId: string },
  {
    workflow: string;
    idempotencyKey: string | null;
    tags: string[];
    webhooks: string[];
    queue: string | null;
    dedupeKey: string | null;
    concurrencyKey: string | null;
    scheduleId: string | null;
    input: JsonText | null;
    inputMeta: JsonText | null;
    metadata: JsonText | null;
  }
>("runs.body")`
  select r.workflow, r.idempotency_key, r.tags, r.queue, r.dedupe_key, r.concurrency_key, r.schedule_id, p.input, p.input_meta, p.metadata, array(
      select w.name::text from tidebase.run_webhooks n join tidebase.webhooks w using (webhook_id)
       where n.run_id = r.run_id order by w.name) as webhooks
    from tidebase.runs r left join tidebase.payloads p using (run_id) where r.run_id = $run_id::uuid`;

/** No row when the run is unknown; nulls when it has none. */
export const payloads = statement<
  { runId: string },
  Record<"input" | "inputMeta" | "result" | "resultMeta", JsonText | null> & Pick<Run, "erasedAt">
>("runs.payloads")`
  select p.input, p.input_meta, p.result, p.result_meta, r.erased_at
    from tidebase.runs r left join tidebase.payloads p using (run_id) where r.run_id = $run_id::uuid`;

/** Tells an empty list from an unknown run. */
export const exists = statement<{ runId: string }, { runId: string }>("runs.exists")`
  select run_id from tidebase.runs where run_id = $run_id::uuid`;

/** The run with its steps counted by what they mean now. */
export const get = statement<{ runId: string }, Run & StepCounts>("runs.get")`
  select ${summary}, r.epoch, r.idempotency_key, p.metadata, h.version, h.holder, h.resume_hint, p.error, r.waits, r.wake_at,
    r.run_at, r.priority, r.max_attempts, r.deadline_at, r.dedupe_key, r.concurrency_key, p.cancel_reason, p.cancelled_by,
    r.erased_at,
    s.completed, s.begun, s.failed, s.manual_review
    from tidebase.runs r ${around}
    left join tidebase.holders h on h.run_id = r.run_id
    cross join lateral (
      select count(*) filter (where status = 'completed') as completed,
        count(*) filter (where status = 'begun' and on_unknown <> 'manual_review') as begun,
        count(*) filter (where status in ('failed', 'failed_retryable')) as failed,
        count(*) filter (where status = 'manual_review' or status = 'begun' and on_unknown = 'manual_review')
          as manual_review
        from tidebase.steps where run_id = r.run_id
    ) s
   where r.run_id = $run_id::uuid`;

/**
 * What is not final, and what needs somebody. What finished in the last day is counted as what ended less what failed:
 * indexes alone answer both.
 */
export const overview = statement<
  object,
  {
    counts: JsonText;
    finishedLastDay: number;
    stalled: number;
    attention: JsonText;
    openGates: number;
    oldestGateAt: string | null;
    now: string;
  }
>("runs.overview")`
  with live as materialized (
    select s.status, (select count(*) from tidebase.runs r where r.status = s.status) as n
      from unnest('{pending,queued,running,waiting,interrupted,failed}'::text[]) s (status)
  ), lapsed as materialized (
    select run_id from tidebase.runs where status = 'running' and lease_expires_at <= (select tidebase.now())
  ), concerned as (   -- each kind by an index of its own, so many of its latest that the newest twenty of all are among them
    -- unless an event came to a run long after it had ended
    (select run_id from tidebase.runs where status = 'failed' order by ended_at desc limit 40)
    union all
    (select run_id from tidebase.runs where status = 'interrupted' order by created_at desc, run_id desc limit 200)
    union all
    select run_id from lapsed
  ), worst as materialized (
    select r.run_id, r.workflow, r.status, r.failure_class, coalesce(e.at, r.created_at) as at
      from concerned c cross join lateral (select * from tidebase.runs where run_id = c.run_id limit 1) r
      left join lateral (select at from tidebase.events where (run_id, seq) = (r.run_id, r.last_seq) limit 1) e on true
     order by at desc limit 20
  ), since as materialized (
    select tidebase.now() - interval '1 day' as at
  )
  select (select coalesce(jsonb_object_agg(status, n) filter (where n > 0), '{}') from live) as counts,
    (select count(*) from tidebase.runs where ended_at > (select at from since))
      - (select count(*) from tidebase.runs where status = 'failed' and ended_at > (select at from since)) as finished_last_day,
    (select count(*) from lapsed) as stalled,
    (select count(*) from tidebase.gates where status = 'open') as open_gates,
    (select opened_at from tidebase.gates where status = 'open' order by opened_at, gate_id limit 1) as oldest_gate_at, tidebase.now() as now,
    (select coalesce(json_agg(json_build_object('runId', 'run_' || run_id, 'workflow', workflow, 'status', status,
        'failureClass', failure_class,
        'updatedAt', to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')) order by at desc), '[]')
       from worst)::text as attention`;
