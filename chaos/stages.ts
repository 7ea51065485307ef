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
  input: 1,
  access: 1,
  "crash-points": 3,
  profiles: 2,
  mutants: 6,
  trials: 5,
};

/** Loads the stage: those that are not asked for are not. */
export async function loadStage(id: StageId, trials: TrialStageOptions): Promise<Stage> {
  switch (id) {
    case "interleave":
      return (await import("./interleave/stage.ts")).stage;
    case "input":
      return (await import("./input/stage.ts")).stage;
    case "access":
      return (await import("./access/stage.ts")).stage;
    case "crash-points":
      return (await import("./crash-points/stage.ts")).stage;
    case "profiles":
      return (await import("./profiles/stage.ts")).stage;
    case "mutants":
      return (await import("./mutants/stage.ts")).stage;
    case "trials":
      return trialStage(trials);
  }
}
