import { enqueue, withClient } from "./client.ts";
import type { MeterInput } from "./inputs.ts";
import { paced } from "./pace.ts";
import type { Load, Workload } from "./workload.ts";

const PER_SECOND = 0.8;
const AMOUNTS = 5;

/** Runs that record what they use, each amount under its key. */
export const meters: Workload = {
  id: "W9",
  title: "usage",
  drive: (load) =>
    withClient(load, load.world.keys.worker, (once) =>
      paced(load, PER_SECOND, () =>
        enqueue(load, once, { workflow: "meter", input: inputOf(load), maxAttempts: 20 }),
      ),
    ),
};

function inputOf({ random }: Load): MeterInput {
  return { amounts: Array.from({ length: AMOUNTS }, () => 1 + random(99)) };
}
