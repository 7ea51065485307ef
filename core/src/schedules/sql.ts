import type { JsonText } from "../json-text.ts";
import { notQuarantined } from "../quarantine-sql.ts";
import type { Run } from "../runs/schema.ts";
import { type Fragment, fragment, statement } from "../statement.ts";
import type { Fire, Schedule } from "./schema.ts";

/** What lists show of a schedule `s` and its last fire `f`. */
const entry = fragment`s.schedule_id, s.name, s.workflow, s.cron, s.timezone, s.queue, s.priority, s.max_attempts, s.deadline_ms,
    s.tags, s.metadata, s.catch_up, s.overlap, s.revision, s.created_at, s.paused_at, s.paused_by, s.failures, s.last_error,
    s.next_fire_at, f.fire_at as last_fire_at, f.kind as last_kind, f.outcome as last_outcome, f.reason as last_reason,
    f.until as last_until, f.count as last_count, f.run_id as last_run_id, f.at as last_at, tidebase.now() as now`;

const lastFire = fragment`left join lateral (
      select * from tidebase.schedule_fires where schedule_id = s.schedule_id order by fire_at desc, kind desc limit 1
    ) f on true`;

/** A row of `entry`. */
export type ScheduleRow = Omit<Schedule, "paused" | "nextFires" | "lastFire"> & {
  /** The database's clock. */
  readonly now: string;
  readonly lastFireAt: string | null;
  readonly lastKind: Fire["kind"];
  readonly lastOutcome: Fire["outcome"];
  readonly lastReason: string | null;
  readonly lastUntil: string;
  readonly lastCount: number;
  readonly lastRunId: string | null;
  readonly lastAt: string;
};

export type FullRow = ScheduleRow & {
  readonly input: JsonText | null;
  readonly inputMeta: JsonText | null;
  /** The last instant of the cron expression that has a row. */
  readonly firedUntil: string | null;
};

/** One schedule, with all that a change of it is decided on. */
export const get = statement<{ name: string }, FullRow>("schedules.get")`
  select ${entry}, s.input, s.input_meta, (
      select until from tidebase.schedule_fires
       where schedule_id = s.schedule_id and kind = 'cron' order by fire_at desc limit 1) as fired_until
    from tidebase.schedules s ${lastFire} where s.name = $name::text collate "C"`;

/** The database's clock, for a schedule that does not exist yet. */
export const clock = statement<object, { now: string }>("schedules.clock")`
  select tidebase.now() as now`;

/** Newest first; one row more than the page tells that there is another. */
export const list = statement<
  { beforeAt?: string | undefined; beforeId?: string | undefined; limit: number },
  ScheduleRow & { position: string }
>("schedules.list")`
  select ${entry}, (s.created_at at time zone 'UTC')::text || 'Z' as position
    from (
      select * from tidebase.schedules
       where (created_at, schedule_id) < (coalesce($before_at::timestamptz, 'infinity'),
         coalesce($before_id::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
       order by created_at desc, schedule_id desc limit $limit::int
    ) s ${lastFire} order by s.created_at desc, s.schedule_id desc`;

export type FireRow = Fire & { readonly scheduleId: string; readonly position: string };

/** The latest fires first; one row more than the page tells that there is another. No row when the schedule is unknown. */
export const fires = statement<
  {
    name: string;
    beforeAt?: string | undefined;
    beforeKind?: string | undefined;
    limit: number;
  },
  FireRow | { fireAt: null }
>("schedules.fires")`
  select s.schedule_id, f.fire_at, f.kind, f.outcome, f.reason, f.until, f.count, f.run_id, f.at,
    (f.fire_at at time zone 'UTC')::text || 'Z' as position
    from tidebase.schedules s left join lateral (
      select * from tidebase.schedule_fires
       where schedule_id = s.schedule_id
         and (fire_at, kind::text) < (coalesce($before_at::timestamptz, 'infinity'), coalesce($before_kind::text, ''))
       order by fire_at desc, kind desc limit $limit::int
    ) f on true where s.name = $name::text collate "C" order by f.fire_at desc, f.kind desc`;

