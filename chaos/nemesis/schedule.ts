import { shuffled } from "../random.ts";
import type { Fault, Random } from "./fault.ts";
import { faults } from "./index.ts";

/** A fault with its window, ms after the load began. */
export interface Planned {
  readonly fault: Fault;
  readonly at: number;
  readonly lasts: number;
  /** Whether it hits all processes, Postgres or a link: no other fault in its window. */
  readonly alone: boolean;
}

/** Faults of a single process, by which kind they hit; two of different kinds may happen at once. */
const KINDS: Readonly<Record<string, "worker" | "server">> = {
  F1: "worker",
  F5: "worker",
  F2: "server",
  F6: "server",
  F15: "server",
  F17: "server",
  F23: "server",
};
const FIRST_MS = 1000;
const PAUSE_MS = 1000;

/**
 * Chooses so many faults of the seed: each of `among` once, in an order of its own, before any comes again. In windows that
 * overlap there are a worker's and a server's fault at most. Firing and healing take time of their own, so who carries it
 * out heals the faults before, and then fires one that is to be alone.
 */
export function plan(
  random: Random,
  count: number,
  among: readonly Fault[] = faults,
): readonly Planned[] {
  const planned: Planned[] = [];
  let [deck, free]: [Fault[], number] = [[], FIRST_MS];
  while (planned.length < count && among.length > 0) {
    if (deck.length === 0) deck = shuffled(among, random);
    const fault = deck.pop() as Fault;
    const [before, last] = [planned.at(-2), planned.at(-1)];
    const lasts = Math.round((fault.lastsMs * (75 + random(51))) / 100);
    const isPaired = before !== undefined && last !== undefined && endOf(before) >= last.at;
    const at =
      last !== undefined && !isPaired && mayMeet(last, fault) && random(2) === 0
        ? last.at + random(last.lasts + 1)
        : free + random(PAUSE_MS);
    planned.push({ fault, at, lasts, alone: KINDS[fault.id] === undefined });
    free = Math.max(free, at + lasts + PAUSE_MS); // past both of a pair
  }
  return planned;
}

const endOf = ({ at, lasts }: Planned): number => at + lasts;

function mayMeet(last: Planned, next: Fault): boolean {
  const [one, other] = [KINDS[last.fault.id], KINDS[next.id]];
  return one !== undefined && other !== undefined && one !== other;
}
