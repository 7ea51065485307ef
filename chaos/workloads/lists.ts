import type { Tidebase } from "@tidebase/sdk";
import { enqueue, type Once, withClient } from "./client.ts";
import type { ListInput } from "./inputs.ts";
import { paced, pause } from "./pace.ts";
import type { Load, Workload } from "./workload.ts";

const PER_SECOND = 0.8;
const NUMBERS = 9;
const READERS = 2;
const LOOKS = 4;
const ENDS = new Set(["run.completed", "run.cancelled"]);

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
  const readers = Array.from({ length: READERS }, (_, n) =>
    follow(load, tide, { runId, stream: `${runId}#${n}` }),
  );
  await Promise.all([...readers, look(load, once, runId)]);
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

/** One reader: it leaves its connection after some events and goes on where it was, on another. */
async function follow(
  load: Load,
  tide: Tidebase,
  { runId, stream }: { readonly runId: string; readonly stream: string },
): Promise<void> {
  for (let afterSeq = 0; !load.stop.aborted; ) {
    let left = 1 + load.random(5);
    try {
      for await (const { seq, type } of tide.runs.events(runId, { afterSeq, signal: load.stop })) {
        afterSeq = seq;
        await load.recorded({ f: "events.read", key: runId }, async () => ({ stream, seq, type }));
        if (ENDS.has(type)) return;
        left -= 1;
        if (left === 0) break;
      }
      if (left > 0) return;
    } catch {
      await pause(load, 500); // nobody has answered: what was read stays read
    }
  }
}
