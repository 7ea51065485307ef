import { setMaxListeners } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import type { Tidebase } from "@tidebase/sdk";
import { enqueue, type Once, withClient } from "./client.ts";
import type { ListInput } from "./inputs.ts";
import { paced, pause } from "./pace.ts";
import type { Load, Workload } from "./workload.ts";

const PER_SECOND = 0.8;
const NUMBERS = 9;
const READERS = 2;
const LOOKS = 4;
/** So long after the load readers wait for the end of their run: C9 says which of them should have been told more. */
const READ_ON_MS = 18_000;
const ATTEND_EVERY_MS = 1000;
const ATTEND_MS = 2000;
const PAUSE_MS = 500;
const ENDS = new Set(["run.completed", "run.cancelled"]);

interface Reader {
  readonly runId: string;
  readonly stream: string;
  /** Ends its patience. */
  readonly signal: AbortSignal;
}

/** Lists that runs append to, and readers of their events that go from server to server. */
export const lists: Workload = {
  id: "W7",
  title: "state, and readers of events",
  drive: (load) =>
    withClient(load, load.world.keys.worker, (once, tide) =>
      paced(load, PER_SECOND, (nth) => one(load, { once, tide }, nth)),
    ),
};

async function one(
  load: Load,
  { once, tide }: { once: Once; tide: Tidebase },
  nth: number,
): Promise<void> {
  const input: ListInput = {
    numbers: Array.from({ length: NUMBERS }, (_, n) => nth * NUMBERS + n),
    branches: 1 + load.random(3),
    ms: 20 + load.random(150),
  };
  const queued = await enqueue(load, once, { workflow: "list", input, maxAttempts: 20 });
  if (queued === undefined) return;
  const { runId } = queued;
  const over = new AbortController();
  setMaxListeners(0, over.signal); // each wait of a reader listens
  const readers = Array.from({ length: READERS }, (_, n) =>
    follow(load, tide, { runId, stream: `${runId}#${n}`, signal: over.signal }),
  );
  const reading = Promise.all(readers).then(() => over.abort());
  await Promise.all([reading, look(load, once, runId), attend(load, once, { runId, over })]);
}

/** After the load: asks how long the log has become while readers read on, and ends their patience. */
async function attend(
  load: Load,
  once: Once,
  { runId, over }: { readonly runId: string; readonly over: AbortController },
): Promise<void> {
  const { stop } = load;
  const { signal } = over;
  const wait = (ms: number) => sleep(ms, undefined, { signal }).catch(() => {});
  while (!stop.aborted && !signal.aborted) await wait(PAUSE_MS);
  const since = performance.now();
  while (!signal.aborted && performance.now() - since < READ_ON_MS) {
    await load.recorded({ f: "runs.get", key: runId }, async () => {
      const { status, lastSeq } = (await once("runs.get", { runId }, ATTEND_MS)).run;
      return { status, lastSeq };
    });
    await wait(ATTEND_EVERY_MS);
  }
  over.abort();
}

/** Reads the list now and then, from whichever server answers. */
async function look(load: Load, once: Once, runId: string): Promise<void> {
  for (let looks = 0; looks < LOOKS && !load.stop.aborted; looks++) {
    await pause(load, load.random(800));
    await load.recorded({ f: "state.read", key: runId }, async () => {
      const { found, value } = await once("state.read", { runId });
      return { list: found ? (value as { list: number[] }).list : [] };
    });
  }
}

/**
 * One reader: it leaves its connection after some events and goes on where it was, on another. Where it was not shown the
 * end it notes how far it came, and whether it was told that there is no more (`over`) or has given up.
 */
async function follow(load: Load, tide: Tidebase, reader: Reader): Promise<void> {
  const { runId, stream, signal } = reader;
  let afterSeq = 0;
  let over = false;
  while (!signal.aborted && !over) {
    let left = 1 + load.random(5);
    try {
      for await (const { seq, type } of tide.runs.events(runId, { afterSeq, signal })) {
        afterSeq = seq;
        await load.recorded({ f: "events.read", key: runId }, async () => ({ stream, seq, type }));
        if (ENDS.has(type)) return;
        left -= 1;
        if (left === 0) break;
      }
      over = left > 0 && !signal.aborted;
    } catch {
      await sleep(PAUSE_MS, undefined, { signal }).catch(() => {}); // nobody has answered: what was read stays read
    }
  }
  const got = { stream, seq: afterSeq, over };
  await load.recorded({ f: "events.left", key: runId }, async () => got);
}
