import { v4 as uuid } from "uuid";
import type { Sweep } from "../reconciler.ts";
import { fragment } from "../statement.ts";
import { canPush, push, pushing } from "./sql.ts";

const BATCH = 100;
/** Runs of one queue in one round; its limits hold besides. */
const RUNS_MAX = 20;
/** So long an endpoint has to begin what it was told of. */
const LEASE_MS = 60_000;

/** Sends the runs of pushing queues to their webhooks: claims them, and puts a `run.invoke` for each into the outbox. */
export const pushes: Sweep<{ queue: string }> = {
  name: "pushes",
  due: fragment`exists (
      select from tidebase.queues q join tidebase.webhooks w using (webhook_id) where ${canPush})`,
  batch: BATCH,
  find: (db) => db.many(pushing, { limit: BATCH }),
  async settle(db, items) {
    const settled: { outcome: string; runIds: string[] }[] = [];
    for (const { queue } of items) {
      const call = { queue, grantId: `grant_${uuid()}`, limit: RUNS_MAX, leaseMs: LEASE_MS };
      const runIds = (await db.many(push, call)).map(({ runId }) => runId);
      settled.push({ outcome: runIds.length === 0 ? "moved" : "pushed", runIds });
    }
    return settled;
  },
};
