import { afterAll, beforeAll, expect, test } from "vitest";
import regressions from "../../chaos/regressions.json" with { type: "json" };
import { runTrial, type Trial } from "../../chaos/trial.ts";
import { type Grounds, openGrounds } from "../../chaos/world/grounds.ts";
import { seedOf } from "../support/random.ts";

/** Trials that proved something, of at most so many: on a starved machine some prove nothing. */
const WANTED = 2;
const TRIED_MAX = 6;

const seed = seedOf() % 1_000_000;
let grounds: Grounds;

beforeAll(async () => {
  grounds = await openGrounds();
});
afterAll(() => grounds?.close());

const told = ({ invalid, failures }: Trial): string[] => [
  ...invalid.map(({ key, message }) => `${key}: ${message}`),
  ...failures,
];

/** Trials until enough of them were valid. A broken promise fails the test, whether its trial was valid or not. */
async function prove(wanted: number, trialOf: (nth: number) => Promise<Trial>): Promise<void> {
  const proved: number[] = [];
  const invalid: string[][] = [];
  for (let nth = 0; nth < TRIED_MAX && proved.length < wanted; nth++) {
    const trial = await trialOf(nth);
    console.log(`chaos trial: seed ${trial.seed}, ${trial.faults.join(" ")}`);
    expect(trial.violations.map((one) => `${one.check} ${one.key}: ${one.message}`)).toEqual([]);
    const why = told(trial);
    if (why.length > 0) invalid.push(why);
    else proved.push(trial.seed);
  }
  expect(proved, JSON.stringify(invalid)).toHaveLength(wanted);
}

test.each(regressions as { seed: number; faults: string[]; why: string }[])(
  "what was once broken holds: $why (seed $seed, $faults)",
  ({ seed: once, faults }) => prove(1, () => runTrial({ seed: once, faults, grounds })),
);

test("the promises hold under faults chosen at random", () =>
  prove(WANTED, (nth) => runTrial({ seed: seed + nth, grounds })));
