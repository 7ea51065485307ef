import { enqueue, type Once, repeated, SETUP, SETUP_MS, twice, withClient } from "./client.ts";
import type { JobInput } from "./inputs.ts";
import { paced, percent } from "./pace.ts";
import type { Load, Workload } from "./workload.ts";

/** How many runs of each queue, and of each key in it, may work at once. */
const QUEUES = [
  { queue: "jobs-1", concurrency: 1, perSecond: 0.7 },
  { queue: "jobs-3", concurrency: 3, perSecond: 0.9 },
  { queue: "jobs-10", concurrency: 10, keyConcurrency: 2, perSecond: 1.2 },
] as const;

const RACERS = 3;
const TENANTS = 4;
const BACKOFF = { minMs: 100, factor: 2, maxMs: 800 };

/**
 * Queues with limits, priorities, retries and dead letters, and several who enqueue under one dedupe key at once, or one
 * idempotency key.
 */
export const jobs: Workload = {
  id: "W2",
  title: "queues with retries, limits, dedupe and idempotency keys",
  drive: (load) =>
    withClient(load, load.world.keys.worker, async (once) => {
      await Promise.all(QUEUES.map((queue) => limit(load, once, queue)));
      const driven = QUEUES.map(({ queue, perSecond }) =>
        paced(load, perSecond, () => add(load, once, queue)),
      );
      await Promise.all(driven);
    }),
};

/** Before its first job: one that was claimed without the limit could not be told from one past it. */
async function limit(load: Load, once: Once, queue: (typeof QUEUES)[number]): Promise<void> {
  const { perSecond: _, ...limits } = queue;
  const op = { f: "queues.update", key: queue.queue, value: limits };
  await repeated(load, op, () => once("queues.update", limits, SETUP_MS), SETUP);
}

async function add(load: Load, once: Once, queue: string): Promise<void> {
  const item = () => ({
    workflow: "job",
    queue,
    input: inputOf(load),
    priority: load.random(11) - 5,
    maxAttempts: 4,
    backoff: BACKOFF,
    ...(queue === "jobs-10" && { concurrencyKey: `tenant-${load.random(TENANTS)}` }),
  });
  if (!percent(load, 35)) {
    const one = item();
    const isKeyed = percent(load, 30);
    await (isKeyed
      ? twice((idempotencyKey) => enqueue(load, once, { ...one, idempotencyKey }))
      : enqueue(load, once, one));
    return;
  }
  const dedupeKey = `${queue}/${load.random(6)}`;
  const racers = Array.from({ length: RACERS }, () =>
    enqueue(load, once, { ...item(), dedupeKey }),
  );
  await Promise.all(racers);
}

/** A twentieth is never done and ends as a dead letter. */
function inputOf(load: Load): JobInput {
  const often = percent(load, 5) ? 99 : 0;
  const fails = often > 0 ? often : percent(load, 30) ? 1 + load.random(2) : 0;
  return { fails, late: percent(load, 50), ms: 10 + load.random(120) };
}
