import type { StageResult } from "../stage.ts";
import { differences, type Outcome } from "./outcome.ts";
import { type Place, placeText } from "./place.ts";
import type { Trial } from "./trial.ts";

/** So many of the trials have to die where they were told to: the others prove nothing. */
const LEAST_FIRED = 0.95;
/** Of a load's places, timers may keep so many from ever being reached. */
const MOST_MISSED = 0.02;
/** How a problem begins that says nothing of the product: the harness could not try what it was to try. */
export const PROVES_NOTHING = "It proves nothing:";

/** What is known of a load before anything dies. */
export interface Known {
  /** The points that every run without a crash has passed: each has two places. What lies behind is there at times only. */
  readonly points: number;
  /** The promises that a clean crash of it speaks for. */
  readonly promises: readonly string[];
}

interface Count extends Known {
  crashes: number;
  clean: number;
  /** Places that nobody came to, although they lie among the known points. */
  missed: number;
  /** Crashes at places behind the known points. */
  behind: number;
}

/** What the trials have come to so far. */
export interface Tally {
  /** A line to tell when the trial was not clean. */
  count(load: string, trial: Trial, calm: Outcome): string | undefined;
  /** Counts a trial that threw, and gives the line to tell. */
  threw(load: string, at: Place, error: unknown): string;
  result(seed: number): StageResult;
}

/** Counts by load. `known` are problems that there are already. */
export function openTally(loads: ReadonlyMap<string, Known>, known: readonly string[]): Tally {
  const counts = new Map<string, Count>();
  for (const [load, { points, promises }] of loads)
    counts.set(load, { points, promises, crashes: 0, clean: 0, missed: 0, behind: 0 });
  const problems = [...known];
  let longest = { ms: 0, what: "none" };

  return {
    count(load, trial, calm) {
      const { at, died, outcome } = trial;
      const count = counts.get(load);
      if (count === undefined || at === undefined) return undefined;
      const what = `${load} at ${placeText(at)} (${died ?? "it came to its end"})`;
      const isKnown = at.n <= count.points;
      if (died === undefined) count.missed += isKnown ? 1 : 0;
      else if (isKnown) count.crashes += 1;
      else count.behind += 1;
      if (trial.recoveryMs > longest.ms) longest = { ms: trial.recoveryMs, what };
      const wrong = [...trial.problems, ...differences(outcome, calm)];
      if (wrong.length === 0) {
        if (died !== undefined) count.clean += 1;
        return undefined;
      }
      const problem = `${what}: ${wrong.join("; ")}`;
      problems.push(problem);
      return problem;
    },
    threw(load, at, error) {
      const says = error instanceof Error ? (error.stack ?? error.message) : String(error);
      const problem = `${PROVES_NOTHING} ${load} at ${placeText(at)} threw: ${says}`;
      problems.push(problem);
      return problem;
    },
    result(seed) {
      const all = [...counts.values()];
      const sum = (of: (count: Count) => number) => all.reduce((n, count) => n + of(count), 0);
      const crashes = sum((one) => one.crashes + one.behind);
      const missed = sum((one) => one.missed);
      const found = [...problems, ...unproven(counts)];
      return {
        tried: crashes + missed,
        promises: cleanByPromise(all),
        problems: found.map((problem) => `${problem} (seed ${seed})`),
        facts: {
          ...Object.fromEntries([...counts].map(([load, count]) => [load, told(count)])),
          places: `${sum((one) => one.crashes)} of ${sum(placesIn)} crashed at`,
          crashes,
          "never reached": missed,
          "longest recovery, ms": Math.round(longest.ms),
          "longest recovery": longest.what,
        },
      };
    },
  };
}

const placesIn = ({ points }: Known): number => points * 2;

/** What has not been tried as it was to be. */
function unproven(counts: ReadonlyMap<string, Count>): string[] {
  const sum = (of: (count: Count) => number) =>
    [...counts.values()].reduce((n, count) => n + of(count), 0);
  const crashes = sum((one) => one.crashes);
  const tried = crashes + sum((one) => one.missed);
  const few = `${PROVES_NOTHING} only ${crashes} of ${tried} processes died where they were told to.`;
  const many = [...counts]
    .filter(([, count]) => count.missed > placesIn(count) * MOST_MISSED)
    .map(
      ([load, count]) =>
        `${PROVES_NOTHING} ${count.missed} of the ${placesIn(count)} places of ${load} were never reached.`,
    );
  return [...(tried === 0 || crashes / tried < LEAST_FIRED ? [few] : []), ...many];
}

function cleanByPromise(counts: readonly Count[]): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const { promises, clean } of counts)
    for (const promise of promises) sums[promise] = (sums[promise] ?? 0) + clean;
  return sums;
}

function told({ points, crashes, missed, behind }: Count): string {
  const parts = [
    `${crashes} crashes at ${points * 2} places`,
    ...(behind > 0 ? [`${behind} behind them`] : []),
    ...(missed > 0 ? [`${missed} never reached`] : []),
  ];
  return parts.join(", ");
}
