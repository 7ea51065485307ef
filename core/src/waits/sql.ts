import type { JsonText } from "../json-text.ts";
import { held, lease, type Refused, refused, seen } from "../leases/fence.ts";
import type { Lease } from "../leases/schema.ts";
import { notQuarantined } from "../quarantine-sql.ts";
import { batch, fragment, items, statement } from "../statement.ts";
import { awake, woken } from "./wake.ts";

/**
 * Suspends the run unless something it names has happened. What may have happened is looked up in the
 * snapshot, and whatever wakes a run takes one of its event numbers: so a snapshot of another number than
 * the locked row's is too old to say that nothing has. A child that goes on after a failure takes none: then what is
 * said to have happened may be undone by now. That is `resumeNow` at worst, and the code which looks again suspends
 * again; a child that had been open when it was looked at cannot end unnoticed.
 */
export const suspend = statement<
  Lease & {
    gateIds: readonly string[];
    timerNames: readonly string[];
    timerKeys: readonly string[];
    retryNames: readonly string[];
    retryKeys: readonly string[];
    signals: readonly string[];
    childNames: readonly string[];
    childKeys: readonly string[];
    joinNames: readonly string[];
    joinModes: readonly string[];
  },
  { wakeAt: string | null; outcome: Refused | "waiting" | "resumeNow" | "wait_not_found" | "again" }
>("runs.suspend")`
  with seen as materialized (
    select last_seq from tidebase.runs where run_id = $run_id::uuid
  ), held as materialized (
    select run_id, status, last_seq, (epoch, grant_id) = ($epoch::bigint, $grant_id::uuid) is true as granted,
      (epoch, grant_id, status) = ($epoch::bigint, $grant_id::uuid, 'running') is true as fenced, wake_at
      from tidebase.runs where run_id = $run_id::uuid for no key update
  ), timer as materialized (
    select t.due_at as at from unnest($timer_names::text[], $timer_keys::text[]) w (name, key) cross join lateral (
        select due_at from tidebase.timers where (run_id, name, key) = ($run_id::uuid, w.name, w.key) limit 1) t
    union all
    select coalesce(s.retry_at, '-infinity') from unnest($retry_names::text[], $retry_keys::text[]) w (name, key)
      cross join lateral (
        select retry_at from tidebase.steps where (run_id, name, key) = ($run_id::uuid, w.name, w.key) limit 1) s
  ), gate as materialized (
    select g.status, g.expires_at from unnest($gate_ids::uuid[]) w (gate_id) cross join lateral (
        select status, expires_at from tidebase.gates where gate_id = w.gate_id and run_id = $run_id::uuid limit 1) g
  ), child as materialized (
    select c.child_run_id as id, r.status in ('completed', 'cancelled', 'failed') as ended
      from unnest($child_names::text[], $child_keys::text[]) w (name, key)
      cross join lateral (select child_run_id from tidebase.children
         where (parent_run_id, name, key) = ($run_id::uuid, w.name, w.key) limit 1) c
      cross join lateral (select status from tidebase.runs where run_id = c.child_run_id limit 1) r
  ), joined as materialized (
    select w.name, w.mode, exists (select from tidebase.children where (parent_run_id, name) = ($run_id::uuid, w.name)) as known,
      (w.mode = 'any' and exists (select from tidebase.children c cross join lateral (
             select from tidebase.runs where run_id = c.child_run_id and status = 'completed' limit 1) r
           where (c.parent_run_id, c.name) = ($run_id::uuid, w.name)))
        or not exists (select from tidebase.children c cross join lateral (
             select from tidebase.runs where run_id = c.child_run_id and status not in ('completed', 'cancelled', 'failed') limit 1) r
           where (c.parent_run_id, c.name) = ($run_id::uuid, w.name)) as satisfied
      from unnest($join_names::text[], $join_modes::text[]) w (name, mode)
  ), found as materialized (
    select (select count(*) from timer) = cardinality($timer_names::text[]) + cardinality($retry_names::text[])
        and (select count(*) from gate) = cardinality($gate_ids::uuid[])
        and (select count(*) from child) = cardinality($child_names::text[])
        and not exists (select from joined where not known) as known,
      (select min(at) from timer) as due,
      coalesce((select min(at) from timer) <= tidebase.now(), false)
        or exists (select from gate where status <> 'open' or expires_at <= tidebase.now())
        or exists (select from child where ended) or exists (select from joined where satisfied)
        or exists (select from unnest($signals::text[]) w (name) cross join lateral (
             select from tidebase.signals s
              where s.run_id = $run_id::uuid and s.name = w.name collate "C" and s.taken_at is null limit 1) s) as happened
  ), suspended as (
    update tidebase.runs r
       set status = 'waiting', last_seq = r.last_seq + 1, lease_expires_at = null, wake_at = found.due,
           waits = array(select 'gate_' || id from unnest($gate_ids::uuid[]) id)
             || case when found.due is null then '{}' else array['timer'] end
             || array(select 'signal_' || name from unnest($signals::text[]) name)
             || array(select distinct 'child_' || id from child)
             || array(select distinct mode || '_' || name from joined)
      from held, seen, found
     where r.run_id = $run_id::uuid and held.fenced and held.last_seq = seen.last_seq and found.known and not found.happened
    returning r.run_id, r.last_seq, r.waits, r.wake_at
  ), logged as (
    insert into tidebase.events (run_id, seq, type, at, data)
    select run_id, last_seq, 'run.suspended', tidebase.now(),
      jsonb_strip_nulls(jsonb_build_object('waits', to_jsonb(waits[1:20]), 'wakeAt', wake_at)) from suspended
  )
  select coalesce(suspended.wake_at, held.wake_at) as wake_at, case
      when held.status = 'cancelled' then 'run_cancelled'
      when suspended.run_id is not null then 'waiting'
      when held.granted and held.status in ('waiting', 'pending', 'queued') then 'waiting'
      when not held.fenced then 'lease_lost'
      when held.last_seq <> seen.last_seq then 'again'
      when not found.known then 'wait_not_found'
      else 'resumeNow' end as outcome
    from held cross join seen cross join found left join suspended using (run_id)`;

