import type { JsonText } from "../json-text.ts";
import { fragment, statement } from "../statement.ts";
import type { StepRow } from "./fork-rules.ts";
import type { Run } from "./schema.ts";

/*
 * All that was written by the moment at_seq is decided by the log up to it, which never changes: so a fork takes no lock on
 * its source, and the statement that makes it keeps what the plan before it said. What is not told by an event of its own
 * (a label, that a signal was taken) was there if it was written before the next event.
 */

const STEP_EVENTS = fragment`type in ('step.begun', 'step.completed', 'step.failed', 'step.reviewed', 'step.copied')`;

/**
 * Every step of the source with its first event and, where it was completed by the moment, the event that did it. No table
 * of names is joined with another: a plan made for a small store would compare each with each.
 */
const told = fragment`told as materialized (
    select data ->> 'name' as name, data ->> 'key' as key, min(seq) as first_seq, max(seq) filter (
        where seq <= $at_seq::bigint and (type in ('step.completed', 'step.copied')
          or type = 'step.reviewed' and data ->> 'decision' = 'completed')) as seq
      from tidebase.events where run_id = $run_id::uuid and ${STEP_EVENTS} group by 1, 2
  )`;

/** A join of a fan-out whose results, too large together, stay with the source's children. */
const isAside = fragment`(name like 'join:%' and starts_with(output, '{"resultsStayWithChildren":true'))`;

/** The steps that were completed by the moment; not a join whose results stay with the source's children. */
const kept = fragment`${told}, kept as materialized (
    select s.name, s.key, told.seq from told cross join lateral (
      select name, key from tidebase.steps where (run_id, name, key) = ($run_id::uuid, told.name, told.key)
         and status = 'completed' and not ${isAside} limit 1) s
     where told.seq is not null
  )`;

/** When the next event was written; nothing was when there is none. */
const next = fragment`next as materialized (
    select min(at) as at from tidebase.events where (run_id, seq) = ($run_id::uuid, $at_seq::bigint + 1)
  )`;

/** The version that each stream of the state had. */
const streams = fragment`stream as materialized (
    select data ->> 'stream' as stream, max((data ->> 'version')::bigint) as version from tidebase.events
     where run_id = $run_id::uuid and seq <= $at_seq::bigint and type in ('state.set', 'state.patched', 'state.copied')
     group by 1
  )`;

/** Signals that had been sent, and that nothing had taken yet. */
const signals = fragment`signal as materialized (
    select s.seq from tidebase.signals s cross join next
     where s.run_id = $run_id::uuid and s.seq <= $at_seq::bigint
       and (s.taken_at is null or coalesce(next.at <= s.taken_at, false))
  )`;

/** Sleeps and timeouts that were over, but not recorded. The step that shall run again is not among them. */
const timers = fragment`elapsed as materialized (
    select t.name, t.key from tidebase.timers t
     where t.run_id = $run_id::uuid
       and t.due_at <= (select at from tidebase.events where (run_id, seq) = ($run_id::uuid, $at_seq::bigint))
       and (t.name, t.key) is distinct from ($from_name::text, $from_key::text)
       and (t.name, t.key) not in (select name, key from kept)
  )`;

interface Moment {
  readonly runId: string;
  readonly atSeq: number;
  readonly fromName?: string | undefined;
  readonly fromKey?: string | undefined;
}

/** The source, and the first event of the step that a fork departs before. No row when the run is unknown. */
export const source = statement<
  { runId: string; name?: string | undefined; key?: string | undefined },
  Pick<Run, "workflow" | "queue" | "resumeHint" | "erasedAt"> & {
    seq: number;
    firstSeq: number | null;
  }
>("forks.source")`
  select r.workflow, r.queue, r.last_seq as seq, r.erased_at, h.resume_hint, (
      select min(e.seq) from tidebase.events e
       where e.run_id = r.run_id and ${STEP_EVENTS}
         and (e.data ->> 'name', e.data ->> 'key') = ($name::text, $key::text)) as first_seq
    from tidebase.runs r left join tidebase.holders h using (run_id) where r.run_id = $run_id::uuid`;

/** Every step of the source; `keptSeq` is null where the fork does not keep it, `firstSeq` the step's first event. */
export const steps = statement<Moment, StepRow>("forks.steps")`
  with ${told}
  select s.name, s.key, s.status, s.reason, told.first_seq, s.aside and told.seq is not null as aside,
    case when told.seq is null or s.aside then s.contract end as contract, case when not s.aside then told.seq end as kept_seq
    from told cross join lateral (
      select name, key, status, reason, contract, status = 'completed' and ${isAside} as aside from tidebase.steps
       where (run_id, name, key) = ($run_id::uuid, told.name, told.key) limit 1) s
   order by coalesce(told.seq, told.first_seq), told.first_seq`;

