import { CRASH_POINTS, INTERLEAVE, type Mutant, trials } from "./mutant.ts";

const SPEED = "migrations/0007_speed.sql";
const DELIVERIES = "core/src/deliveries/sql.ts";

/**
 * The subquery stands in the update itself, and the planner puts it inside a nested loop, as it may by statistics that
 * are off: run again for each row, it locks the next ones each time. The settings choose the plan for certain.
 */
const noLimit: Mutant = {
  id: "8-no-limit",
  fault: "A claim takes its runs by a subquery that the plan repeats, so its limit holds nobody.",
  edits: [
    {
      file: SPEED,
      search: `) language plpgsql as $$
#variable_conflict use_column
declare
  q tidebase.queues;`,
      replace: `) language plpgsql set enable_hashjoin = off set enable_mergejoin = off set enable_hashagg = off
  set enable_sort = off set enable_material = off as $$
#variable_conflict use_column
declare
  q tidebase.queues;`,
    },
    {
      file: SPEED,
      search: `     where r.run_id = any (v_ready)
    returning r.run_id, r.epoch, r.last_seq, r.workflow,`,
      replace: `     where r.status = 'queued' and r.queue = p_queue and r.run_id in (
       select n.run_id from tidebase.runs n
        where n.queue = p_queue and n.status = 'queued' and n.order_at <= v_now and n.run_at <= v_now
          and (p_workflows is null or n.workflow = any (p_workflows))
        order by n.order_at, n.run_id limit v_room for no key update skip locked)
    returning r.run_id, r.epoch, r.last_seq, r.workflow,`,
    },
  ],
  looks: [trials("none"), trials(), { profile: "pool-2", file: "core/test/queues.test.ts" }],
};

/** Whoever dies, or is answered with an error, has lost it. */
const inMemory: Mutant = {
  id: "9-in-memory",
  fault: "A delivery leaves the outbox when it is taken, and is known to one process from then on.",
  edits: [
    {
      file: DELIVERIES,
      search: `        status = case when taken.moot then 'delivered' else 'pending' end,`,
      replace: `        status = 'delivered',`,
    },
    {
      file: DELIVERIES,
      search: `        ended_at = case when taken.moot then tidebase.now() end,`,
      replace: `        ended_at = tidebase.now(),`,
    },
  ],
  looks: [trials("F2"), trials(), CRASH_POINTS],
};

/** One row that cannot be settled keeps all others of its batch waiting, and nobody is told. */
const swallowed: Mutant = {
  id: "11-swallowed",
  fault: "A sweep drops the error of a batch, and the rest of the batch with it.",
  edits: [
    {
      file: "core/src/reconciler.ts",
      search: `    if (isAway(failure)) throw failure;
    const [item, ...others] = items;`,
      replace: `    if (failure !== undefined) return 0;
    const [item, ...others] = items;`,
    },
  ],
  looks: [trials("F25"), { profile: "pool-2", file: "test/system/sweeps.test.ts" }, trials()],
};

/** A child that still runs below a parent that has ended, and a run that was begun again, are deleted. */
const anyStatus: Mutant = {
  id: "12-any-status",
  fault:
    "Retention takes every run below an old root, and a root that was old a moment ago, whatever its status.",
  edits: [
    {
      file: "migrations/0006_retention.sql",
      search: `  select (select count(*) from tidebase.runs where run_id = any (members) and ended_at < before
       and status in ('completed', 'cancelled', 'failed')) = cardinality(members)`,
      replace: `  select (select count(*) from tidebase.runs where run_id = any (members)
       and coalesce(ended_at, '-infinity') < before) = cardinality(members)`,
    },
  ],
  looks: [INTERLEAVE, trials()],
};

/** What is done for many at a time, done carelessly. */
export const sweeps: readonly Mutant[] = [noLimit, inMemory, swallowed, anyStatus];
