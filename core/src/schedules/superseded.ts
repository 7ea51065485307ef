import type { Sweep } from "../reconciler.ts";
import { cancel } from "../runs/cancel-sql.ts";
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
      cancel,
      items.map((item) => ({ ...item, ...by })),
    );
    return answers.map(({ outcome }) => ({
      outcome: ["cancelled", "input_refused"].includes(outcome) ? outcome : "moved",
    }));
  },
};