/** What a put says, with the payloads as text. */
export interface Content {
  readonly name: string;
  readonly workflow: string;
  readonly queue: string;
  readonly cron: string;
  readonly timezone: string;
  readonly catchUp: Schedule["catchUp"];
  readonly overlap: Schedule["overlap"];
  readonly input: JsonText | undefined;
  readonly inputMeta: JsonText | undefined;
  readonly metadata: JsonText | undefined;
  readonly tags: readonly string[];
  readonly priority: number;
  readonly maxAttempts: number;
  readonly deadlineMs?: number | undefined;
}

/** A schedule as it is to be from now on. `actor` is who pauses it. */
interface Written extends Content {
  readonly paused: boolean;
  readonly nextFireAt: string | undefined;
  readonly actor: string;
}

/** No row when the name is taken. */
export const create = statement<Written & { scheduleId: string }, { scheduleId: string }>(
  "schedules.create",
)`
  insert into tidebase.schedules (schedule_id, name, workflow, queue, cron, timezone, catch_up, overlap, input, input_meta,
    metadata, tags, priority, max_attempts, deadline_ms, revision, next_fire_at, paused_at, paused_by, created_at)
  values ($schedule_id::uuid, $name::text, $workflow::text, $queue::text, $cron::text, $timezone::text, $catch_up::text,
    $overlap::text, $input::text, $input_meta::text, $metadata::text, $tags::text[], $priority::smallint, $max_attempts::int,
    $deadline_ms::bigint, 1, $next_fire_at::timestamptz, case when $paused::boolean then tidebase.now() end,
    case when $paused::boolean then $actor::text end, tidebase.now())
  on conflict (name) do nothing returning schedule_id`;

/** No row when somebody changed the schedule since it was read or, where the next fire `moves`, it fired meanwhile. */
export const change = statement<
  Written & { revision: number; moves: boolean; seenFireAt: string | null },
  { scheduleId: string }
>("schedules.change")`
  update tidebase.schedules s set workflow = $workflow::text, queue = $queue::text, cron = $cron::text,
    timezone = $timezone::text, catch_up = $catch_up::text, overlap = $overlap::text, input = $input::text,
    input_meta = $input_meta::text, metadata = $metadata::text, tags = $tags::text[], priority = $priority::smallint,
    max_attempts = $max_attempts::int, deadline_ms = $deadline_ms::bigint, revision = s.revision + 1,
    next_fire_at = case when $moves::boolean then $next_fire_at::timestamptz else s.next_fire_at end,
    paused_at = case when $paused::boolean then coalesce(s.paused_at, tidebase.now()) end,
    paused_by = case when not $paused::boolean then null when s.paused_at is null then $actor::text else s.paused_by end,
    failures = 0, last_error = null
   where s.name = $name::text collate "C" and s.revision = $revision::int
     and (not $moves::boolean or date_trunc('milliseconds', s.next_fire_at) is not distinct from $seen_fire_at::timestamptz)
  returning s.schedule_id`;

/**
 * The schedule and its history; its runs stay. `again`: whoever changed the row while it was waited for may have
 * written a fire that this snapshot does not show. No row when it is unknown.
 */
export const remove = statement<
  { name: string },
  { scheduleId: string; outcome: "gone" | "again" }
>("schedules.remove")`
  with seen as materialized (
    select schedule_id, xmin as version from tidebase.schedules where name = $name::text collate "C"
  ), held as materialized (
    select schedule_id, xmin as version from tidebase.schedules where name = $name::text collate "C" for update
  ), gone as (
    delete from tidebase.schedules
     where schedule_id = any (array(select schedule_id from held join seen using (schedule_id, version))) returning schedule_id
  ), forgotten as (
    delete from tidebase.schedule_fires where schedule_id = any (array(select schedule_id from gone))
  )
  select held.schedule_id, case when gone.schedule_id is null then 'again' else 'gone' end as outcome
    from held left join gone using (schedule_id)`;

