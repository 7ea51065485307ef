import { type Fragment, fragment, statement } from "./statement.ts";

/** Every sweep, as the quarantine and `/ready` name it; and the claims that no sweep makes. */
export type SweepName =
  | "lost_workers"
  | "due_waits"
  | "expired_gates"
  | "stale_deliveries"
  | "deadlines"
  | "unclaimed_runs"
  | "orphaned_children"
  | "superseded_runs"
  | "schedules"
  | "retention"
  | Claims
  | "deliveries";

/** The ways to claim runs from a queue. */
export type Claims = "claims" | "pushes";

/** A row that failed so often is left alone until its run has another epoch. */
const tooOften = fragment`5`;

/** Whether the sweep may still try the run `r`. A value, not a join: it costs one probe for each row that is due. */
export function notQuarantined(sweep: SweepName): Fragment {
  const name = { sql: `'${sweep}'` };
  return fragment`(
     select q.tries >= ${tooOften} from tidebase.quarantine q
      where (q.sweep, q.run_id, q.epoch) = (${name}, r.run_id, r.epoch)) is not true`;
}

/** The runs or deliveries that are set aside for a while: an array to hold rows against, empty as a rule. */
export function setAside(sweep: Claims | "deliveries"): Fragment {
  const name = { sql: `'${sweep}'` };
  return sweep === "deliveries"
    ? fragment`array(select delivery_id from tidebase.set_aside(${name}))`
    : fragment`array(select run_id from tidebase.set_aside(${name}))`;
}

/**
 * Counts a failure of the sweep on the run, or on its delivery; the one that is too often is told to who follows
 * the run, unless the run does not bear even that (`untold`).
 */
export const quarantine = statement<
  {
    sweep: SweepName;
    runId: string;
    deliveryId?: string | undefined;
    message: string;
    untold?: boolean | undefined;
  },
  { tries: number }
>("sweeps.quarantine")`
  with held as materialized (
    select run_id, epoch from tidebase.runs where run_id = $run_id::uuid for no key update
  ), tried as (
    insert into tidebase.quarantine as q (sweep, run_id, delivery_id, epoch, tries, last_error, at)
    select $sweep::text, run_id, coalesce($delivery_id::uuid, '00000000-0000-0000-0000-000000000000'), epoch, 1,
      $message::text, tidebase.now() from held
    on conflict (sweep, run_id, delivery_id) do update set tries = case when q.epoch = excluded.epoch then q.tries + 1 else 1 end,
      epoch = excluded.epoch, last_error = excluded.last_error, at = excluded.at
    returning run_id, tries
  ), counted as (
    update tidebase.runs r set last_seq = r.last_seq + 1 from tried
     where r.run_id = $run_id::uuid and tried.tries = ${tooOften} and $untold::boolean is not true
    returning r.run_id, r.last_seq
  ), logged as (
    insert into tidebase.events (run_id, seq, type, at, data)
    select run_id, last_seq, 'run.quarantined', tidebase.now(), jsonb_build_object('sweep', $sweep::text) from counted
  )
  select tries from tried`;