/** The first call decides; a later one is told what it decided. */
export const setTimer = batch<
  Lease & { name: string; key: string; ms?: number | undefined; until?: string | undefined },
  { i: number; dueAt: string | null; leftMs: number; outcome: Refused | "set" | "again" }
>("timers.set")`
  with ${items({ ...lease, name: "text", key: "text", ms: "bigint", until: "timestamptz" })}, ${held}, set as (
    insert into tidebase.timers (run_id, name, key, due_at)
    select run_id, name, key, coalesce(until, tidebase.now() + ms * interval '1 ms') from held where fenced
    on conflict do nothing returning run_id, due_at
  )
  select item.i, coalesce(set.due_at, t.due_at) as due_at,
    greatest(0, ceil(extract(epoch from coalesce(set.due_at, t.due_at) - tidebase.now()) * 1000))::float8 as left_ms,
    case ${refused} when coalesce(set.due_at, t.due_at) is null then 'again' else 'set' end as outcome
    from item left join held using (i) left join set on set.run_id = item.run_id
    left join lateral (
      select due_at from tidebase.timers where (run_id, name, key) = (item.run_id, item.name, item.key) limit 1
    ) t on true
   order by item.i`;

/** Kept in the order of the run's events; wakes the run that waits for this name. */
export const sendSignal = statement<
  {
    runId: string;
    name: string;
    key?: string | undefined;
    payload: JsonText | undefined;
    actor: string;
  },
  { seq: number | null; outcome: "sent" | "recorded" | "run_completed" | "run_cancelled" | "again" }
>("signals.send")`
  with held as materialized (
    select run_id, status, last_seq, waits from tidebase.runs where run_id = $run_id::uuid for no key update
  ), sent as (
    insert into tidebase.signals (run_id, seq, name, key, payload, sent_by, sent_at)
    select run_id, last_seq + 1, $name::text, $key::text, $payload::text, $actor::text, tidebase.now()
      from held where status not in ('completed', 'cancelled')
    on conflict (run_id, name, key) where key is not null do nothing
    returning run_id, seq
  ), told as materialized (
    select held.run_id, sent.seq, ${woken(fragment`'signal_' || $name::text`)} as wakes from held join sent using (run_id)
  ), counted as (
    update tidebase.runs r set last_seq = told.seq + told.wakes::int,
      ${awake}
      from told where r.run_id = told.run_id and r.run_id = $run_id::uuid
  ), logged as (
    insert into tidebase.events (run_id, seq, type, at, data)
    select run_id, seq, 'signal.sent', tidebase.now(),
      jsonb_strip_nulls(jsonb_build_object('name', $name::text, 'key', $key::text, 'actor', $actor::text)) from told
    union all
    select run_id, seq + 1, 'run.woken', tidebase.now(), jsonb_build_object('by', 'signal_' || $name::text) from told where wakes
  )
  select coalesce(sent.seq, known.seq) as seq, case
      when sent.seq is not null then 'sent'
      when known.seq is not null then 'recorded'
      when held.status = 'completed' then 'run_completed'
      when held.status = 'cancelled' then 'run_cancelled'
      else 'again' end as outcome
    from held left join sent using (run_id)
    left join lateral (
      select seq from tidebase.signals s where (s.run_id, s.name, s.key) = ($run_id::uuid, $name::text, $key::text) limit 1
    ) known on true`;

/**
 * The oldest signal becomes the step's recorded output in the same commit; where there is none and the
 * step's timer is due, its timeout does. A step that is completed answers with its record.
 */
export const takeSignal = batch<
  Lease & { name: string; key: string; signal: string },
  {
    i: number;
    output: JsonText | null;
    outcome: Refused | "taken" | "waiting" | "step_settled" | "run_too_long" | "again";
  }
