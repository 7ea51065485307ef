import type { z } from "zod";
import type { JsonText } from "../json-text.ts";
import { held, lease, type Refused, refused } from "../leases/fence.ts";
import { fragment, sharedBatch, sharedItems, statement, withLone } from "../statement.ts";
import type { OnUnknown, StepBegin, StepCompletion, StepFailure, StepRecord } from "./schema.ts";

const step = {
  ...lease,
  name: "text",
  key: "text",
  attempt: "int",
  input_hash: "text",
  input: "text",
  contract: "text",
  on_unknown: "text",
};

/**
 * The items that may write: their lease is good, and the step is known or still fits the run. Steps are
 * looked up only where the run is nearly full. One instant for all that the statement writes.
 */
const admitted = fragment`admitted as materialized (
    select ranked.*, (select tidebase.now()) as at from (
      select held.*, row_number() over (partition by run_id order by i) as nth from held where fenced
    ) ranked
     where step_count + nth <= max_steps
        or (select true from tidebase.steps s where (s.run_id, s.name, s.key) = (ranked.run_id, ranked.name, ranked.key))
        or step_count + (
          select count(*) from held earlier where earlier.run_id = ranked.run_id and earlier.i <= ranked.i
             and (select true from tidebase.steps s
                   where (s.run_id, s.name, s.key) = (earlier.run_id, earlier.name, earlier.key)) is null
        ) <= max_steps
  )`;

/**
 * Event numbers for what `written` wrote, counted on from the locked run; the write renews the
 * lease.
 */
const counted = fragment`numbered as materialized (
    select i, written.*, admitted.attempt, admitted.at,
      admitted.last_seq + row_number() over (partition by run_id order by i) as seq
      from admitted join written using (run_id, name, key)
  ), counted as (
    update tidebase.runs r
       set last_seq = n.seq, step_count = r.step_count + n.fresh, lease_expires_at = n.at + r.lease_ms * interval '1 ms'
      from (select run_id, max(seq) as seq, max(at) as at, count(*) filter (where fresh) as fresh
              from numbered group by run_id) n
     where r.run_id = n.run_id and r.run_id = any (array(select run_id from numbered))
  )`;

/**
 * `s` is as old as the snapshot: what this statement wrote is known from `numbered` alone. Unless the run
 * moved while its lock was waited for, `s` is what the locked run holds.
 */
const answered = fragment`from item left join held using (i) left join admitted using (i) left join numbered using (i)
    left join lateral (
      select last_seq from tidebase.runs where run_id = item.run_id and numbered.i is null limit 1
    ) seen on true
    left join lateral (
      select * from tidebase.steps
       where (run_id, name, key) = (item.run_id, item.name, item.key) and numbered.i is null limit 1
    ) s on true
   order by i`;

type Kept = { input?: unknown; contract?: unknown; onUnknown: OnUnknown };

/** Writes the intent before the effect. A step that is settled answers with what is recorded. */
export const begin = sharedBatch<
  Omit<StepBegin, keyof Kept> & Kept,
  {
    i: number;
    output: JsonText | null;
    outputMeta: JsonText | null;
    inputHash: string | null;
    input: JsonText | null;
    outcome:
      | Refused
      | "execute"
      | "replayed"
      | "input_mismatch"
      | "manual_review_required"
      | "step_failed"
      | "run_too_long"
      | "again";
  }
