import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import known from "../../chaos/regressions.json" with { type: "json" };
import { runTrial, type Trial } from "../../chaos/trial.ts";
import { report } from "../../chaos/trial-stage.ts";
import { type Grounds, openGrounds } from "../../chaos/world/grounds.ts";

/** A trial that was broken once, or one that is always run. */
interface Told {
  readonly seed: number;
  readonly faults: readonly string[];
  /** All by default. */
  readonly workloads?: readonly string[];
  readonly why: string;
}

/** On a starved machine a trial may prove nothing: then it is tried again. */
const TRIES = 3;
/** The same ones each time: chance belongs to `npm run chaos`. */
const ALWAYS: readonly Told[] = [
  { seed: 1, faults: ["F1", "F2"], why: "a worker and a server are killed" },
  { seed: 2, faults: ["F11"], why: "answers are lost" },
];

const regressions: readonly Told[] = known;
const evidence = join(tmpdir(), `tidebase-chaos-evidence-${Date.now()}`);
let grounds: Grounds;

beforeAll(async () => {
  grounds = await openGrounds();
});
afterAll(() => grounds?.close());

const told = ({ invalid, failures }: Trial): string[] => [
  ...invalid.map(({ key, message }) => `${key}: ${message}`),
  ...failures,
];

test.each([...ALWAYS, ...regressions])(
  "the promises hold when $why (seed $seed, $faults)",
  async ({ seed, faults, workloads }) => {
    const invalid: string[][] = [];
    for (let nth = 0; nth < TRIES; nth++) {
      const trial = await runTrial({ seed, faults, workloads, grounds });
      if (trial.violations.length > 0) expect.fail(await report(trial, evidence));
      const why = told(trial);
      if (why.length === 0) return;
      invalid.push(why);
    }
    expect(invalid).toEqual([]);
  },
);
