import type { Sweep } from "../reconciler.ts";
import { superseded } from "../runs/cancel-sql.ts";
import * as schedules from "./sql.ts";

const BATCH = 200;

/** Cancels what the latest fire of a schedule with `overlap: cancel` leaves behind. */
export const supersededRuns: Sweep = {
  name: "superseded_runs",
  batch: BATCH,
  due: schedules.isSuperseded,
  find: (db) => db.many(schedules.supersededRuns, { limit: BATCH }),
  async settle(db, items) {
    const by = { reason: "superseded", actor: "tidebase" };
    const answers = await db.batch(
      superseded,
      items.map(({ runId }) => ({ runId, ...by })),
    );
    const runIds = items.map(({ runId }) => runId);
    const gone = new Set(
      (await db.many(schedules.settleSuperseded, { runIds })).map(({ runId }) => runId),
    );
    return answers.map(({ outcome }, n) => ({
      outcome: outcome === "moved" && gone.has(runIds[n] ?? "") ? "cancelled" : outcome,
    }));
  },
};
