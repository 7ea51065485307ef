import { notQuarantined } from "../quarantine-sql.ts";
import { fragment, statement } from "../statement.ts";

/** How many days the store keeps what has ended; 0: for ever. */
export const days = statement<object, { days: number }>("retention.days")`
  select days from tidebase.retention where id = 1`;

/**
 * Another number; no row when it is the same. A smaller one deletes nothing for ten minutes, in which whoever set the
 * greater can set it again, and both are in the audit trail.
 */
export const setDays = statement<{ days: number }, { days: number }>("retention.set_days")`
  with before as materialized (
    select days, coalesce(nullif($days::int, 0), 'infinity'::float8) < coalesce(nullif(days, 0), 'infinity'::float8) as is_less
      from tidebase.retention where id = 1 for update
  ), written as (
    update tidebase.retention t set days = $days::int, after_at = null, after_id = null,
        next_at = case when is_less then tidebase.now() + interval '10 minutes' else tidebase.now() end
      from before where t.id = 1 and before.days <> $days::int returning t.days
  ), noted as (
    insert into tidebase.audit (at, actor, via, operation, target, outcome)
    select tidebase.now(), session_user, 'configuration', 'retention.set',
        to_json(before.days || ' → ' || written.days || ' days')::text, 'done'
      from written cross join before
  )
  select days from written`;

/** What the pulse asks: an idle process never looks at the runs themselves. */
export const isDue = fragment`(select next_at <= (select tidebase.now()) from tidebase.retention where id = 1)`;

/**
 * The next page: of at most `looks` runs that ended before the limit, behind the cursor, the roots of trees, at most
 * `limit`. The cursor moves behind them, so that two processes never look at the same ones; at the end of the list it
 * goes back to its beginning (`over`), for ten minutes from now. No row while another process turns the page, or
 * nothing is due.
 */
export const page = statement<
  { looks: number; limit: number },
  { runIds: readonly string[]; over: boolean }
>("retention.page")`
  with held as materialized (
    select days, after_at, after_id, tidebase.now() - days * interval '1 day' as before from tidebase.retention
     where id = 1 and next_at <= tidebase.now() for update skip locked
  ), looked as materialized (
    select r.*, row_number() over (order by r.ended_at, r.run_id) as nth from held cross join lateral (
      select run_id, ended_at, epoch, parent_run_id from tidebase.runs
       where held.days > 0 and ended_at >= coalesce(held.after_at, '-infinity') and ended_at < held.before
         and (ended_at, run_id) > (coalesce(held.after_at, '-infinity'), coalesce(held.after_id, '00000000-0000-0000-0000-000000000000'))
       order by ended_at, run_id limit $looks::int) r
  ), root as materialized (
    select r.run_id, r.nth from looked r
     where ${notQuarantined("retention")} and (r.parent_run_id is null
       or (select true from tidebase.runs p where p.run_id = r.parent_run_id) is not true)
     order by r.nth limit $limit::int
  ), last as materialized (
    select run_id, ended_at from looked
     where nth = case when (select count(*) from root) = $limit::int then (select max(nth) from root)
       when (select count(*) from looked) = $looks::int then $looks::int end
  ), turned as (
    update tidebase.retention t set after_at = (select ended_at from last), after_id = (select run_id from last),
        next_at = case when exists (select from last) then t.next_at else tidebase.now() + interval '10 minutes' end
      from held where t.id = 1
  )
  select array(select run_id from root order by nth) as run_ids, not exists (select from last) as over from held`;

/**
 * Deletes the trees of these roots with all they own, as many as one transaction should: `later` are the rest. What may
 * not go is `kept`, or has `moved` when others work on it.
 */
export const forget = statement<
  { runIds: readonly string[] },
  { runId: string; runs: number; outcome: "deleted" | "kept" | "moved" | "later" }
>("retention.forget")`
  select run_id, outcome, runs from tidebase.forget($run_ids::uuid[])`;

/*
 * What nobody needs any more, a thousand rows at a time. None of these tables grows with the runs.
 */

/** Workers that have not asked for work for a day. */
export const clearWorkers = statement<object, { workerId: string }>("retention.clear_workers")`
  delete from tidebase.workers where ctid = any (array(
    select ctid from tidebase.workers where seen_at < tidebase.now() - interval '1 day' limit 1000))
     and seen_at < tidebase.now() - interval '1 day'   -- one that asks right now is seen again
  returning worker_id`;

/** Sessions of the gate page, and links to them, whose time is over. */
export const clearSessions = statement<object, { sessionId: string }>("retention.clear_sessions")`
  delete from tidebase.sessions where ctid = any (array(
    select ctid from tidebase.sessions where coalesce(expires_at, link_expires_at) < tidebase.now() limit 1000))
  returning session_id`;

/**
 * Failures of runs that are gone, and those of yesterday that hold nothing back: a run that a sweep has given up stays
 * given up until its next epoch, a tree that could not be deleted is tried again each day.
 */
export const clearQuarantine = statement<object, { runId: string }>("retention.clear_quarantine")`
  delete from tidebase.quarantine where ctid = any (array(
    select q.ctid from tidebase.quarantine q
      left join lateral (select epoch from tidebase.runs where run_id = q.run_id limit 1) r on true
     where r.epoch is null or q.at < tidebase.now() - interval '1 day'
       and (r.epoch <> q.epoch or q.tries < 5 or q.sweep in ('claims', 'pushes', 'deliveries', 'retention')) limit 1000))
  returning run_id`;

/**
 * Fires past the limit. The latest of each kind stays, however old: it is what the schedule goes on from, and what it
 * shows of itself.
 */
export const clearFires = statement<object, { scheduleId: string }>("retention.clear_fires")`
  delete from tidebase.schedule_fires where ctid = any (array(
    select f.ctid from tidebase.retention t cross join tidebase.schedules s cross join lateral (
      select ctid, fire_at, kind, at from tidebase.schedule_fires f
       where f.schedule_id = s.schedule_id and f.fire_at < tidebase.now() - t.days * interval '1 day'
       order by f.fire_at limit 1000) f
     where t.days > 0 and f.at < tidebase.now() - t.days * interval '1 day'
       and f.fire_at < (select max(l.fire_at) from tidebase.schedule_fires l
         where l.schedule_id = s.schedule_id and l.kind = f.kind) limit 5000))
  returning schedule_id`;

/** Notes about runs that are gone. */
export const clearNotes = statement<object, { runId: string }>("retention.clear_notes")`
  with cascaded as (
    delete from tidebase.cascades where run_id = any (array(
      select run_id from tidebase.cascades n where not exists (select from tidebase.runs where run_id = n.run_id) limit 1000))
    returning run_id
  ), replaced as (
    delete from tidebase.superseded where run_id = any (array(
      select run_id from tidebase.superseded n where not exists (select from tidebase.runs where run_id = n.run_id) limit 1000))
    returning run_id
  )
  select run_id from cascaded union all select run_id from replaced`;
