import type { Database } from "../database.ts";
import { TidebaseError } from "../errors.ts";
import type { Hub } from "./hub.ts";
import { FINAL_EVENTS, type RunEvent } from "./schema.ts";
import * as events from "./sql.ts";

const PAGE = 500;

/** Events of a run that were read at once. */
interface Page {
  readonly batch: readonly RunEvent[];
  readonly nextAfterSeq: number | null;
  /** Nothing comes after it. */
  readonly isLast: boolean;
}

type Read = (runId: string, afterSeq: number) => Promise<Page>;

/** See the function it gives. */
export type Follow = (
  runId: string,
  afterSeq: number,
  signal: AbortSignal,
) => AsyncGenerator<readonly RunEvent[]>;

/**
 * The committed events of a run after `afterSeq`, in order, each once, as they come. Ends after a
 * final event, or when the signal is aborted; throws `run_not_found` before the first.
 */
export function openFollow(db: Database, hub: Hub): Follow {
  const read = together(async (runId, afterSeq) => {
    const page = await db.maybe(events.list, { runId, afterSeq, limit: PAGE });
    if (page === undefined) throw new TidebaseError("run_not_found", { runId });
    const { lastSeq, nextAfterSeq } = page;
    const batch = JSON.parse(page.events.text) as RunEvent[];
    const isLast =
      batch.length === 0
        ? await isOver(db, runId, Math.max(afterSeq, lastSeq))
        : batch.at(-1)?.seq === lastSeq && batch.some(({ type }) => FINAL_EVENTS.includes(type));
    return { batch, nextAfterSeq, isLast };
  });
  return async function* follow(runId, afterSeq, signal) {
    let wake = () => {};
    const call = () => wake();
    const unwatch = hub.watch(runId, call);
    signal.addEventListener("abort", call);
    try {
      for (let after = afterSeq; !signal.aborted; ) {
        const woken = new Promise<void>((resolve) => {
          wake = resolve; // before reading: what happens meanwhile is not missed
        });
        const { batch, nextAfterSeq, isLast } = await read(runId, after);
        after = batch.at(-1)?.seq ?? after;
        if (batch.length > 0) yield batch;
        if (isLast) return;
        if (nextAfterSeq === null) await woken;
      }
    } finally {
      signal.removeEventListener("abort", call);
      unwatch();
    }
  };
}

/**
 * Two hundred followers of a run are woken in the same turn and ask the same: one read answers all of them. Whoever
 * asks in a later turn may have been woken by a later commit, and reads anew.
 */
function together(read: Read): Read {
  const reading = new Map<string, Promise<Page>>();
  return (runId, afterSeq) => {
    const asked = `${runId} ${afterSeq}`;
    const known = reading.get(asked);
    if (known !== undefined) return known;
    const page = read(runId, afterSeq);
    reading.set(asked, page);
    process.nextTick(() => reading.delete(asked)); // before any other commit is heard of
    return page;
  };
}

/** Whether a reader who has seen everything up to `seq` would wait for ever. */
async function isOver(db: Database, runId: string, seq: number): Promise<boolean> {
  const page = await db.maybe(events.list, { runId, afterSeq: 0, limit: 1, types: FINAL_EVENTS });
  return page !== undefined && page.lastSeq === seq && page.events.text !== "[]";
}
