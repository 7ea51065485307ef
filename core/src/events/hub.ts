import { randomUUID } from "node:crypto";
import type { Database } from "../database.ts";
import type { Watchers } from "../pulse.ts";
import type { Address } from "../store/address.ts";
import { openListener } from "./listener.ts";
import * as events from "./sql.ts";

/** Notifications of one process are at least this far apart; what changes meanwhile travels together. */
const SPACING_MS = 25;
/** While somebody here waits for work: the notification's own answer is what tells him. */
const WAITING_SPACING_MS = 5;
/** Of more runs at once nobody is told by name. */
const RUNS_MAX = 1000;
/** In place of names when there are too many: everybody looks. */
const EVERYTHING = "*";
const QUEUE = "queue:";

/**
 * Tells who follows a run that it has new events, and who waits for a queue that it may have work. Only
 * a hint: whoever is woken reads the table, and a hint that is lost costs at most one pulse.
 */
export interface Hub extends Watchers {
  /** Called after the commit that changed these runs; `queues` are those that are known to have work by it. */
  touched(runIds: readonly string[], queues?: readonly string[]): void;
  /** Calls `wake` after each change of the run, until the returned function is called. */
  watch(runId: string, wake: () => void): () => void;
  /** Calls `wake` when the queue may have a run to claim, until the returned function is called. */
  watchQueue(queue: string, wake: () => void): () => void;
  close(): Promise<void>;
}

/** Listens only while somebody watches, and a while longer; `watching` is called when somebody begins to. */
export function openHub(
  db: Database,
  options: { address: Address; schema: string; watching: () => void },
): Hub {
  const channel = `${options.schema.slice(0, 56)}.events`; // a name has 63 bytes; sharing one costs hints
  const sender = randomUUID().slice(0, 8);
  const { wake, wakeAll, watched, seen, add, isEmpty } = openWatchers();
  const listener = openListener(options.address.url, channel, { heard, listening: wakeAll });
  const changed = new Set<string>();
  let sending: NodeJS.Timeout | undefined;
  let sentAt = 0;

  /** `sender,run_…,queue:…`; who sent it has woken its own watchers already. */
  function heard(message: string): void {
    const [from, ...keys] = message.split(",");
    if (from === sender) return;
    if (keys[0] === EVERYTHING) wakeAll();
    else keys.forEach(wake);
  }

  function send(): void {
    sending = undefined;
    sentAt = performance.now();
    const runIds = [...changed].slice(0, RUNS_MAX);
    const isAll = changed.size > RUNS_MAX;
    changed.clear();
    db.one(events.notify, { channel, sender, runIds, isAll }).then(
      ({ parentRunIds, queues }) => {
        parentRunIds.forEach(wake);
        for (const queue of queues) wake(QUEUE + queue);
        if (isAll) wakeAll();
      },
      () => {}, // lost hints cost one pulse
    );
  }

  function watch(key: string, call: () => void): () => void {
    const remove = add(key, call);
    listener.start();
    options.watching();
    return () => {
      remove();
      if (isEmpty()) listener.rest();
    };
  }

  return {
    touched(runIds, queues = []) {
      for (const queue of queues) wake(QUEUE + queue);
      for (const runId of runIds) {
        wake(runId);
        if (!db.readOnly) changed.add(runId);
      }
      if (changed.size === 0 || sending !== undefined) return;
      const spacingMs = watched().queues.length > 0 ? WAITING_SPACING_MS : SPACING_MS;
      sending = setTimeout(send, Math.max(0, sentAt + spacingMs - performance.now())).unref();
    },
    watch,
    watchQueue: (queue, call) => watch(QUEUE + queue, call),
    watched,
    seen,
    wakeAll,
    async close() {
      clearTimeout(sending);
      await listener.stop();
    },
  };
}

/** Who watches what in this process: a key is a run's id, or `queue:` and a queue's name. */
function openWatchers(): Watchers & {
  wake(key: string): void;
  add(key: string, call: () => void): () => void;
  isEmpty(): boolean;
} {
  const watchers = new Map<string, Set<() => void>>();
  const heads = new Map<string, number>();

  function wake(key: string): void {
    for (const call of watchers.get(key) ?? []) call();
  }

  return {
    wake,
    wakeAll() {
      for (const key of watchers.keys()) wake(key);
    },
    watched() {
      const keys = [...watchers.keys()];
      const queues = keys.filter((key) => key.startsWith(QUEUE));
      return {
        queues: queues.map((key) => key.slice(QUEUE.length)),
        runIds: keys.filter((key) => !key.startsWith(QUEUE)),
      };
    },
    seen({ queues, runIds, lastSeqs }) {
      for (const queue of queues) wake(QUEUE + queue);
      for (const [n, runId] of runIds.entries()) {
        const lastSeq = lastSeqs[n];
        if (lastSeq === undefined || !watchers.has(runId)) continue;
        if (heads.get(runId) !== lastSeq) wake(runId);
        heads.set(runId, lastSeq);
      }
    },
    add(key, call) {
      const calls = watchers.get(key) ?? new Set();
      watchers.set(key, calls.add(call));
      return () => {
        if (!calls.delete(call) || calls.size > 0) return;
        watchers.delete(key);
        heads.delete(key);
      };
    },
    isEmpty: () => watchers.size === 0,
  };
}
