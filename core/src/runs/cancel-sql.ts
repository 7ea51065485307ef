import { family, parentHeld, skipLocked } from "../leases/fence.ts";
import { notQuarantined } from "../quarantine-sql.ts";
import { batch, type Fragment, fragment, items, statement } from "../statement.ts";
import type { Run } from "./schema.ts";

/** A run to cancel, and who says so. */
export interface Cancellation {
  readonly runId: string;
  readonly reason: string;
  readonly actor: string;
  /** The event number that the decision was made at. */
  readonly asOf?: number | undefined;
}

interface Answer {
  readonly i: number;
  readonly runId: string;
  readonly status: Run["status"] | null;
  readonly seq: number | null;
}

const cancellations = items({ run_id: "uuid", reason: "text", actor: "text", as_of: "bigint" });

/** Ends the runs `chosen`; gates close, the parent is told and the children's turn is noted by a trigger. */
const cancelled = fragment`cancelled as (
    update tidebase.runs r
       set status = 'cancelled', failure_class = null, lease_expires_at = null, waits = null, wake_at = null, pushed = false,
           ended_at = tidebase.now(), last_seq = r.last_seq + 1
      from chosen where r.run_id = chosen.run_id and r.run_id = any (array(select run_id from chosen))
    returning r.run_id, r.last_seq, chosen.i, chosen.reason, chosen.actor, chosen.status as previous
  ), kept as (
    insert into tidebase.payloads as p (run_id, cancel_reason, cancelled_by) select run_id, reason, actor from cancelled
    on conflict (run_id) do update set cancel_reason = excluded.cancel_reason, cancelled_by = excluded.cancelled_by
  ), logged as (
    insert into tidebase.events (run_id, seq, type, at, data)
    select run_id, last_seq, 'run.cancelled', tidebase.now(),
      jsonb_build_object('reason', reason, 'actor', actor, 'from', previous) from cancelled
  )`;

/** Authoritative and one-way: whatever the run was doing, it is over. A repeated call finds it cancelled. */
export const cancel = batch<
  Cancellation,
  Answer & { outcome: "cancelled" | "run_not_found" | "run_completed" | "run_changed" }
>("runs.cancel")`
  with ${cancellations}, ${family()}, chosen as materialized (
    select item.*, r.status from item join family r using (run_id)
     where r.status not in ('completed', 'cancelled') and coalesce(item.as_of = r.last_seq, true)
  ), ${cancelled}
  select item.i, item.run_id, r.status, coalesce(cancelled.last_seq, r.last_seq) as seq, case
      when r.run_id is null then 'run_not_found'
      when r.status = 'completed' then 'run_completed'
      when r.status = 'cancelled' or cancelled.i is not null then 'cancelled'
      else 'run_changed' end as outcome
    from item left join family r using (run_id) left join cancelled using (i) order by item.i`;

/** For sweeps: re-checks on the locked row, and leaves to the next round what is locked or has a locked parent. */
function overdue(name: string, still: Fragment) {
  return batch<Cancellation, Answer & { outcome: "cancelled" | "moved" }>(name)`
    with ${cancellations}, ${family(skipLocked)}, chosen as materialized (
      select item.*, r.status from item join family r using (run_id)
       where r.status not in ('completed', 'cancelled') and (${still})
         and ${parentHeld}
    ), ${cancelled}
    select item.i, item.run_id, r.status, cancelled.last_seq as seq,
      case when cancelled.i is null then 'moved' else 'cancelled' end as outcome
      from item left join family r using (run_id) left join cancelled using (i) order by item.i`;
}

export const pastDeadline = overdue(
  "runs.past_deadline",
  fragment`r.deadline_at <= tidebase.now()`,
);

export const unclaimed = overdue(
  "runs.unclaimed",
  fragment`r.status = 'queued' and r.expires_at <= tidebase.now()`,
);

export const superseded = overdue("runs.superseded", fragment`r.status <> 'failed'`);

