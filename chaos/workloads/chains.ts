import { createPlain, enqueue, type Once, twice, withClient } from "./client.ts";
import type { ChainInput } from "./inputs.ts";
import { paced, percent } from "./pace.ts";
import type { Load, Workload } from "./workload.ts";

const PER_SECOND = 2;
const STEPS = 6;

/**
 * Steps with effects, some of them longer than the lease; every third run is in no queue and begun by its id, and half of
 * those are made twice under one idempotency key.
 */
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
  const content = { workflow: "plain-chain", input };
  if (nth % 6 === 0)
    return twice((idempotencyKey) => createPlain(load, once, { ...content, idempotencyKey }));
  if (nth % 3 === 0) return createPlain(load, once, content);
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
