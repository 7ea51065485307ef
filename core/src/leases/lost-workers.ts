import { readJson } from "../payload.ts";
import type { Sweep } from "../reconciler.ts";
import { type Holder, isGone, thisMachine } from "./holder.ts";
import * as leases from "./sql.ts";

interface Lost {
  readonly runId: string;
  readonly epoch: number;
  readonly reason: "lease_over" | "holder_gone";
}

const BATCH = 200;

/**
 * Interrupts runs whose lease is over, and at once those whose holder was a process of this machine
 * and is gone (model.md §2: nobody waits for a dead process).
 */
export const lostWorkers: Sweep<Lost> = {
  name: "lost_workers",
  batch: BATCH,
  async find(db) {
    const suspects = await db.many(leases.suspects, {
      machine: thisMachine() ?? "",
      limit: BATCH,
    });
    return suspects.flatMap(({ runId, epoch, leaseOver, holder }): Lost[] => {
      if (leaseOver) return [{ runId, epoch, reason: "lease_over" }];
      const holderSeen = readJson<Holder>(holder);
      return holderSeen !== null && isGone(holderSeen)
        ? [{ runId, epoch, reason: "holder_gone" }]
        : [];
    });
  },
  settle: (db, items) => db.batch(leases.interrupt, items),
};
