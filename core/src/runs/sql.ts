import type { JsonText } from "../json-text.ts";
import { fragment, statement } from "../statement.ts";
import type { Run, RunSummary, StepCounts } from "./schema.ts";

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

/** The columns of RunSummary; `r`, `p` and `e` are runs, payloads and the run's last event. */
const summary = fragment`r.run_id, r.workflow, r.status, r.failure_class, r.attempts, r.tags, r.last_seq, r.queue, r.parent_run_id,
    r.created_at, coalesce(e.at, r.created_at) as updated_at, r.lease_expires_at,
    coalesce(r.status = 'running' and r.lease_expires_at <= tidebase.now(), false) as lease_over,
    p.error_message, case when r.forked_from_run_id is not null then
      jsonb_build_object('runId', 'run_' || r.forked_from_run_id, 'atSeq', r.forked_at_seq) end as forked_from`;

const around = fragment`left join tidebase.payloads p on p.run_id = r.run_id
    left join tidebase.events e on (e.run_id, e.seq) = (r.run_id, r.last_seq)`;

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

/** Newest first; one row more than the page tells that there is another. */
export const list = statement<
  {
    status?: readonly string[] | undefined;
    workflow?: string | undefined;
    queue?: string | undefined;
    parentRunId?: string | undefined;
    forkedFromRunId?: string | undefined;
    tag?: string | undefined;
    failureClass?: string | undefined;
    idempotencyKey?: string | undefined;
    search?: string | undefined;
    since?: string | undefined;
    until?: string | undefined;
    beforeAt?: string | undefined;
    beforeId?: string | undefined;
    limit: number;
  },
  RunSummary & { position: string }
>("runs.list")`
  select ${summary}, (r.created_at at time zone 'UTC')::text || 'Z' as position
    from tidebase.runs r ${around}
   where (r.created_at, r.run_id) < (coalesce($before_at::timestamptz, 'infinity'),
        coalesce($before_id::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
     and r.created_at >= coalesce($since::timestamptz, '-infinity')
     and r.created_at < coalesce($until::timestamptz, 'infinity')
     and ($status::text[] is null or r.status = any ($status::text[]))
     and ($workflow::text is null or r.workflow = $workflow::text)
     and ($queue::text is null or r.queue = $queue::text)
     and ($parent_run_id::uuid is null or r.parent_run_id = $parent_run_id::uuid)
     and ($forked_from_run_id::uuid is null or r.forked_from_run_id = $forked_from_run_id::uuid)
     and ($tag::text is null or r.tags @> array[$tag::text])
     and ($failure_class::text is null or r.failure_class = $failure_class::text)
     and ($idempotency_key::text is null or r.idempotency_key = $idempotency_key::text)
     and ($search::text is null or strpos(lower(p.error_message), lower($search::text)) > 0)
   order by r.created_at desc, r.run_id desc limit $limit::int`;

/** What is not final, and what needs somebody. */
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
    select run_id, workflow, status, failure_class, last_seq, created_at,
      coalesce(status = 'running' and lease_expires_at <= tidebase.now(), false) as lease_over
      from tidebase.runs where status not in ('completed', 'cancelled')
  ), worst as (
    select live.run_id, workflow, status, failure_class, coalesce(e.at, live.created_at) as at
      from live left join tidebase.events e on (e.run_id, e.seq) = (live.run_id, live.last_seq)
     where status in ('failed', 'interrupted') or lease_over
     order by at desc limit 20
  )
  select (select coalesce(jsonb_object_agg(status, n), '{}') from (select status, count(*) as n from live group by 1) c)
      as counts,
    (select count(*) from tidebase.runs
      where ended_at > tidebase.now() - interval '1 day' and status in ('completed', 'cancelled')) as finished_last_day,
    (select count(*) from live where lease_over) as stalled,
    (select count(*) from tidebase.gates where status = 'open') as open_gates,
    (select opened_at from tidebase.gates where status = 'open' order by opened_at, gate_id limit 1) as oldest_gate_at, tidebase.now() as now,
    (select coalesce(json_agg(json_build_object('runId', 'run_' || run_id, 'workflow', workflow, 'status', status,
        'failureClass', failure_class,
        'updatedAt', to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')) order by at desc), '[]')
       from worst)::text as attention`;
