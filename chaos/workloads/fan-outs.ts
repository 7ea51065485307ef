import { enqueue, withClient } from "./client.ts";
import type { FanInput } from "./inputs.ts";
import { paced, percent } from "./pace.ts";
import type { Load, Workload } from "./workload.ts";

const PER_SECOND = 0.25;

/** Runs that make five to ten children and join them. */
export const fanOuts: Workload = {
  id: "W8",
  title: "fan-outs",
  drive: (load) =>
    withClient(load, load.world.keys.worker, (once) =>
      paced(load, PER_SECOND, () =>
        enqueue(load, once, { workflow: "fan", input: inputOf(load), maxAttempts: 20 }),
      ),
    ),
};

function inputOf(load: Load): FanInput {
  return {
    children: 5 + load.random(6),
    inProcess: percent(load, 30),
    join: percent(load, 50) ? "all" : "settled",
  };
}
