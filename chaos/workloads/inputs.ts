/* What the drivers ask of the runs: all that is left to chance is decided there, so that every replay finds the same. */

/** W1: a chain of steps. */
export interface ChainInput {
  readonly steps: number;
  /** Steps that last longer than the lease. */
  readonly long: readonly number[];
  /** A step that fails so often and is tried again within its attempt. */
  readonly flaky: number;
  /** The step in the middle may not be repeated unseen: its unknown outcome is for a person. */
  readonly manual: boolean;
  readonly ms: number;
}

/** W2: a job that fails some times. */
export interface JobInput {
  readonly fails: number;
  /** Whether it fails once its effect has happened. */
  readonly late: boolean;
  readonly ms: number;
}

/** W3: a question to a human. */
export interface AskInput {
  readonly expiresMs: number | null;
  readonly awaitsSignal: boolean;
}

/** W5: something long, to be cancelled. */
export interface StormInput {
  readonly ms: number;
}

/** W6: something to tell about. */
export interface TellInput {
  readonly asks: boolean;
}

/** W7: numbers to append to one list, each once, by so many branches at a time. */
export interface ListInput {
  readonly numbers: readonly number[];
  readonly branches: number;
  readonly ms: number;
}

/** W8: a fan-out. */
export interface FanInput {
  readonly children: number;
  /** The worker of the parent executes them itself. */
  readonly inProcess: boolean;
  readonly join: "all" | "settled";
}

/** W9: amounts to record, each under its key. */
export interface MeterInput {
  readonly amounts: readonly number[];
}

/** W10: runs that end, well or badly. */
export interface EndInput {
  readonly fails: boolean;
}