>("signals.take")`
  with ${items({ ...lease, name: "text", key: "text", signal: "text" })}, ${seen}, ${held}, found as materialized (
    select item.i, s.status, s.output, oldest.seq, oldest.payload, coalesce(t.due_at <= tidebase.now(), false) as late
      from item
      left join lateral (
        select case when status = 'begun' then on_unknown::text else status::text end as status, output from tidebase.steps
         where (run_id, name, key) = (item.run_id, item.name, item.key) limit 1) s on true
      left join lateral (
        select seq, payload from tidebase.signals
         where run_id = item.run_id and name = item.signal collate "C" and taken_at is null order by seq limit 1) oldest on true
      left join lateral (
        select due_at from tidebase.timers
         where (run_id, name, key) = (item.run_id, item.name, item.key) limit 1) t on true
  ), ready as materialized (
    select held.run_id, held.epoch, held.name, held.key, held.i, held.last_seq, found.seq,
      case when found.seq is null then '{"timedOut":true}' else '{"payload":' || found.payload || '}' end as output
      from held join found using (i) join seen using (i)
     where held.fenced and held.last_seq = seen.seen_seq and found.status is distinct from 'completed'
       and (found.seq is not null or found.late) and (found.status is not null or held.step_count < held.max_steps)
  ), done as (
    insert into tidebase.steps as s (run_id, name, key, status, on_unknown, epoch, attempt, output, ended_at)
    select run_id, name, key, 'completed', 'failed_retryable', epoch, 1, output, tidebase.now() from ready
    on conflict (run_id, name, key) do update set status = 'completed', output = excluded.output, ended_at = excluded.ended_at
      where s.status = 'failed_retryable' or s.status = 'begun' and s.on_unknown = 'failed_retryable'
    returning s.run_id, s.name, s.key, s.output, (xmax = 0) as fresh
  ), taken as (
    update tidebase.signals s set taken_at = tidebase.now() from ready join done using (run_id)
     where (s.run_id, s.seq) = (ready.run_id, ready.seq) and s.run_id = any (array(select run_id from ready))
  ), counted as (
    update tidebase.runs r
       set last_seq = r.last_seq + 1, step_count = r.step_count + done.fresh::int,
           lease_expires_at = tidebase.now() + r.lease_ms * interval '1 ms'
      from done where r.run_id = done.run_id and r.run_id = any (array(select run_id from done))
    returning r.run_id, r.last_seq
  ), logged as (
    insert into tidebase.events (run_id, seq, type, at, data)
    select run_id, last_seq, 'step.completed', tidebase.now(),
      jsonb_build_object('name', name, 'key', key) from counted join done using (run_id)
  )
  select item.i, coalesce(done.output, case when found.status = 'completed' then found.output end) as output, case ${refused}
      when done.run_id is not null then 'taken'
      when held.last_seq <> seen.seen_seq then 'again'
      when found.status = 'completed' then 'taken'
      when found.status in ('manual_review', 'failed') then 'step_settled'
      when (found.seq is not null or found.late) then 'run_too_long'
      else 'waiting' end as outcome
    from item left join held using (i) left join seen using (i) left join found using (i)
    left join done on done.run_id = item.run_id order by item.i`;

/** Suspended runs whose time has come. */
export const due = statement<{ limit: number }, { runId: string }>("waits.due")`
  select r.run_id from tidebase.runs r
   where r.status = 'waiting' and r.wake_at <= tidebase.now() and ${notQuarantined("due_waits")}
   order by r.wake_at limit $limit::int`;

/** Makes them ready. Re-checks on the locked row; whoever is faster wins. */
export const wake = batch<
  { runId: string },
  { i: number; runId: string; outcome: "woken" | "moved" }
>("waits.wake")`
  with ${items({ run_id: "uuid" })}, due as materialized (
    select item.i, item.run_id from (select * from item order by run_id) item cross join lateral (
        select from tidebase.runs
         where run_id = item.run_id and status = 'waiting' and wake_at <= tidebase.now()
           for no key update skip locked
      ) r
  ), woken as (
    update tidebase.runs r
       set status = case when r.queue is null then 'pending' else 'queued' end,
           run_at = case when r.queue is null then r.run_at else tidebase.now() end,
           waits = null, wake_at = null, last_seq = r.last_seq + 2
      from due where r.run_id = due.run_id and r.run_id = any (array(select run_id from due))
    returning r.run_id, r.last_seq, due.i
  ), logged as (
    insert into tidebase.events (run_id, seq, type, at, data)
    select run_id, last_seq - 1, 'timer.fired', tidebase.now(), null from woken
    union all
    select run_id, last_seq, 'run.woken', tidebase.now(), jsonb_build_object('by', 'timer') from woken
  )
  select item.i, item.run_id, case when woken.i is null then 'moved' else 'woken' end as outcome
    from item left join woken using (i) order by i`;
