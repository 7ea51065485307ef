import { nextFires } from "./cron.ts";
import { cronProblem } from "./cron-problem.ts";
import type { Fire, Schedule } from "./schema.ts";
import type { ScheduleRow } from "./sql.ts";

const SHOWN = 5;
/** The sweep tries no further; the statements say the same. */
const FAILURES_MAX = 5;

/** Whether nothing will fire until somebody does something: paused, or failed too often. */
export function isResting({ pausedAt, failures }: ScheduleRow): boolean {
  return pausedAt !== null || failures >= FAILURES_MAX;
}

/** A row as the wire shows it, with its next fires as the database's clock sees them. */
export function shown(row: ScheduleRow): Schedule {
  const { now: _, lastFireAt, lastKind, lastOutcome, lastReason, lastUntil, ...more } = row;
  const { lastCount, lastRunId, lastAt, ...schedule } = more;
  const lastFire: Fire | null =
    lastFireAt === null
      ? null
      : {
          fireAt: lastFireAt,
          kind: lastKind,
          outcome: lastOutcome,
          reason: lastReason,
          until: lastUntil,
          count: lastCount,
          runId: lastRunId,
          at: lastAt,
        };
  return {
    ...schedule,
    paused: row.pausedAt !== null,
    nextFireAt: isResting(row) ? null : row.nextFireAt,
    nextFires: upcoming(row),
    lastFire,
  };
}

function upcoming(row: ScheduleRow): string[] {
  if (isResting(row) || row.nextFireAt === null || cronProblem(row) !== undefined) return [];
  const after = Math.max(Date.parse(row.now), Date.parse(row.nextFireAt) - 1);
  return nextFires(row, new Date(after), SHOWN).map((at) => at.toISOString());
}