/** What besides its steps the fork begins with, and what it would ask for anew. */
export const surroundings = statement<
  Moment,
  {
    streams: JsonText;
    signals: number;
    gates: JsonText;
    children: JsonText;
    timers: JsonText;
  }
>("forks.surroundings")`
  with ${kept}, ${next}, ${streams}, ${signals}, ${timers}
  select (select count(*) from signal) as signals,
    (select coalesce(jsonb_agg(to_jsonb(s) order by stream), '[]') from (
       select stream, version from stream order by stream limit 200) s) as streams,
    (select coalesce(jsonb_agg(to_jsonb(g)), '[]') from (
       select name, key, status from tidebase.gates where run_id = $run_id::uuid order by opened_at, gate_id limit 200) g) as gates,
    (select coalesce(jsonb_agg(to_jsonb(c)), '[]') from (
       select c.name, c.key, 'run_' || r.run_id as "runId", r.status
         from tidebase.children c join tidebase.runs r on r.run_id = c.child_run_id
        where c.parent_run_id = $run_id::uuid and ('child:' || c.name, c.key) not in (select name, key from kept)
          and ('join:' || c.name, '') not in (select name, key from kept)
        order by c.ordinal limit 200) c) as children,
    (select coalesce(jsonb_agg(to_jsonb(t)), '[]') from (
       select name, key from tidebase.timers t where t.run_id = $run_id::uuid
          and (name, key) not in (select name, key from kept union all select name, key from elapsed)
        order by due_at, name, key limit 200) t) as timers`;

/**
 * Makes the fork with all that is copied into it. Its log begins with its creation and goes on with what was copied, in the
 * order of the source's log. `again`: lost to a row that is newer than this snapshot.
 */
export const fork = statement<
  Moment & {
    forkRunId: string;
    bodyHash: string;
    asOf?: number | undefined;
    queue: string | null;
    editName?: string | undefined;
    editKey?: string | undefined;
    output?: JsonText | undefined;
    outputMeta?: JsonText | undefined;
    inputGiven: boolean;
    input?: JsonText | undefined;
    inputMeta?: JsonText | undefined;
    actor: string;
    reason?: string | undefined;
  },
  {
    status: Run["status"];
    seq: number;
    outcome:
      | "forked"
      | "existing"
      | "idempotency_conflict"
      | "run_erased"
      | "run_changed"
      | "again";
  }