/** Runs that are not final at their deadline. */
export const deadlines = statement<{ limit: number }, { runId: string }>("runs.deadlines")`
  select r.run_id from tidebase.runs r
   where r.deadline_at <= tidebase.now() and r.status not in ('completed', 'cancelled') and ${notQuarantined("deadlines")}
   order by r.deadline_at limit $limit::int`;

/** Queued runs that nobody began in time. */
export const expiring = statement<{ limit: number }, { runId: string }>("runs.expiring")`
  select r.run_id from tidebase.runs r
   where r.status = 'queued' and r.expires_at <= tidebase.now() and ${notQuarantined("unclaimed_runs")}
   order by r.expires_at limit $limit::int`;

/** Cancelled runs whose children are still to be cancelled. */
export const cascades = statement<{ limit: number }, { runId: string }>("runs.cascades")`
  select r.run_id from tidebase.cascades c join tidebase.runs r using (run_id)
   where ${notQuarantined("orphaned_children")} order by c.at limit $limit::int`;

/** The children that end with this run, after the one given. */
export const orphans = statement<
  { runId: string; afterId?: string | undefined; limit: number },
  { runId: string }
>("runs.orphans")`
  select run_id from tidebase.runs
   where parent_run_id = $run_id::uuid and not detached and status not in ('completed', 'cancelled')
     and run_id > coalesce($after_id::uuid, '00000000-0000-0000-0000-000000000000')
   order by run_id limit $limit::int`;

/** The children of this run are cancelled. */
export const cascaded = statement<{ runId: string }, { runId: string }>("runs.cascaded")`
  delete from tidebase.cascades where run_id = $run_id::uuid returning run_id`;

/** What a cancellation would reach: at most 10,000 runs below this one. No row when the run is unknown. */
export const reach = statement<
  { runId: string },
  { status: Run["status"]; seq: number; descendants: number }
>("runs.reach")`
  with recursive below as (
    select run_id, 0 as depth from tidebase.runs where run_id = $run_id::uuid
    union all
    select c.run_id, below.depth + 1 from below join tidebase.runs c on c.parent_run_id = below.run_id
     where not c.detached and c.status not in ('completed', 'cancelled') and below.depth < 32
  )
  select r.status, r.last_seq as seq, (select count(*) - 1 from (select from below limit 10001) b) as descendants
    from tidebase.runs r where r.run_id = $run_id::uuid`;

/** Another deadline, or none. With a grant only its holder may set it. No row when the run is unknown. */
export const setDeadline = statement<
  {
    runId: string;
    deadlineMs: number | null;
    epoch?: number | undefined;
    grantId?: string | undefined;
    actor: string;
  },
  {
    deadlineAt: string | null;
    outcome: "set" | "run_completed" | "run_cancelled" | "lease_lost";
  }
>("runs.set_deadline")`
  with held as materialized (
    select run_id, status, $grant_id::uuid is null or (epoch, grant_id, status) = ($epoch::bigint, $grant_id::uuid, 'running')
        as allowed
      from tidebase.runs where run_id = $run_id::uuid for no key update
  ), updated as (
    update tidebase.runs r set deadline_at = tidebase.now() + $deadline_ms::bigint * interval '1 ms', last_seq = r.last_seq + 1
      from held where r.run_id = $run_id::uuid and held.allowed and held.status not in ('completed', 'cancelled')
    returning r.run_id, r.last_seq, r.deadline_at
  ), logged as (
    insert into tidebase.events (run_id, seq, type, at, data)
    select run_id, last_seq, 'run.deadline_set', tidebase.now(),
      jsonb_build_object('deadlineAt', deadline_at, 'actor', $actor::text) from updated
  )
  select updated.deadline_at, case
      when held.status = 'completed' then 'run_completed'
      when held.status = 'cancelled' then 'run_cancelled'
      when updated.run_id is null then 'lease_lost'
      else 'set' end as outcome
    from held left join updated using (run_id)`;
