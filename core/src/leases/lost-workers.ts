import type { Database } from "../database.ts";
import { readJson } from "../payload.ts";
import { notQuarantined } from "../quarantine-sql.ts";
import type { Sweep } from "../reconciler.ts";
import { fragment } from "../statement.ts";
import { type Holder, isGone, machineOf, thisMachine } from "./holder.ts";
import * as leases from "./sql.ts";

interface Lost {
  readonly runId: string;
  readonly epoch: number;
  readonly reason: "lease_over" | "holder_gone";
}

const BATCH = 200;

/** Asks for each running run's holder by its key: a join might read the holders of all runs there ever were. */
const due = fragment`exists (
      select from tidebase.runs r where r.status = 'running' and ${notQuarantined("lost_workers")} and (r.lease_expires_at <= (select tidebase.now())
        or (select h.machine from tidebase.holders h where h.run_id = r.run_id) = $machine::text))`;

/**
 * Interrupts runs whose lease is over, and at once those whose holder was a process of this machine
 * and is gone (model.md §2: nobody waits for a dead process).
 *
 * While the store was away no worker could renew its lease, and what they finished meanwhile is on its
 * way: only after the store has been reached for `graceMs` without a break is a lapsed lease taken for a
 * lost worker. A holder that is seen alive on this machine is given one more lease.
 */
export function lostWorkers(graceMs: number): Sweep<Lost> {
  const machine = thisMachine();
  let reachedSince: number | undefined;

  function reached(isReached: boolean): void {
    if (isReached) reachedSince ??= performance.now();
    else reachedSince = undefined;
  }

  async function suspects(db: Database) {
    try {
      return await db.many(leases.suspects, { machine: machine ?? "", limit: BATCH });
    } catch (error) {
      reached(false);
      throw error;
    }
  }

  return {
    name: "lost_workers",
    due,
    batch: BATCH,
    reached,
    async find(db) {
      const found = await suspects(db);
      const isSteady = performance.now() - (reachedSince ?? Infinity) >= graceMs;
      return found.flatMap(({ runId, epoch, leaseMs, overMs, holder }): Lost[] => {
        const seen = readJson<Holder>(holder);
        const isHere = seen !== null && machine !== undefined && machineOf(seen) === machine;
        if (isHere && isGone(seen)) return [{ runId, epoch, reason: "holder_gone" }];
        const patienceMs = isHere ? leaseMs : 0;
        return isSteady && overMs > patienceMs ? [{ runId, epoch, reason: "lease_over" }] : [];
      });
    },
    settle: (db, items) => db.batch(leases.interrupt, items),
  };
}
