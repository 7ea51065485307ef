import type { Database } from "../database.ts";
import type { Address } from "../store/address.ts";
import { openListener, repeat } from "./listener.ts";
import * as events from "./sql.ts";

/** Notifications of one process are at least this far apart; what changes meanwhile travels together. */
const SPACING_MS = 25;
/** The safety net: how often the followed runs are looked up, whatever notifications say. */
const POLL_MS = 1000;
/** A notification holds fewer than 8,000 bytes; a longer list of runs becomes "all of them". */
const RUNS_MAX = 150;
const EVERY_RUN = "*";

/**
 * Tells who follows a run that it has new events. Only a hint: whoever is woken reads the table, and
 * a hint that is lost costs at most one poll.
 */
export interface Hub {
  /** Called after the commit that changed these runs. */
  touched(runIds: readonly string[]): void;
  /** Calls `wake` after each change of the run, until the returned function is called. */
  watch(runId: string, wake: () => void): () => void;
  close(): Promise<void>;
}

/** Listens and polls only while somebody watches; `close` ends both. */
export function openHub(db: Database, options: { address: Address; schema: string }): Hub {
  const channel = `${options.schema.slice(0, 56)}.events`; // a name has 63 bytes; sharing one costs hints
  const watchers = new Map<string, Set<() => void>>();
  const heads = new Map<string, number>();
  const changed = new Set<string>();
  const listener = openListener(options.address.url, channel, (message) => {
    for (const runId of message === EVERY_RUN ? watchers.keys() : message.split(",")) wake(runId);
  });
  let sending: NodeJS.Timeout | undefined;
  let stopPolling: (() => void) | undefined;
  let sentAt = 0;

  function wake(runId: string): void {
    for (const call of watchers.get(runId) ?? []) call();
  }

  function send(): void {
    sending = undefined;
    sentAt = performance.now();
    const message = changed.size > RUNS_MAX ? EVERY_RUN : [...changed].join(",");
    changed.clear();
    db.one(events.notify, { channel, message }).catch(() => {}); // lost hints cost one poll
  }

  async function poll(): Promise<void> {
    const runIds = [...watchers.keys()];
    for (const { runId, lastSeq } of await db.many(events.heads, { runIds })) {
      if (!watchers.has(runId)) continue;
      if (heads.get(runId) !== lastSeq) wake(runId);
      heads.set(runId, lastSeq);
    }
  }

  return {
    touched(runIds) {
      for (const runId of runIds) {
        wake(runId);
        if (!db.readOnly) changed.add(runId);
      }
      if (changed.size > 0 && sending === undefined)
        sending = setTimeout(send, Math.max(0, sentAt + SPACING_MS - performance.now())).unref();
    },
    watch(runId, call) {
      const calls = watchers.get(runId) ?? new Set();
      watchers.set(runId, calls.add(call));
      listener.start();
      stopPolling ??= repeat(poll, POLL_MS);
      return () => {
        calls.delete(call);
        if (calls.size === 0) {
          watchers.delete(runId);
          heads.delete(runId);
        }
        if (watchers.size > 0) return;
        stopPolling?.();
        stopPolling = undefined;
        void listener.stop();
      };
    },
    async close() {
      clearTimeout(sending);
      stopPolling?.();
      await listener.stop();
    },
  };
}