/** The run of a fire of the locked schedule `s`. */
function runOf(own: Record<"id" | "metadata" | "key" | "body" | "maxSteps" | "actor", Fragment>) {
  return fragment`array[row(${own.id}, s.workflow, s.queue, s.input, s.input_meta, ${own.metadata}, s.tags, null, ${own.key},
      ${own.body}, null, s.priority, null, null, null, s.deadline_ms, s.max_attempts, null, null, null, null, null,
      s.schedule_id, null, false, ${own.maxSteps}, ${own.actor})::tidebase.new_run]`;
}

/** Everything of a locked schedule that its run is made of. */
const material = fragment`s.schedule_id, s.workflow, s.queue, s.input, s.input_meta, s.tags, s.priority, s.max_attempts,
    s.deadline_ms, tidebase.now() as at`;

/**
 * Makes a run now, and its row of kind `manual` with it. The row is rewritten as it was, so that whoever deletes the
 * schedule meanwhile notices. `head` is the run's metadata without its last member, the instant. An idempotency key
 * stands for the schedule, whatever that says by now. No row when the schedule was changed since it was read.
 */
export const trigger = statement<
  {
    name: string;
    revision: number;
    runId: string;
    head: string;
    idempotencyKey?: string | undefined;
    maxSteps: number;
    actor: string;
  },
  {
    runId: string;
    status: Run["status"];
    outcome: "created" | "existing" | "idempotency_conflict";
  }
