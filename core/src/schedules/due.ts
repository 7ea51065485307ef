import { v7 as uuid } from "uuid";
import type { Database } from "../database.ts";
import { faultOf, isAway } from "../failure.ts";
import { payloadText } from "../json-text.ts";
import { oneLine, readJson } from "../payload.ts";
import type { Sweep } from "../reconciler.ts";
import { planStep } from "./plan.ts";
import * as schedules from "./sql.ts";

const BATCH = 100;
/** Of one schedule in one round; what is left is found again. */
const STEPS_MAX = 200;

/**
 * Fires what is due, a step of each schedule in turn, so that nobody waits for another's hundred missed
 * fires. The database's clock says what is due. A schedule that cannot be fired keeps its failure and
 * stops no other.
 */
export function dueSchedules(maxSteps: number): Sweep<schedules.Due> {
  return {
    name: "schedules",
    batch: BATCH,
    due: schedules.isDue,
    find: (db) => db.many(schedules.due, { limit: BATCH }),
    async settle(db, items) {
      const turns = items.map((item) => ({ item, outcome: "moved", runIds: [] as string[] }));
      let left = turns.map((turn) => ({ turn, due: turn.item }));
      for (let step = 0; step < STEPS_MAX && left.length > 0; step++) {
        const next: typeof left = [];
        for (const { turn, due } of left) {
          const done = await fireOrCount(db, due, maxSteps);
          if (done === undefined) continue;
          turn.outcome = done.outcome;
          if (done.runId !== null) turn.runIds.push(done.runId);
          if (done.following !== undefined) next.push({ turn, due: done.following });
        }
        left = next;
      }
      return turns.map(({ outcome, runIds }) => ({ outcome, runIds }));
    },
    setAside: count,
  };
}

interface Done {
  readonly outcome: string;
  readonly runId: string | null;
  /** The schedule after this step, when it may have another. */
  readonly following: schedules.Due | undefined;
}

/** Undefined when there is nothing to do, somebody else did it, or it failed and was counted. */
async function fireOrCount(
  db: Database,
  due: schedules.Due,
  maxSteps: number,
): Promise<Done | undefined> {
  try {
    return await fire(db, due, maxSteps);
  } catch (failure) {
    if (isAway(failure)) throw failure;
    await count(db, due, faultOf(failure));
    return undefined;
  }
}

async function fire(db: Database, due: schedules.Due, maxSteps: number): Promise<Done | undefined> {
  const step = planStep({ ...due, nextFireAt: new Date(due.nextFireAt) }, new Date(due.now));
  if (step === undefined) return undefined;
  const nextFireAt = step.nextFireAt?.toISOString();
  const own = readJson<Record<string, unknown>>(due.metadata) ?? {};
  const metadata = { ...own, schedule: due.name, fireAt: step.fireAt.toISOString() };
  const { scheduleId, revision } = due;
  const { outcome, runId, now } = await db.one(schedules.fire, {
    scheduleId,
    revision,
    plannedAt: due.nextFireAt,
    act: step.act,
    firesAs: step.outcome,
    until: step.until.toISOString(),
    count: step.count,
    nextFireAt,
    runId: `run_${uuid()}`,
    metadata: payloadText(metadata),
    maxSteps,
  });
  if (outcome === "moved") return undefined;
  return {
    outcome,
    runId,
    following: nextFireAt === undefined ? undefined : { ...due, nextFireAt, now },
  };
}

async function count(db: Database, due: schedules.Due, message: string): Promise<void> {
  const { scheduleId, revision } = due;
  await db.maybe(schedules.failed, { scheduleId, revision, message: oneLine(message) });
}
