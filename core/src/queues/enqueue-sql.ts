import type { Run } from "../runs/schema.ts";
import { batch, items, statement } from "../statement.ts";

/** A new run of a queue, as its row is made. */
export interface NewJob {
  readonly runId: string;
  readonly workflow: string;
  readonly queue: string;
  readonly input?: unknown;
  readonly inputMeta?: unknown;
  readonly metadata?: unknown;
  /** JSON texts: Postgres has no arrays of arrays of different lengths. */
  readonly tags: string;
  readonly webhooks: string;
  readonly idempotencyKey?: string | undefined;
  readonly bodyHash: string;
  readonly dedupeKey?: string | undefined;
  readonly priority: number;
  readonly runAt?: string | undefined;
  readonly delayMs?: number | undefined;
  readonly ttlMs?: number | undefined;
  readonly deadlineMs?: number | undefined;
  readonly maxAttempts: number;
  readonly backoffMinMs?: number | undefined;
  readonly backoffMaxMs?: number | undefined;
  readonly backoffFactor?: number | undefined;
  readonly concurrencyKey?: string | undefined;
  readonly maxSteps: number;
  readonly actor: string;
}

const given = items({
  run_id: "uuid",
  workflow: "text",
  queue: "text",
  input: "text",
  input_meta: "text",
  metadata: "text",
  tags: "text",
  webhooks: "text",
  idempotency_key: "text",
  body_hash: "text",
  dedupe_key: "text",
  priority: "smallint",
  run_at: "timestamptz",
  delay_ms: "bigint",
  ttl_ms: "bigint",
  deadline_ms: "bigint",
  max_attempts: "int",
  backoff_min_ms: "bigint",
  backoff_max_ms: "bigint",
  backoff_factor: "real",
  concurrency_key: "text",
  max_steps: "int",
  actor: "text",
});

/** All in one commit, by the function that users call in transactions of their own. */
export const enqueue = batch<
  NewJob,
  {
    i: number;
    runId: string;
    status: Run["status"];
    outcome: "created" | "existing" | "deduplicated" | "idempotency_conflict";
  }
>("runs.enqueue")`
  with ${given}
  select made.i, made.run_id, made.status, made.outcome
    from tidebase.enqueue_runs((select array_agg(row(run_id, workflow, queue, input, input_meta, metadata,
        case when tags = '[]' then '{}' else array(select json_array_elements_text(tags::json)) end,
        case when webhooks = '[]' then '{}' else array(select webhook_id from tidebase.webhooks w
          where w.name in (select json_array_elements_text(webhooks::json))) end,
        idempotency_key, body_hash, dedupe_key, priority, run_at, delay_ms, ttl_ms, deadline_ms, max_attempts,
        backoff_min_ms, backoff_max_ms, backoff_factor, concurrency_key, null, null, null, false, max_steps, actor
      )::tidebase.new_run order by i) from item)) made
   order by made.i`;

/**
 * Runs without an idempotency or dedupe key and without webhooks of their own: nothing can be in their way but a run of
 * the same id, so they are inserted as they are. `met`: there is such a run, and `enqueue` says which.
 */
export const enqueuePlain = batch<NewJob, { i: number; outcome: "created" | "met" }>(
  "runs.enqueue_plain",
)`
  with ${given}, clock as materialized (
    select tidebase.now() as at
  ), made as (
    insert into tidebase.runs (run_id, workflow, status, queue, body_hash, tags, priority, run_at, expires_at, deadline_at,
      max_attempts, backoff_min_ms, backoff_max_ms, backoff_factor, concurrency_key, max_steps, last_seq, created_at)
    select run_id, workflow, 'queued', queue, body_hash,
      case when tags = '[]' then '{}' else array(select json_array_elements_text(tags::json)) end, priority,
      coalesce(run_at, at + coalesce(delay_ms, 0) * interval '1 ms'), at + ttl_ms * interval '1 ms',
      at + deadline_ms * interval '1 ms', max_attempts, backoff_min_ms, backoff_max_ms, backoff_factor, concurrency_key,
      max_steps, 1, at from item cross join clock order by i
    on conflict do nothing returning run_id
  ), kept as (
    insert into tidebase.payloads (run_id, input, input_meta, metadata)
    select run_id, input, input_meta, metadata from made join item using (run_id)
  ), logged as (
    insert into tidebase.events (run_id, seq, type, at, data)
    select run_id, 1, 'run.queued', at, jsonb_strip_nulls(jsonb_build_object('workflow', workflow, 'queue', queue, 'actor', actor))
      from made join item using (run_id) cross join clock
  )
  select i, case when made.run_id is null then 'met' else 'created' end as outcome
    from item left join made using (run_id) order by i`;

/** Those of the names that no webhook has. */
export const unknownWebhooks = statement<{ names: readonly string[] }, { name: string }>(
  "webhooks.unknown",
)`
  select given.name from unnest($names::text[]) given (name)
   where (select w.webhook_id from tidebase.webhooks w where w.name = given.name collate "C" limit 1) is null`;
