import { setTimeout as delay } from "node:timers/promises";
import { type Fired, now } from "./history/evidence.ts";
import type { Fault, Random } from "./nemesis/fault.ts";
import { faults } from "./nemesis/index.ts";
import { plan } from "./nemesis/schedule.ts";
import { randomFor } from "./random.ts";
import type { World } from "./world/world.ts";

/** How many faults a trial gets, a number for each tenth of the trials: more of them take longer. */
const COUNTS = [1, 1, 1, 1, 1, 1, 2, 2, 2, 3];

/**
 * To them firing is the blow: what they end is gone when it resolves, and comes back after that at the earliest. F20 is one of
 * them for the disk of the log, for which Postgres is restarted first and ends then.
 */
const STRIKES_AT_ONCE = new Set(["F1", "F2", "F3", "F4", "F9", "F20"]);

/**
 * The faults of a trial: those with these ids, else one to three by its seed. Seeds that follow each other begin with
 * faults that follow each other, so that each has its turn. Throws for an id that no fault has.
 */
export function chooseFaults(seed: number, ids?: readonly string[]): readonly Fault[] {
  if (ids !== undefined) return ids.map(faultOf);
  const random = randomFor(seed, "choice");
  const first = faults[seed % faults.length];
  const others = Array.from(
    { length: (COUNTS[random(10)] ?? 1) - 1 },
    () => faults[random(faults.length)],
  );
  const chosen = [first, ...others].filter((fault) => fault !== undefined);
  return [...new Set(chosen)];
}

function faultOf(id: string): Fault {
  const found = faults.find((fault) => fault.id === id);
  if (found === undefined)
    throw new Error(
      `No fault is called ${id}: there are ${faults.map((one) => one.id).join(", ")}.`,
    );
  return found;
}

/**
 * Deals them as the seed plans it: their windows follow each other, or those of a worker's and a server's fault meet. Resolves
 * when all are healed. What would not fire or heal is among the failures.
 */
export async function dealFaults(
  world: World,
  chosen: readonly Fault[],
  random: Random,
  failures: string[],
): Promise<readonly Fired[]> {
  const begun = now();
  const fired: Fired[] = [];
  const underWay: Promise<void>[] = [];
  for (const { fault, at, lasts, alone } of plan(random, chosen.length, chosen)) {
    if (alone) await Promise.all(underWay.splice(0));
    await delay(Math.max(0, begun + at - now()));
    const { struck, healed } = deal(world, fault, lasts, random);
    const one = healed.then(
      (blow) => void fired.push(blow),
      (error: unknown) => void failures.push(`${fault.id}: ${stackOf(error)}`),
    );
    underWay.push(one);
    await (alone ? one : struck);
  }
  await Promise.all(underWay);
  return fired.sort((a, b) => a.from - b.from);
}

/** One blow; `struck` resolves when it has been seen to fire, or would not. */
function deal(
  world: World,
  fault: Fault,
  lasts: number,
  random: Random,
): { struck: Promise<void>; healed: Promise<Fired> } {
  const from = now();
  const firing = fault.fire(world, random);
  const struck = firing.then(
    () => {},
    () => {},
  );
  const heal = async (): Promise<Fired> => {
    const blow = await firing;
    const struck = STRIKES_AT_ONCE.has(fault.id) ? from : now();
    await delay(lasts);
    await blow.heal();
    const { told, look } = blow;
    return { id: fault.id, told, from, struck, to: now(), ...(look !== undefined && { look }) };
  };
  return { struck, healed: heal() };
}

const stackOf = (error: unknown): string =>
  error instanceof Error ? (error.stack ?? error.message) : String(error);
