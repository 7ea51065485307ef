import type { Edit } from "./edit.ts";

/** A part of the harness that may see a mutant: a stage of `npm run chaos`, or one hostile profile. */
export type Look =
  | {
      readonly stage: string;
      /** The faults of its trials, as `--faults` takes them; dealt by the seed when not said. */
      readonly faults?: string;
      /** Whose crash points, as `--loads` takes them; all when not said. */
      readonly loads?: string;
    }
  | {
      readonly profile: string;
      /** One of its test files; all of them when not said. */
      readonly file?: string;
    };

/** A known fault, put into a copy of our server on purpose (reliability.md §2.6). */
export interface Mutant {
  /** Its number in the list, and what it is called. */
  readonly id: string;
  /** What is wrong with it, as a reviewer would say it. */
  readonly fault: string;
  readonly edits: readonly Edit[];
  /** Where it is looked for, the likeliest first. */
  readonly looks: readonly Look[];
}

/** Trials in which these faults alone are dealt; of the seed's choice when none are named. */
export const trials = (faults?: string): Look => ({
  stage: "trials",
  ...(faults !== undefined && { faults }),
});

export const INTERLEAVE: Look = { stage: "interleave" };
export const CRASH_POINTS: Look = { stage: "crash-points" };

/** The crash points of this load alone. */
export const crashPoints = (loads: string): Look => ({ stage: "crash-points", loads });
