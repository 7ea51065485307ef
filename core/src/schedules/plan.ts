import { type CronSpec, countFires, lastFires, nextFire, nextFires } from "./cron.ts";

/** A fire that is later than this was missed (model.md §10). */
export const MISSED_AFTER_MS = 60_000;

/** What happens with missed fires: nothing, the last one is made up for, or the last 100. */
export type CatchUp = "none" | "latest" | "all";

const KEPT: Readonly<Record<CatchUp, number>> = { none: 0, latest: 1, all: 100 };

export interface DueSchedule extends CronSpec {
  readonly nextFireAt: Date;
  readonly catchUp: CatchUp;
}

/** One row of a schedule's history, and where the schedule stands after it. */
export type Step = {
  readonly act: "fire" | "skip";
  readonly outcome: "fired" | "caught_up" | "skipped";
  readonly fireAt: Date;
  /** The last of the fires that this row stands for. */
  readonly until: Date;
  /** How many they are: exact up to 10,000, and within 1,000 days whatever it is; beyond both at least as many. */
  readonly count: number;
  /** Undefined when it never fires again. */
  readonly nextFireAt: Date | undefined;
};

/**
 * The next single step of a schedule; undefined when nothing is due. It depends on nothing but the
 * stored `nextFireAt` and the clock, so whoever finds the schedule after a crash plans the same.
 */
export function planStep(schedule: DueSchedule, now: Date): Step | undefined {
  const { nextFireAt, catchUp } = schedule;
  if (nextFireAt > now) return undefined;
  const missedBefore = new Date(now.getTime() - MISSED_AFTER_MS);
  if (nextFireAt >= missedBefore) return fire(schedule, "fired");
  const kept = KEPT[catchUp];
  const further = kept === 0 ? undefined : nextFires(schedule, nextFireAt, kept)[kept - 1];
  const areAllKept = kept > 0 && (further === undefined || further >= missedBefore);
  return areAllKept ? fire(schedule, "caught_up") : skip(schedule, missedBefore, kept);
}

function fire(schedule: DueSchedule, outcome: "fired" | "caught_up"): Step {
  const fireAt = schedule.nextFireAt;
  const next = nextFire(schedule, fireAt);
  return { act: "fire", outcome, fireAt, until: fireAt, count: 1, nextFireAt: next };
}

/** One row for all missed fires but the last `kept`. */
function skip(schedule: DueSchedule, missedBefore: Date, kept: number): Step {
  const fireAt = schedule.nextFireAt;
  const last = lastFires(schedule, { after: fireAt, before: missedBefore }, kept + 1);
  // With fewer than that after it, the first one is the only one to skip.
  const until = last.length > kept ? (last[0] ?? fireAt) : fireAt;
  const count = countFires(schedule, fireAt, until);
  return {
    act: "skip",
    outcome: "skipped",
    fireAt,
    until,
    count,
    nextFireAt: nextFire(schedule, until),
  };
}
