import type { Database } from "../database.ts";
import { TidebaseError } from "../errors.ts";
import { notQuarantined } from "../quarantine-sql.ts";
import type { Sweep } from "../reconciler.ts";
import { fragment } from "../statement.ts";
import * as sql from "./cancel-sql.ts";

const BATCH = 200;
/** In one call; the sweep goes on where it stopped. */
const RUNS_MAX = 1000;

/** What a cascade reached, and whether some child could not be cancelled: then its parent's turn is not over. */
interface Cascade {
  readonly reached: string[];
  readonly isWhole: boolean;
}

/**
 * Cancels what a cancelled run leaves behind: its children that are not detached, theirs, and so on, each
 * in a transaction of its own. A child that cannot be cancelled stops no other.
 */
export async function cascade(db: Database, runId: string, actor: string): Promise<Cascade> {
  const reached: string[] = [];
  const left = [runId];
  const torn = new Set<string>();
  let afterId: string | undefined;
  for (let next = left.shift(); next !== undefined && reached.length < RUNS_MAX; ) {
    const children = await db.many(sql.orphans, { runId: next, afterId, limit: BATCH });
    for (const child of children)
      if (await isCancelled(db, child.runId, actor)) {
        reached.push(child.runId);
        left.push(child.runId);
      } else torn.add(next);
    afterId = children.at(-1)?.runId;
    if (children.length === BATCH) continue;
    if (!torn.has(next)) await db.maybe(sql.cascaded, { runId: next });
    next = left.shift();
    afterId = undefined;
  }
  return { reached, isWhole: torn.size === 0 };
}

/** Whether the run is over now; false when its own row is at fault. */
async function isCancelled(db: Database, runId: string, actor: string): Promise<boolean> {
  try {
    const item = { runId, reason: "parent_cancelled", actor };
    const [answer] = await db.batch(sql.cancel, [item]);
    return answer?.outcome !== "input_refused";
  } catch (failure) {
    if (failure instanceof TidebaseError) throw failure; // the database is away
    return false;
  }
}

/** Finishes what a crash left of a cascade. */
export const orphanedChildren: Sweep = {
  name: "orphaned_children",
  batch: BATCH,
  due: fragment`exists (select from tidebase.cascades c cross join lateral (
      select from tidebase.runs r where r.run_id = c.run_id and ${notQuarantined("orphaned_children")} limit 1) r)`,
  find: (db) => db.many(sql.cascades, { limit: BATCH }),
  async settle(db, items) {
    const settled: { outcome: string; runIds: string[] }[] = [];
    for (const { runId } of items) {
      const { reached, isWhole } = await cascade(db, runId, "tidebase");
      settled.push({ outcome: isWhole ? "cascaded" : "input_refused", runIds: reached });
    }
    return settled;
  },
};
