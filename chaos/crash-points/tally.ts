import type { StageResult } from "../stage.ts";
import { differences, type Outcome } from "./outcome.ts";
import { type Place, placeText } from "./place.ts";
import type { Trial } from "./trial.ts";

/** So many of the trials have to die where they were told to: the others prove nothing. */
const LEAST_FIRED = 0.95;
/** The promises that a clean crash speaks for: no repeat, liveness, logs, messages, what was acknowledged. */
const PROMISES = ["P1", "P4", "P11", "P12", "P17"];

interface Count {
  /** Known points: those of the run without a crash, or of one that came to its end with fewer or more of them. */
  points: number;
  crashes: number;
  /** Trials that came to their end before they came to their place. */
  spared: number;
}

/** What the trials have come to so far. */
export interface Tally {
  /** Whether a process may come to this place, as far as is known by now, or so many behind the last one. */
  exists(load: string, at: Place, more: number): boolean;
  /** A line to tell when the trial was not clean. */
  count(load: string, trial: Trial, calm: Outcome): string | undefined;
  result(seed: number): StageResult;
}

/** Counts by load; each is given with its points. `known` are problems that there are already. */
export function openTally(loads: ReadonlyMap<string, number>, known: readonly string[]): Tally {
  const counts = new Map<string, Count>();
  for (const [load, points] of loads) counts.set(load, { points, crashes: 0, spared: 0 });
  const problems = [...known];
  let clean = 0;
  let longest = { ms: 0, what: "none" };

  return {
    exists: (load, { n }, more) => n <= (counts.get(load)?.points ?? 0) + more,
    count(load, trial, calm) {
      const { at, died, outcome } = trial;
      const count = counts.get(load);
      if (count === undefined || at === undefined) return undefined;
      const what = `${load} at ${placeText(at)} (${died ?? "it came to its end"})`;
      if (died !== undefined) count.crashes += 1;
      else if (at.n <= count.points) count.spared += 1;
      count.points =
        died === undefined ? (trial.points ?? count.points) : Math.max(count.points, at.n);
      if (trial.recoveryMs > longest.ms) longest = { ms: trial.recoveryMs, what };
      const wrong = [...trial.problems, ...differences(outcome, calm)];
      if (wrong.length === 0) {
        if (died !== undefined) clean += 1;
        return undefined;
      }
      problems.push(`${what}: ${wrong.join("; ")}`);
      return problems.at(-1);
    },
    result(seed) {
      const all = [...counts.values()];
      const sum = (of: (count: Count) => number) => all.reduce((n, count) => n + of(count), 0);
      const [crashes, spared] = [sum((one) => one.crashes), sum((one) => one.spared)];
      const tried = crashes + spared;
      if (tried === 0 || crashes / tried < LEAST_FIRED)
        problems.push(`Only ${crashes} of ${tried} processes died where they were told to.`);
      return {
        tried,
        promises: Object.fromEntries(PROMISES.map((promise) => [promise, clean])),
        problems: problems.map((problem) => `${problem} (seed ${seed})`),
        facts: {
          ...Object.fromEntries([...counts].map(([load, count]) => [load, told(count)])),
          points: `${tried} of ${sum((one) => one.points * 2)} places tried`,
          crashes,
          "not fired": spared,
          "longest recovery, ms": Math.round(longest.ms),
          "longest recovery": longest.what,
        },
      };
    },
  };
}

function told({ points, crashes, spared }: Count): string {
  return `${crashes} crashes at ${points * 2} places${spared > 0 ? `, ${spared} not fired` : ""}`;
}
