import type { Random } from "../nemesis/fault.ts";
import type { World } from "../world/world.ts";

/** What a workload's client side is given. */
export interface Load {
  readonly world: World;
  readonly random: Random;
  /** Ends when the load stops: new work is not begun after it. */
  readonly stop: AbortSignal;
  /**
   * Does a call of a client and records it: `ok` with what it returned, `fail` when it was refused for certain, `info`
   * when its answer was lost. Never repeats it. Returns undefined when it was not `ok`.
   */
  recorded<T>(
    op: { f: string; key: string; value?: unknown },
    call: () => Promise<T>,
  ): Promise<T | undefined>;
}

/** One kind of load (reliability.md §2.2). */
export interface Workload {
  /** Such as `W1`. */
  readonly id: string;
  readonly title: string;
  /** Drives it until `stop`, then ends; runs that have begun go on by the workers. */
  drive(load: Load): Promise<void>;
}
