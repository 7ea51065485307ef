import type { Connection } from "../connection.ts";
import type { Operations } from "../operations.gen.ts";

type Input<Name extends keyof Operations> = Operations[Name]["input"];
type Output<Name extends keyof Operations> = Operations[Name]["output"];

/** Which usage is summed, and how. */
export interface UsageQuery extends Omit<Input<"usage.totals">, "tree" | "since" | "until"> {
  /** With `runId`: the run and all its descendants. */
  readonly tree?: boolean;
  /** Recorded at or after: a Date, an instant, a day of UTC (`2026-11-01`), or so long before now (`24h`). */
  readonly since?: Date | string;
  /** Recorded before. */
  readonly until?: Date | string;
}

/** Sums, whole and by group; money is exact decimal text. */
export type UsageTotals = Output<"usage.totals">;
/** A page of a run's records. */
export type UsagePage = Output<"usage.list">;

/** What runs used and what it cost, seen from outside. */
export class Usage {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /**
   * Sums of a run, of its tree, or of all runs; `by` groups them, the dearest first, days the latest first. Throws
   * `run_not_found`, `input_invalid`.
   */
  async totals(query: UsageQuery = {}): Promise<UsageTotals> {
    const { tree, since, until, ...rest } = query;
    return this.#connection.call("usage.totals", {
      ...rest,
      ...(tree !== undefined && { tree: String(tree) }),
      ...(since !== undefined && { since: momentOf(since) }),
      ...(until !== undefined && { until: momentOf(until) }),
    });
  }

  /** The records of a run, oldest first, a page at a time. Throws `run_not_found`. */
  list(runId: string, page: Omit<Input<"usage.list">, "runId"> = {}): Promise<UsagePage> {
    return this.#connection.call("usage.list", { runId, ...page });
  }
}

function momentOf(moment: Date | string): string {
  return moment instanceof Date ? moment.toISOString() : moment;
}