>("steps.begin")`
  with ${sharedItems(step)}, ${held}, ${admitted}, written as (
    insert into tidebase.steps as s
      (run_id, name, key, status, on_unknown, epoch, attempt, input_hash, input, contract, begun_at)
    select run_id, name, key, 'begun', on_unknown, epoch, attempt, input_hash, input, contract, at from admitted
    on conflict (run_id, name, key) do update
       set status = 'begun', on_unknown = excluded.on_unknown, epoch = excluded.epoch, attempt = excluded.attempt,
           input_hash = excluded.input_hash, input = excluded.input, contract = excluded.contract,
           begun_at = excluded.begun_at, ended_at = null, retry_at = null, reason = null
     where (s.epoch, s.attempt) < (excluded.epoch, excluded.attempt)
       and (s.status = 'failed_retryable'
         or s.status = 'begun' and (s.on_unknown = 'failed_retryable'
           or s.epoch = excluded.epoch and s.retry_at is not null))
    returning s.run_id, s.name, s.key, s.xmax = 0 as fresh
  ), ${counted}, logged as (
    insert into tidebase.events (run_id, seq, type, at, data)
    select run_id, seq, 'step.begun', at,
      jsonb_build_object('name', name, 'key', key, 'attempt', attempt) from numbered
  )
  select i, s.output, s.output_meta, s.input_hash, s.input, case ${refused}
      when numbered.i is not null then 'execute'
      when s.status = 'completed' and s.input_hash <> item.input_hash
        and split_part(s.input_hash, ':', 1) = split_part(item.input_hash, ':', 1) then 'input_mismatch'
      when s.status = 'completed' then 'replayed'
      when held.last_seq <> seen.last_seq then 'again'
      when admitted.i is null then 'run_too_long'
      when (s.epoch, s.attempt, s.status) = (item.epoch, item.attempt, 'begun') then 'execute'
      when s.status = 'failed' or s.status = 'begun' and s.on_unknown = 'failed' then 'step_failed'
      when s.status = 'manual_review' or s.on_unknown = 'manual_review' then 'manual_review_required'
      else 'execute' end as outcome
  ${answered}`;

type Completion = Omit<StepCompletion, keyof Kept | "output" | "outputMeta"> &
  Kept & { output: JsonText | undefined; outputMeta: JsonText | undefined };

/** What a completion may take the place of: what is not settled, and begun by this lease or safe to run again. */
const completed = fragment`on conflict (run_id, name, key) do update
       set status = 'completed', on_unknown = excluded.on_unknown, epoch = excluded.epoch, attempt = excluded.attempt,
           input_hash = excluded.input_hash, input = excluded.input,
           contract = coalesce(excluded.contract, s.contract), output = excluded.output,
           output_meta = excluded.output_meta, error = null, reason = null, retry_at = null, ended_at = excluded.ended_at
     where s.status in ('begun', 'failed_retryable')
       and (s.epoch = excluded.epoch or 'failed_retryable' in (s.status, s.on_unknown))`;

/**
 * The short way of a completion that travels alone, as most do: half the time of the batch, which pays
 * for arrays and joins (docs/adr/0007). It records the step or changes nothing and says `again`.
 */
const completeLone = statement<Completion, { i: number; outcome: "completed" | "again" }>(
  "steps.complete_lone",
)`
  with held as materialized (
    select last_seq from tidebase.runs
     where run_id = $run_id::uuid and (epoch, grant_id, status) = ($epoch::bigint, $grant_id::uuid, 'running')
       and step_count < max_steps for no key update
  ), written as (
    insert into tidebase.steps as s
      (run_id, name, key, status, on_unknown, epoch, attempt, input_hash, input, contract, output, output_meta, ended_at)
    select $run_id::uuid, $name::text, $key::text, 'completed', $on_unknown::text, $epoch::bigint, $attempt::int,
      $input_hash::text, $input::text, $contract::text, $output::text, $output_meta::text, (select tidebase.now())
      from held
    ${completed}
    returning s.xmax = 0 as fresh, s.ended_at as at
  ), counted as (
    update tidebase.runs r
       set last_seq = r.last_seq + 1, step_count = r.step_count + fresh::int,
           lease_expires_at = at + r.lease_ms * interval '1 ms'
      from written where r.run_id = $run_id::uuid
  ), logged as (
    insert into tidebase.events (run_id, seq, type, at, data)
    select $run_id::uuid, last_seq + 1, 'step.completed', at,
      jsonb_build_object('name', $name::text, 'key', $key::text) from held, written
  )
  select 1 as i, case when (select true from written) then 'completed' else 'again' end as outcome`;

