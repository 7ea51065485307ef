import { v4 as uuid } from "uuid";
import type { Database } from "../database.ts";
import { quarantine } from "../quarantine-sql.ts";
import type { Sweep } from "../reconciler.ts";
import { fragment } from "../statement.ts";
import { firstToPush, push, pushable, pushing } from "./sql.ts";

const BATCH = 100;
/** Runs of one queue in one round; its limits hold besides. */
const RUNS_MAX = 20;
/** So long an endpoint has to begin what it was told of. */
const LEASE_MS = 60_000;

/** Sends the runs of pushing queues to their webhooks: claims them, and puts a `run.invoke` for each into the outbox. */
export const pushes: Sweep<{ queue: string }> = {
  name: "pushes",
  due: fragment`exists (select from ${pushable})`,
  batch: BATCH,
  find: (db) => db.many(pushing, { limit: BATCH }),
  async settle(db, items) {
    const settled: { outcome: string; runIds: string[] }[] = [];
    for (const { queue } of items) {
      // where one of them cannot be claimed, the first alone: so it is known whose fault it is
      const pushed = await pushUpTo(db, queue, RUNS_MAX).catch(() => pushUpTo(db, queue, 1));
      const runIds = pushed.map(({ runId }) => runId);
      settled.push({ outcome: runIds.length === 0 ? "moved" : "pushed", runIds });
    }
    return settled;
  },
  /** The queue stands still until its first run is out of the way, or has another epoch. */
  async setAside(db, { queue }, message) {
    const first = await db.maybe(firstToPush, { queue });
    if (first !== undefined) await db.maybe(quarantine, { ...first, sweep: "pushes", message });
  },
};

function pushUpTo(db: Database, queue: string, limit: number) {
  return db.many(push, { queue, grantId: `grant_${uuid()}`, limit, leaseMs: LEASE_MS });
}