>("runs.fork")`
  with source as materialized (
    select * from tidebase.runs where run_id = $run_id::uuid
  ), ${kept}, ${next}, ${streams}, ${signals}, ${timers}, copied as materialized (
    select kind, source_seq, name, key, version, 1 + row_number() over (order by source_seq, kind, name, key) as seq from (
      select 'step' as kind, seq as source_seq, name, key, null::bigint as version from kept
      union all
      select 'signal', seq, null, null, null from signal
      union all
      select 'state', $at_seq::bigint + 1, stream, null, version from stream) c
  ), made as (
    insert into tidebase.runs (run_id, workflow, status, body_hash, tags, max_steps, step_count, last_seq, created_at, queue,
      priority, run_at, max_attempts, backoff_min_ms, backoff_max_ms, backoff_factor, concurrency_key, key_limit,
      forked_from_run_id, forked_at_seq)
    select $fork_run_id::uuid, r.workflow, case when $queue::text is null then 'pending' else 'queued' end, $body_hash::text,
      r.tags, r.max_steps, (select count(*) from kept), 1 + (select count(*) from copied), tidebase.now(), $queue::text,
      case when same then r.priority else 0 end, case when $queue::text is not null then tidebase.now() end,
      case when same then r.max_attempts when $queue::text is not null then 3 end,
      case when same then r.backoff_min_ms end, case when same then r.backoff_max_ms end,
      case when same then r.backoff_factor end, case when same then r.concurrency_key end,
      case when same then r.key_limit end, r.run_id, $at_seq::bigint
      from source r cross join lateral (select coalesce(r.queue = $queue::text, false) as same) q
     where coalesce(r.last_seq = $as_of::bigint, true) and r.erased_at is null
    on conflict do nothing
    returning run_id, status, workflow, queue
  ), stored as (
    insert into tidebase.payloads (run_id, input, input_meta, metadata)
    select made.run_id, case when $input_given::boolean then $input::text else p.input end,
      case when $input_given::boolean then $input_meta::text else p.input_meta end, p.metadata
      from made left join tidebase.payloads p on p.run_id = $run_id::uuid
  ), followed as (
    insert into tidebase.run_webhooks (run_id, webhook_id)
    select made.run_id, n.webhook_id from made join tidebase.run_webhooks n on n.run_id = $run_id::uuid
  ), stepped as (
    insert into tidebase.steps (run_id, name, key, status, on_unknown, epoch, attempt, reason, contract, input_hash, input,
      output, output_meta, begun_at, ended_at)
    select made.run_id, s.name, s.key, s.status, s.on_unknown, 0, s.attempt, case when edited then 'edited' else s.reason end,
      s.contract, s.input_hash, s.input, case when edited then $output::text else s.output end,
      case when edited then $output_meta::text else s.output_meta end, s.begun_at, s.ended_at
      from made cross join kept cross join lateral (
        select * from tidebase.steps where (run_id, name, key) = ($run_id::uuid, kept.name, kept.key) limit 1) s
      cross join lateral (select coalesce((s.name, s.key) = ($edit_name::text, $edit_key::text), false) as edited) e
  ), timed as (
    insert into tidebase.timers (run_id, name, key, due_at)
    select made.run_id, t.name, t.key, t.due_at
      from made cross join elapsed e join tidebase.timers t on (t.run_id, t.name, t.key) = ($run_id::uuid, e.name, e.key)
  ), told_again as (
    insert into tidebase.signals (run_id, seq, name, key, payload, sent_by, sent_at)
    select made.run_id, copied.seq, s.name, s.key, s.payload, s.sent_by, s.sent_at
      from made cross join copied join tidebase.signals s on (s.run_id, s.seq) = ($run_id::uuid, copied.source_seq)
     where copied.kind = 'signal'
  ), streamed as (
    insert into tidebase.streams (run_id, stream, version) select made.run_id, stream, version from made cross join stream
  ), versioned as (
    insert into tidebase.versions (run_id, stream, version, kind, body, write_key, reason, importance, created_by, created_at)
    select made.run_id, v.stream, v.version, v.kind, v.body, v.write_key, v.reason, v.importance, v.created_by, v.created_at
      from made cross join stream join tidebase.versions v on v.run_id = $run_id::uuid and v.stream = stream.stream
       and v.version <= stream.version
  ), cached as (
    insert into tidebase.keyframes (run_id, stream, version, body)
    select made.run_id, k.stream, k.version, k.body from made cross join stream cross join lateral (
      select * from tidebase.keyframes k where k.run_id = $run_id::uuid and k.stream = stream.stream
         and k.version <= stream.version order by k.version desc limit 1) k
  ), labeled as (
    insert into tidebase.labels
      (run_id, stream, version, label, reason, importance, target_type, target_ref, write_keys, created_at)
    select made.run_id, l.stream, l.version, l.label, l.reason, l.importance, l.target_type, l.target_ref, l.write_keys,
      l.created_at
      from made cross join next cross join stream join tidebase.labels l on l.run_id = $run_id::uuid and l.stream = stream.stream
       and l.version <= stream.version and coalesce(l.created_at < next.at, true)
  ), logged as (
    insert into tidebase.events (run_id, seq, type, at, data)
    select run_id, 1, 'run.created', tidebase.now(), jsonb_strip_nulls(jsonb_build_object('workflow', workflow, 'queue', queue,
        'actor', $actor::text, 'forkedFrom', jsonb_build_object('runId', 'run_' || $run_id::uuid, 'atSeq', $at_seq::bigint),
        'keptSteps', (select count(*) from kept), 'edited', case when $edit_name::text is not null then
          jsonb_build_object('name', $edit_name::text, 'key', $edit_key::text) end, 'reason', $reason::text)) from made
    union all
    select run_id, copied.seq, kind || '.copied', tidebase.now(), jsonb_strip_nulls(case kind
        when 'step' then jsonb_build_object('name', name, 'key', key, 'edited',
          case when (name, key) = ($edit_name::text, $edit_key::text) then true end)
        when 'signal' then (select jsonb_build_object('name', s.name, 'key', s.key) from tidebase.signals s
           where (s.run_id, s.seq) = ($run_id::uuid, source_seq))
        else jsonb_build_object('stream', name, 'version', version) end)
      from made cross join copied
  ), same as (
    select status, body_hash from tidebase.runs where run_id = $fork_run_id::uuid
  )
  select coalesce(made.status, same.status) as status, source.last_seq as seq, case
      when made.run_id is not null then 'forked'
      when same.body_hash in ($body_hash::text, 'sql:erased') then 'existing'
      when same.body_hash is not null then 'idempotency_conflict'
      when source.erased_at is not null then 'run_erased'
      when source.last_seq <> $as_of::bigint then 'run_changed'
      else 'again' end as outcome
    from source left join made on true left join same on true`;