/** Records completions, begun before or not. A repeated request gets the recorded answer. */
export const complete = withLone(
  sharedBatch<
    Completion,
    {
      i: number;
      outcome:
        | Refused
        | "completed"
        | "manual_review_required"
        | "step_failed"
        | "run_too_long"
        | "again";
    }
  >("steps.complete")`
  with ${sharedItems({ ...step, output: "text", output_meta: "text" })}, ${held}, ${admitted}, written as (
    insert into tidebase.steps as s
      (run_id, name, key, status, on_unknown, epoch, attempt, input_hash, input, contract, output, output_meta, ended_at)
    select run_id, name, key, 'completed', on_unknown, epoch, attempt, input_hash, input, contract, output, output_meta, at
      from admitted
    ${completed}
    returning s.run_id, s.name, s.key, s.xmax = 0 as fresh
  ), ${counted}, logged as (
    insert into tidebase.events (run_id, seq, type, at, data)
    select run_id, seq, 'step.completed', at, jsonb_build_object('name', name, 'key', key) from numbered
  )
  select i, case ${refused}
      when numbered.i is not null or s.status = 'completed' then 'completed'
      when held.last_seq <> seen.last_seq then 'again'
      when admitted.i is null then 'run_too_long'
      when s.status = 'failed' then 'step_failed'
      else 'manual_review_required' end as outcome
  ${answered}`,
  completeLone,
);

/**
 * Records failed attempts. Without `retry_in_ms` the failure is final and the step takes the status that
 * its contract gave it; with it the step waits for its next attempt, and the delay is stored.
 */
export const fail = sharedBatch<
  Omit<StepFailure, keyof Kept | "error"> & Kept & { error: unknown },
  {
    i: number;
    outcome:
      | Refused
      | "completed"
      | "failed_retryable"
      | "manual_review"
      | "failed"
      | "run_too_long"
      | "again";
  }
>("steps.fail")`
  with ${sharedItems({ ...step, error: "text", message: "text", reason: "text", retry_in_ms: "bigint" })}, ${held}, ${admitted},
  written as (
    insert into tidebase.steps as s
      (run_id, name, key, status, on_unknown, epoch, attempt, failures, retry_at, reason, input_hash, input, contract,
       error, ended_at)
    select run_id, name, key, case when retry_in_ms is null then on_unknown
        when on_unknown = 'failed_retryable' then 'failed_retryable' else 'begun' end,
      on_unknown, epoch, attempt, case when retry_in_ms is null then 0 else 1 end,
      at + retry_in_ms * interval '1 ms', reason, input_hash, input, contract, error, at
      from admitted
    on conflict (run_id, name, key) do update
       set status = case when excluded.contract is not null then excluded.status
             when excluded.retry_at is null or s.on_unknown = 'failed_retryable' then s.on_unknown else 'begun' end,
           on_unknown = case when excluded.contract is null then s.on_unknown else excluded.on_unknown end,
           epoch = excluded.epoch, attempt = excluded.attempt, failures = case when excluded.failures = 0 then 0 else s.failures + 1 end,
           retry_at = excluded.retry_at, reason = excluded.reason, error = excluded.error,
           input_hash = excluded.input_hash, input = excluded.input,
           contract = coalesce(excluded.contract, s.contract), ended_at = excluded.ended_at
     where s.status in ('begun', 'failed_retryable')
       and (s.epoch = excluded.epoch or 'failed_retryable' in (s.status, s.on_unknown))
       and ((s.epoch, s.attempt) < (excluded.epoch, excluded.attempt)
         or (s.epoch, s.attempt, s.status) = (excluded.epoch, excluded.attempt, 'begun') and s.ended_at is null)
    returning s.run_id, s.name, s.key, s.xmax = 0 as fresh, s.status
  ), ${counted}, logged as (
    insert into tidebase.events (run_id, seq, type, at, data)
    select run_id, seq, 'step.failed', numbered.at, jsonb_strip_nulls(jsonb_build_object('name', name, 'key', key,
        'attempt', numbered.attempt, 'message', admitted.message, 'reason', admitted.reason,
        'retryInMs', admitted.retry_in_ms, 'becomes', case when admitted.retry_in_ms is null then numbered.status end))
      from numbered join admitted using (run_id, name, key)
  )
  select i, case ${refused}
      when numbered.i is not null then case when numbered.status = 'begun' then 'failed_retryable' else numbered.status end
      when s.status = 'completed' then 'completed'
      when held.last_seq <> seen.last_seq then 'again'
      when admitted.i is null then 'run_too_long'
      when s.status = 'begun' and s.epoch = item.epoch then 'failed_retryable'
      when s.status = 'begun' then s.on_unknown
      else s.status end as outcome
  ${answered}`;

