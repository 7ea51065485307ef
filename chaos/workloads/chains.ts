import { createPlain, enqueue, type Once, withClient } from "./client.ts";
import type { ChainInput } from "./inputs.ts";
import { paced, percent } from "./pace.ts";
import type { Load, Workload } from "./workload.ts";

const PER_SECOND = 2;
const STEPS = 6;

/** Steps with effects, some of them longer than the lease; every third run is in no queue and begun by its id. */
export const chains: Workload = {
  id: "W1",
  title: "step chains",
  drive: (load) =>
    withClient(load, load.world.keys.worker, (once) =>
      paced(load, PER_SECOND, (nth) => begin(load, once, nth)),
    ),
};

function begin(load: Load, once: Once, nth: number): Promise<unknown> {
  const input = inputOf(load);
  if (nth % 3 === 0) return createPlain(load, once, { workflow: "plain-chain", input });
  return enqueue(load, once, {
    workflow: "chain",
    input,
    maxAttempts: 20,
    backoff: { minMs: 100, maxMs: 1000 },
  });
}

function inputOf(load: Load): ChainInput {
  const all = Array.from({ length: STEPS }, (_, n) => n);
  return {
    steps: STEPS,
    long: all.filter(() => percent(load, 10)),
    flaky: percent(load, 30) ? 1 + load.random(2) : 0,
    manual: percent(load, 10),
    ms: load.random(60),
  };
}
