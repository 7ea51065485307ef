import type { Database } from "../database.ts";
import { TidebaseError } from "../errors.ts";
import type { Hub } from "./hub.ts";
import { FINAL_EVENTS, type RunEvent } from "./schema.ts";
import * as events from "./sql.ts";

const PAGE = 500;

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
        if (after === page.lastSeq && batch.some(({ type }) => FINAL_EVENTS.includes(type))) return;
      } else if (await isOver(db, runId, Math.max(after, page.lastSeq))) return;
      if (page.nextAfterSeq === null) await woken;
    }
  } finally {
    signal.removeEventListener("abort", call);
    unwatch();
  }
}

/** Whether a reader who has seen everything up to `seq` would wait for ever. */
async function isOver(db: Database, runId: string, seq: number): Promise<boolean> {
  const page = await db.maybe(events.list, { runId, afterSeq: 0, limit: 1, types: FINAL_EVENTS });
  return page !== undefined && page.lastSeq === seq && page.events.text !== "[]";
}
