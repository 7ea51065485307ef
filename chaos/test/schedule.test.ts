import { expect, it } from "vitest";
import { randomOf } from "../../test/support/random.ts";
import { faults } from "../nemesis/index.ts";
import { plan } from "../nemesis/schedule.ts";

const ends = ({ at, lasts }: { at: number; lasts: number }) => at + lasts;

it("A plan is the same for the same seed, and deals every fault before any comes again", () => {
  const [one, again] = [plan(randomOf(7), faults.length), plan(randomOf(7), faults.length)];
  expect(again).toEqual(one);
  expect(new Set(one.map(({ fault }) => fault.id)).size).toBe(faults.length);
  expect(plan(randomOf(8), faults.length)).not.toEqual(one);
});

it("A fault that hits everything has its window for itself, and at most two others meet", () => {
  for (let seed = 1; seed <= 50; seed++) {
    const planned = plan(randomOf(seed), 30);
    for (const one of planned) {
      const meets = planned.filter(
        (other) => other !== one && other.at <= ends(one) && one.at <= ends(other),
      );
      expect(meets.length, `seed ${seed}`).toBeLessThanOrEqual(one.alone ? 0 : 1);
      expect(
        meets.every(({ alone }) => !alone),
        `seed ${seed}`,
      ).toBe(true);
    }
  }
});
