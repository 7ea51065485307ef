import type { Look } from "../history/evidence.ts";
import type { World } from "../world/world.ts";

/** A number from 0 up to and without `below`, of the trial's seed. */
export type Random = (below: number) => number;

/** What a fault has done, and its undoing. */
export interface Blow {
  /** What was hit, for the log. */
  readonly told: string;
  /** What it saw in the store when it was healed, for C13; most faults do not look. */
  readonly look?: Look | undefined;
  /** Undoes it; resolves when what was hit works again. */
  heal(): Promise<void>;
}

/** A row of the fault matrix (reliability.md §2.3). */
export interface Fault {
  /** Such as `F5`. */
  readonly id: string;
  readonly title: string;
  /** How long it lasts by default, ms. */
  readonly lastsMs: number;
  /** Resolves when it is seen to have fired; throws when it could not be. */
  fire(world: World, random: Random): Promise<Blow>;
}
