import type { Choose } from "./scheduler.ts";

/** How far an exploration came. */
interface Explored {
  readonly orders: number;
  /** Every order was run, but those that only swap two reads. */
  readonly isWhole: boolean;
}

/**
 * Runs all orders of the lanes' statements, each by running everything anew: `run` is given what chooses. Orders that
 * differ only in which of two adjacent reads comes first are run once (sleep sets: P. Godefroid, Partial-Order Methods
 * for the Verification of Concurrent Systems, 1996). Above `limit` a sample, drawn by `random`.
 */
export async function everyOrder(
  run: (choose: Choose) => Promise<void>,
  { limit, random }: { limit: number; random: (below: number) => number },
): Promise<Explored> {
  const prefixes: (readonly number[])[] = [[]];
  let orders = 0;
  for (; prefixes.length > 0 && orders < limit; orders++) {
    const [prefix = []] = prefixes.splice(random(prefixes.length), 1);
    const walk = walkAlong(prefix);
    await run(walk.choose);
    prefixes.push(...walk.alternatives);
  }
  return { orders, isWhole: prefixes.length === 0 };
}

/** Follows the prefix, then takes the first that can go, and notes where it could have gone otherwise. */
function walkAlong(prefix: readonly number[]): {
  choose: Choose;
  alternatives: (readonly number[])[];
} {
  const taken: number[] = [];
  const alternatives: (readonly number[])[] = [];
  /** Lanes whose read came first in an order that was run, until something is written. */
  const asleep = new Set<number>();
  let isRedundant = false;

  const choose: Choose = (runnable) => {
    const awake = runnable.filter(({ lane }) => !asleep.has(lane));
    isRedundant ||= awake.length === 0;
    const able = awake.length > 0 ? awake : runnable;
    const forced = prefix[taken.length];
    const one = runnable.find(({ lane }) => lane === forced) ?? able[0];
    if (one === undefined) throw new Error("nothing can go on");
    if (taken.length >= prefix.length && !isRedundant)
      for (const { lane } of able.slice(1)) alternatives.push([...taken, lane]);
    for (const { lane, isRead } of able) {
      if (lane === one.lane) break;
      if (isRead && one.isRead) asleep.add(lane);
    }
    if (!one.isRead) asleep.clear();
    asleep.delete(one.lane);
    taken.push(one.lane);
    return one.lane;
  };
  return { choose, alternatives };
}
