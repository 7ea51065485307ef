import type { Database } from "../database.ts";
import { quarantine } from "../quarantine-sql.ts";
import type { Sweep } from "../reconciler.ts";
import type { Statement } from "../statement.ts";
import * as retention from "./sql.ts";

/** Roots of one page. */
const BATCH = 100;
/** Ended runs that one page looks at: children lie between the roots. */
const LOOKS = 500;
/** Pages without a root that one round turns. */
const PAGES_MAX = 20;
/** Trees of one transaction. */
const TREES_MAX = 50;

/** The root of a tree that ended before the limit. No `runId`: most that are looked at do not change. */
interface Root {
  readonly rootRunId: string;
}

/**
 * Deletes what has ended before the store's limit, by whole trees (model.md §15), and at the end of the list what
 * nobody needs any more. A crash leaves trees whole, and those it passed by to the next time, ten minutes later.
 * `ready` holds it back until the store knows how long this process wants things kept.
 */
export function retentionSweep(ready: () => Promise<void>): Sweep<Root> {
  return {
    name: "retention",
    batch: BATCH,
    due: retention.isDue,
    async find(db) {
      await ready();
      for (let pages = 0; pages < PAGES_MAX; pages++) {
        const page = await db.maybe(retention.page, { looks: LOOKS, limit: BATCH });
        if (page === undefined) return [];
        const { runIds, over } = page;
        if (over) await clear(db);
        if (over || runIds.length > 0) return runIds.map((rootRunId) => ({ rootRunId }));
      }
      return [];
    },
    async settle(db, roots) {
      const deleted = new Set<string>();
      for (let left = roots.map(({ rootRunId }) => rootRunId); left.length > 0; ) {
        const rows = await db.many(retention.forget, { runIds: left.slice(0, TREES_MAX) });
        for (const { runId, outcome } of rows) if (outcome === "deleted") deleted.add(runId);
        const later = rows.filter(({ outcome }) => outcome === "later");
        left = [...later.map(({ runId }) => runId), ...left.slice(TREES_MAX)];
      }
      return roots.map(({ rootRunId }) =>
        deleted.has(rootRunId) ? { outcome: "deleted", runIds: [rootRunId] } : { outcome: "moved" },
      );
    },
    async setAside(db, { rootRunId: runId }, message) {
      await db.maybe(quarantine, { sweep: "retention", runId, message, untold: true });
    },
  };
}

/** Each by itself: one that fails keeps none of the others from its turn. */
async function clear(db: Database): Promise<void> {
  const { clearWorkers, clearSessions, clearQuarantine, clearFires, clearNotes } = retention;
  const clears: Statement<object, object>[] = [
    clearWorkers,
    clearSessions,
    clearQuarantine,
    clearFires,
    clearNotes,
  ];
  const failures: unknown[] = [];
  for (const statement of clears)
    await db.many(statement, {}).catch((failure) => failures.push(failure));
  if (failures.length > 0) throw failures[0];
}
