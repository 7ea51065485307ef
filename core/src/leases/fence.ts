import { type Fragment, fragment } from "../statement.ts";

/** The columns every item of a worker's write begins with. */
export const lease = { run_id: "uuid", epoch: "bigint", grant_id: "uuid" };

/**
 * Lock order, everywhere: the runs of the items, in run_id order, before anything else. A row that was
 * waited for is seen fresh, so `fenced` (the item holds its run's present lease) is decided here.
 * `lateral`: a plan made while the store is small would rather scan all runs, and it outlives the small store.
 */
export const held = fragment`held as materialized (
    select item.*, r.status, r.last_seq, r.attempts, r.failure_class as recorded_class, r.step_count, r.max_steps,
      coalesce((r.epoch, r.grant_id) = (item.epoch, item.grant_id), false) as granted,
      coalesce((r.epoch, r.grant_id, r.status) = (item.epoch, item.grant_id, 'running'), false) as fenced
      from (select * from item order by run_id, i) item cross join lateral (
        select epoch, grant_id, status, last_seq, attempts, failure_class, step_count, max_steps
          from tidebase.runs where run_id = item.run_id for no key update
      ) r
  )`;

/**
 * The items' runs and their parents, locked in run_id order: the end of a child is told to its parent in the same
 * commit. A sweep skips what is locked, and then `parentHeld` leaves a child without its parent to the next round.
 */
export function family(lock: Fragment = fragment`for no key update`): Fragment {
  return fragment`family as materialized (
    select r.* from (
        select run_id from item
        union
        select p.parent_run_id from item cross join lateral (
          select parent_run_id from tidebase.runs where run_id = item.run_id limit 1) p
         where p.parent_run_id is not null
        order by run_id
      ) one cross join lateral (
        select run_id, parent_run_id, epoch, grant_id, status, last_seq, attempts, max_attempts, failure_class, queue, pushed,
          lease_expires_at, deadline_at, expires_at
          from tidebase.runs where run_id = one.run_id ${lock}
      ) r
  )`;
}

/** For sweeps. */
export const skipLocked = fragment`for no key update skip locked`;

/** Whether the parent of `r` is locked too, if it has one. */
export const parentHeld = fragment`(r.parent_run_id is null or r.parent_run_id in (select run_id from family))`;

/** `held`, for what may end a run. */
export const heldWithParents = fragment`${family()}, held as materialized (
    select item.*, r.status, r.last_seq, r.attempts, r.failure_class as recorded_class, r.queue, r.max_attempts,
      coalesce((r.epoch, r.grant_id) = (item.epoch, item.grant_id), false) as granted,
      coalesce((r.epoch, r.grant_id, r.status) = (item.epoch, item.grant_id, 'running'), false) as fenced
      from item join family r using (run_id)
  )`;

/**
 * Why an item's lease is not good; that the run was cancelled says more than that the lease is
 * lost.
 */
export const refused = fragment`when held.i is null then 'run_not_found'
      when held.status = 'cancelled' then 'run_cancelled'
      when not held.fenced then 'lease_lost'`;

/** The outcomes that `refused` gives. */
export type Refused = "run_not_found" | "run_cancelled" | "lease_lost";

/** What this snapshot has of the runs. Where `held.last_seq` is another, what is looked up elsewhere may be stale. */
export const seen = fragment`seen as materialized (
    select i, r.last_seq as seen_seq from item
      cross join lateral (select last_seq from tidebase.runs where run_id = item.run_id limit 1) r
  )`;

/** For the upsert of `holders h`: the key that is followed by another one has worked on the run all the same. */
export const earlierKeys = fragment`earlier = case
        when h.principal is null or h.principal = any (h.earlier) then h.earlier else h.earlier || h.principal end`;
