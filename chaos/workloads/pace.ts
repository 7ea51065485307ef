import { setTimeout as sleep } from "node:timers/promises";
import type { Load } from "./workload.ts";

/** Under a fault that holds every call up, no more than so many are begun. */
const MOST_UNDER_WAY = 40;

/**
 * Acts about so often a second until the load stops, without waiting for one act before the next; resolves
 * when the last has ended. Throws what an act threw: calls that fail are recorded and throw nothing.
 */
export async function paced(
  load: Load,
  perSecond: number,
  act: (nth: number) => Promise<unknown>,
): Promise<void> {
  const underWay = new Set<Promise<void>>();
  const broken: unknown[] = [];
  for (let nth = 0; !load.stop.aborted && broken.length === 0; nth++) {
    if (underWay.size < MOST_UNDER_WAY) {
      const one: Promise<void> = act(nth)
        .then(
          () => {},
          (error) => void broken.push(error),
        )
        .then(() => void underWay.delete(one));
      underWay.add(one);
    }
    await pause(load, (500 + load.random(1000)) / perSecond);
  }
  await Promise.all(underWay);
  if (broken.length > 0) throw broken[0];
}

/** Waits so many ms, or until the load stops. */
export async function pause({ stop }: Load, ms: number): Promise<void> {
  if (!stop.aborted) await sleep(ms, undefined, { signal: stop }).catch(() => {});
}

/** Whether a thing happens that is to happen so many times in a hundred. */
export function percent({ random }: Load, share: number): boolean {
  return random(100) < share;
}
