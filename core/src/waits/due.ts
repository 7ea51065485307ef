import { notQuarantined } from "../quarantine-sql.ts";
import type { Sweep } from "../reconciler.ts";
import { fragment } from "../statement.ts";
import * as waits from "./sql.ts";

const BATCH = 200;

/** Makes suspended runs ready whose sleep, timeout or backoff is over. */
export const dueWaits: Sweep = {
  name: "due_waits",
  due: fragment`exists (
      select from tidebase.runs r
       where r.status = 'waiting' and r.wake_at <= (select tidebase.now()) and ${notQuarantined("due_waits")})`,
  batch: BATCH,
  find: (db) => db.many(waits.due, { limit: BATCH }),
  settle: (db, items) => db.batch(waits.wake, items),
};
