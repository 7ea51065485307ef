import type { Stage } from "./stage.ts";
import { type TrialStageOptions, trialStage } from "./trial-stage.ts";

/** In the order in which they run: trials take what the others leave of the time. */
export const STAGE_IDS = [
  "interleave",
  "input",
  "access",
  "crash-points",
  "profiles",
  "mutants",
  "trials",
] as const;
/** The name of a stage for `--only`. */
export type StageId = (typeof STAGE_IDS)[number];

/** About what part of the time each needs, against each other. */
export const SHARES: Readonly<Record<StageId, number>> = {
  interleave: 2,
  input: 2,
  access: 1,
  "crash-points": 3,
  profiles: 2,
  mutants: 6,
  trials: 5,
};

/** What a stage may be told besides what every stage is told. */
interface StageOptions extends TrialStageOptions {
  /** The crash points of these loads only, such as `server` or the name of a sweep; of all by default. */
  readonly loads?: readonly string[] | undefined;
}

/** Loads the stage: those that are not asked for are not. */
export async function loadStage(id: StageId, options: StageOptions): Promise<Stage> {
  switch (id) {
    case "interleave":
      return (await import("./interleave/stage.ts")).stage;
    case "input":
      return (await import("./input/stage.ts")).stage;
    case "access":
      return (await import("./access/stage.ts")).stage;
    case "crash-points":
      return (await import("./crash-points/stage.ts")).pointStage(options);
    case "profiles":
      return (await import("./profiles/stage.ts")).stage;
    case "mutants":
      return (await import("./mutants/stage.ts")).stage;
    case "trials":
      return trialStage(options);
  }
}
