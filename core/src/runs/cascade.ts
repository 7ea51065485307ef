import type { Database } from "../database.ts";
import type { Sweep } from "../reconciler.ts";
import { fragment } from "../statement.ts";
import * as sql from "./cancel-sql.ts";

const BATCH = 200;
/** In one call; the sweep goes on where it stopped. */
const RUNS_MAX = 1000;

/**
 * Cancels what a cancelled run leaves behind: its children that are not detached, theirs, and so on, each
 * in a transaction of its own. Gives the runs that it reached.
 */
export async function cascade(db: Database, runId: string, actor: string): Promise<string[]> {
  const reached: string[] = [];
  const left = [runId];
  for (let next = left.shift(); next !== undefined && reached.length < RUNS_MAX; ) {
    const children = await db.many(sql.orphans, { runId: next, limit: BATCH });
    for (const child of children) {
      await db.batch(sql.cancel, [{ runId: child.runId, reason: "parent_cancelled", actor }]);
      reached.push(child.runId);
      left.push(child.runId);
    }
    if (children.length === BATCH) continue;
    await db.maybe(sql.cascaded, { runId: next });
    next = left.shift();
  }
  return reached;
}

/** Finishes what a crash left of a cascade. */
export const orphanedChildren: Sweep = {
  name: "orphaned_children",
  batch: BATCH,
  due: fragment`exists (select from tidebase.cascades)`,
  find: (db) => db.many(sql.cascades, { limit: BATCH }),
  async settle(db, items) {
    const settled: { outcome: string; runIds: string[] }[] = [];
    for (const { runId } of items)
      settled.push({ outcome: "cascaded", runIds: await cascade(db, runId, "tidebase") });
    return settled;
  },
};
