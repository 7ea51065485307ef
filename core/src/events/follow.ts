import type { z } from "zod";
import type { Database } from "../database.ts";
import { TidebaseError } from "../errors.ts";
import type { Hub } from "./hub.ts";
import type { Event } from "./operations.ts";
import * as events from "./sql.ts";

export type RunEvent = z.output<typeof Event>;

const PAGE = 500;
const FINAL = new Set(["run.completed", "run.cancelled"]);

/**
 * The committed events of a run after `afterSeq`, in order, each once, as they come. Ends after a
 * final event, or when the signal is aborted; throws `run_not_found` before the first.
 */
export async function* follow(
  db: Database,
  hub: Hub,
  { runId, afterSeq }: { runId: string; afterSeq: number },
  signal: AbortSignal,
): AsyncGenerator<RunEvent[]> {
  let wake = () => {};
  const call = () => wake();
  const unwatch = hub.watch(runId, call);
  signal.addEventListener("abort", call);
  try {
    for (let after = afterSeq; !signal.aborted; ) {
      const woken = new Promise<void>((resolve) => {
        wake = resolve; // before reading: what happens meanwhile is not missed
      });
      const page = await db.maybe(events.list, { runId, afterSeq: after, limit: PAGE });
      if (page === undefined) throw new TidebaseError("run_not_found", { runId });
      const batch = JSON.parse(page.events.text) as RunEvent[];
      const last = batch.at(-1);
      if (last !== undefined) {
        after = last.seq;
        yield batch;
        if (after === page.lastSeq && batch.some(({ type }) => FINAL.has(type))) return;
      } else if (page.lastSeq <= after && (await isFinal(db, runId))) return;
      if (page.nextAfterSeq === null) await woken;
    }
  } finally {
    signal.removeEventListener("abort", call);
    unwatch();
  }
}

/** Whether a reader who has seen everything would wait for ever. */
async function isFinal(db: Database, runId: string): Promise<boolean> {
  const types = [...FINAL];
  const page = await db.maybe(events.list, { runId, afterSeq: 0, limit: 1, types });
  return page !== undefined && page.events.text !== "[]";
}
