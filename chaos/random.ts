import { randomOf } from "../test/support/random.ts";
import type { Random } from "./nemesis/fault.ts";

/** The numbers of this part of a seed: the parts of a trial that go on at once do not disturb each other's. */
export function randomFor(seed: number, part: string): Random {
  let mixed = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b);
  for (const character of part) mixed = Math.imul(mixed ^ character.charCodeAt(0), 0x01000193);
  mixed ^= mixed >>> 15;
  return randomOf(Math.imul(mixed, 0x2c1b3c6d) ^ (mixed >>> 13));
}

/** The same in a random order (Fisher–Yates). */
export function shuffled<T>(all: readonly T[], random: Random): T[] {
  const deck = [...all];
  for (let n = deck.length - 1; n > 0; n--) {
    const other = random(n + 1);
    [deck[n], deck[other]] = [deck[other] as T, deck[n] as T];
  }
  return deck;
}
