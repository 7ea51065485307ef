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
  settle: (db, items) =>
    db.batch(
      superseded,
      items.map(({ runId }) => ({ runId, reason: "superseded", actor: "tidebase" })),
    ),
};