/** A step of a page, and what is true of the page; a page without steps is one row without a name. */
export interface JournalRow {
  readonly erased: boolean;
  readonly afterName: string | null;
  readonly afterKey: string | null;
  readonly name: string | null;
  readonly key: string | null;
  readonly inputHash: string | null;
  readonly output: JsonText | null;
  readonly outputMeta: JsonText | null;
}

/**
 * A page of about 8 MB, at least one step. Sizes are summed over narrow rows first and the entries stay unsorted, so no
 * sort ever carries an output.
 */
export const journal = statement<
  { runId: string; afterName: string; afterKey: string },
  JournalRow
>("steps.journal")`
  with sized as materialized (
    select name, key, octet_length(output) + coalesce(octet_length(output_meta), 0) as bytes from tidebase.steps
     where run_id = $run_id::uuid and status = 'completed'
       and (name, key) > ($after_name::text, $after_key::text)
  ), ranked as materialized (
    select name, key, sum(bytes) over preceding - bytes as bytes_before from sized
    window preceding as (order by name, key rows unbounded preceding)
  ), last as materialized (
    select name, key, (select count(*) from ranked where bytes_before >= 8000000) > 0 as more
      from ranked where bytes_before < 8000000 order by name desc, key desc limit 1
  ), entry as not materialized (
    select s.name, s.key, s.input_hash, s.output, s.output_meta
      from last join tidebase.steps s on s.run_id = $run_id::uuid and s.status = 'completed'
       and (s.name, s.key) > ($after_name::text, $after_key::text)
       and (s.name, s.key) <= (last.name, last.key)
  )
  select r.erased_at is not null as erased, last.name as after_name, last.key as after_key,
    entry.name, entry.key, entry.input_hash, entry.output, entry.output_meta
    from tidebase.runs r left join last on last.more left join entry on true where r.run_id = $run_id::uuid`;

const recorded = fragment`name, key, status, attempt, epoch, contract, input_hash, reason, error,
    octet_length(output) as output_bytes, begun_at, ended_at`;

/** By name and key. */
export const list = statement<
  { runId: string; afterName: string; afterKey: string; limit: number },
  z.output<typeof StepRecord>
>("steps.list")`
  select ${recorded} from tidebase.steps
   where run_id = $run_id::uuid and (name, key) > ($after_name::text, $after_key::text)
   order by name, key limit $limit::int`;

/** One step with its payloads; no row when there is none. */
export const get = statement<
  { runId: string; name: string; key: string },
  z.output<typeof StepRecord> & Record<"input" | "output" | "outputMeta", JsonText | null>
>("steps.get")`
  select ${recorded}, input, output, output_meta from tidebase.steps
   where run_id = $run_id::uuid and name = $name::text and key = $key::text`;
