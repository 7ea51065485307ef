import { STEPS } from "./workflow.ts";

/** When to kill the agent: so far into this step. */
export interface KillPlan {
  readonly seed: number;
  readonly step: string;
  /** Of the step's duration, 0 to 1. */
  readonly part: number;
}

/** Something is done by then, and something is left. */
const FIRST = 4;

/** Late enough that the record shows the step as begun, early enough that it does not finish. */
const [LEAST, MOST] = [0.25, 0.8];

/** The same seed kills at the same place. */
export function planKill(seed: number): KillPlan {
  const random = randomFrom(seed);
  const step = STEPS[FIRST + Math.floor(random() * (STEPS.length - FIRST))] ?? STEPS[FIRST];
  return { seed, step, part: LEAST + random() * (MOST - LEAST) };
}

/** Mulberry32: small, and the same on every machine. */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