>("schedules.trigger")`
  with s as (
    update tidebase.schedules s set revision = s.revision
     where s.name = $name::text collate "C" and s.revision = $revision::int returning ${material}
  ), made as materialized (
    select m.run_id, m.status, m.outcome from s cross join lateral tidebase.make_runs(${runOf({
      id: fragment`$run_id::uuid`,
      metadata: fragment`left($head::text, -1) || ',"fireAt":"'
        || to_char(date_trunc('milliseconds', s.at at time zone 'UTC'), 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') || '"}'`,
      key: fragment`$idempotency_key::text`,
      body: fragment`'fire:' || s.schedule_id`,
      maxSteps: fragment`$max_steps::int`,
      actor: fragment`$actor::text`,
    })}) m
  ), noted as (
    insert into tidebase.schedule_fires (schedule_id, fire_at, kind, outcome, until, count, run_id, at)
    select s.schedule_id, s.at, 'manual', 'manual', s.at, 1, made.run_id, s.at from s cross join made
     where made.outcome = 'created'
  )
  select run_id, status, outcome from made`;

/** Whether a schedule has something to do; after five failures it rests. */
export const isDue = fragment`exists (select from tidebase.schedules
    where paused_at is null and failures < 5 and next_fire_at <= (select tidebase.now()))`;

/** A schedule that has something to do. */
export interface Due {
  readonly scheduleId: string;
  readonly name: string;
  readonly revision: number;
  readonly cron: string;
  readonly timezone: string;
  readonly catchUp: Schedule["catchUp"];
  readonly metadata: JsonText | null;
  readonly nextFireAt: string;
  readonly now: string;
}

/** The longest overdue first. */
export const due = statement<{ limit: number }, Due>("schedules.due")`
  select schedule_id, name, revision, cron, timezone, catch_up, metadata, next_fire_at, tidebase.now() as now
    from tidebase.schedules where paused_at is null and failures < 5 and next_fire_at <= (select tidebase.now())
   order by next_fire_at limit $limit::int`;

/**
 * One step of a schedule in one commit: its next fire moves on, the row is written, and the run made if it fires. All of
 * it only while the schedule stands where the step was planned (`moved` otherwise): the comparison is made on the
 * locked row, so of two that planned the same step one does it. The key of the row is the second lock: an instant that
 * has one (`known`) makes no run. `overlap: skip` holds a fire back while a run of the schedule is active.
 */
export const fire = statement<
  {
    scheduleId: string;
    revision: number;
    plannedAt: string;
    act: "fire" | "skip";
    firesAs: Fire["outcome"];
    until: string;
    count: number;
    nextFireAt: string | undefined;
    runId: string;
    metadata: JsonText;
    maxSteps: number;
  },
  { runId: string | null; now: string; outcome: Fire["outcome"] | "known" | "moved" }
>("schedules.fire")`
  with s as (
    update tidebase.schedules s set next_fire_at = $next_fire_at::timestamptz, failures = 0, last_error = null
     where s.schedule_id = $schedule_id::uuid and s.revision = $revision::int and s.paused_at is null
       and date_trunc('milliseconds', s.next_fire_at) = $planned_at::timestamptz and s.next_fire_at <= tidebase.now()
    returning ${material}, s.overlap
  ), noted as (
    insert into tidebase.schedule_fires (schedule_id, fire_at, kind, outcome, reason, until, count, run_id, at)
    select s.schedule_id, $planned_at::timestamptz, 'cron', case when reason is null then $fires_as::text else 'skipped' end,
      reason, $until::timestamptz, $count::int, case when reason is null then $run_id::uuid end, s.at
      from s cross join lateral (
        select case
          when $act::text = 'skip' then 'missed'
          when s.overlap = 'skip' and exists (
            select from tidebase.runs r
             where r.schedule_id = s.schedule_id and r.status not in ('completed', 'cancelled') and r.status <> 'failed'
          ) then 'overlap' end as reason offset 0
      ) held_back
    on conflict (schedule_id, fire_at, kind) do nothing
    returning outcome, run_id
  ), made as materialized (
    select m.run_id from s join noted on noted.run_id is not null cross join lateral tidebase.make_runs(${runOf(
      {
        id: fragment`$run_id::uuid`,
        metadata: fragment`$metadata::text`,
        key: fragment`null`,
        body: fragment`'fire:' || $run_id::uuid`,
        maxSteps: fragment`$max_steps::int`,
        actor: fragment`'tidebase'`,
      },
    )}) m
  ), replaced as (
    insert into tidebase.superseded (run_id, at)
    select r.run_id, s.at from s join noted on noted.run_id is not null cross join lateral (
      select run_id from tidebase.runs
       where schedule_id = s.schedule_id and status not in ('completed', 'cancelled') and status <> 'failed' offset 0) r
     where s.overlap = 'cancel'
    on conflict do nothing
  )
  select made.run_id, tidebase.now() as now, case
      when s.schedule_id is null then 'moved' else coalesce(noted.outcome::text, 'known') end as outcome
    from (select) as always left join s on true left join noted on true left join made on true`;

/** Counts a failure, in a statement of its own. No row when the schedule was changed meanwhile. */
export const failed = statement<
  { scheduleId: string; revision: number; message: string },
  { failures: number }
>("schedules.failed")`
  update tidebase.schedules set failures = failures + 1, last_error = $message::text
   where schedule_id = $schedule_id::uuid and revision = $revision::int returning failures`;

export const isSuperseded = fragment`exists (select from tidebase.superseded n cross join lateral (
      select from tidebase.runs r where r.run_id = n.run_id and ${notQuarantined("superseded_runs")} limit 1) r)`;

/** Runs that a later fire of their schedule ends. */
export const supersededRuns = statement<{ limit: number }, { runId: string }>(
  "schedules.superseded",
)`
  select r.run_id from tidebase.superseded n join tidebase.runs r using (run_id)
   where ${notQuarantined("superseded_runs")} order by n.at limit $limit::int`;

/** They have ended. */
export const settleSuperseded = statement<{ runIds: readonly string[] }, { runId: string }>(
  "schedules.settle_superseded",
)`
  delete from tidebase.superseded n using tidebase.runs r
   where n.run_id = any ($run_ids::uuid[]) and r.run_id = n.run_id and r.status in ('completed', 'cancelled', 'failed')
  returning n.run_id`;
