import type { Database } from "../database.ts";
import { notQuarantined } from "../quarantine-sql.ts";
import type { Sweep } from "../reconciler.ts";
import { type Batch, fragment } from "../statement.ts";
import * as sql from "./cancel-sql.ts";

const BATCH = 200;

/*
 * Both are looked for in the order of their index: where no run has a deadline, statistics know nothing of them, and the
 * planner would read all runs for the first of many that it expects.
 */

/** Cancels runs that are not final at their deadline. */
export const deadlines: Sweep = {
  name: "deadlines",
  batch: BATCH,
  due: fragment`(select r.run_id from tidebase.runs r
    where r.deadline_at <= (select tidebase.now()) and r.status not in ('completed', 'cancelled')
      and ${notQuarantined("deadlines")} order by r.deadline_at limit 1) is not null`,
  find: (db) => db.many(sql.deadlines, { limit: BATCH }),
  settle: (db, items) => end(db, sql.pastDeadline, items, "deadline"),
};

/** Cancels queued runs that nobody began in time. */
export const unclaimedRuns: Sweep = {
  name: "unclaimed_runs",
  batch: BATCH,
  due: fragment`(select r.run_id from tidebase.runs r
    where r.status = 'queued' and r.expires_at <= (select tidebase.now()) and ${notQuarantined("unclaimed_runs")}
    order by r.expires_at limit 1) is not null`,
  find: (db) => db.many(sql.expiring, { limit: BATCH }),
  settle: (db, items) => end(db, sql.unclaimed, items, "expired"),
};

function end<Row>(
  db: Database,
  statement: Batch<sql.Cancellation, Row>,
  items: readonly { runId: string }[],
  reason: string,
) {
  const actor = "tidebase";
  return db.batch(
    statement,
    items.map(({ runId }) => ({ runId, reason, actor })),
  );
}
