/** What a stage is given. */
export interface StageContext {
  readonly seed: number;
  /** About how long it may take, ms; a stage that is complete by nature may end sooner. */
  readonly budgetMs: number;
  /** Everything, however long it takes, instead of what fits the budget. */
  readonly full: boolean;
  /** A folder of its own for temporary files; removed by the caller. */
  readonly folder: string;
  /** A line of progress. */
  told(text: string): void;
}

/** What a stage found. */
export interface StageResult {
  /** What was tried, such as trials, crash points, orders or cases. */
  readonly tried: number;
  /** Clean trials by promise, such as `{ P1: 24 }`. */
  readonly promises: Readonly<Record<string, number>>;
  /** Each is a sentence with the seed that repeats it; none: all is well. */
  readonly problems: readonly string[];
  /** Figures for the report. */
  readonly facts: Readonly<Record<string, number | string>>;
}

/** A part of `npm run chaos`. */
export interface Stage {
  /** Its name for `--only`. */
  readonly id: string;
  readonly title: string;
  run(context: StageContext): Promise<StageResult>;
}
