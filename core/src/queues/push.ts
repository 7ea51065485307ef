import { v4 as uuid } from "uuid";
import { claimBesides } from "../claim-besides.ts";
import type { Database } from "../database.ts";
import type { Sweep } from "../reconciler.ts";
import { fragment } from "../statement.ts";
import { push, pushable, pushing, toClaim } from "./sql.ts";

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
      const pushed = await pushUpTo(db, queue, RUNS_MAX);
      const runIds = pushed.map(({ runId }) => runId);
      settled.push({ outcome: runIds.length === 0 ? "moved" : "pushed", runIds });
    }
    return settled;
  },
};

function pushUpTo(db: Database, queue: string, limit: number) {
  const given = { queue, grantId: `grant_${uuid()}`, limit, leaseMs: LEASE_MS };
  return claimBesides(db, {
    sweep: "pushes",
    claim: (only) => db.many(push, { ...given, runIds: only?.map(({ runId }) => runId) }),
    toClaim: () => db.many(toClaim, { ...given, pushed: true }),
  });
}
