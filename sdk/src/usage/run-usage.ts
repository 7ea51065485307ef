import type { AttemptWrites } from "../attempt-writes.ts";
import { plainJson } from "../encoding/plain-json.ts";
import type { Lease } from "../leases/lease.ts";
import type { Operations } from "../operations.gen.ts";
import { checkOptions } from "../options.ts";
import { unheard } from "../unheard.ts";

/**
 * What was used, and what it cost: at least one of `quantity`, the tokens and `costUsd`. Money and quantities are
 * decimals of up to 12 digits before the point and 12 after: text is kept exactly, a number is rounded.
 */
export interface UsageEntry {
  /** What was used: `llm`, `search`, `gpu` … */
  readonly kind: string;
  readonly provider?: string | undefined;
  readonly model?: string | undefined;
  /** What it was used for. */
  readonly label?: string | undefined;
  /** How much of `unit`, of what is not counted in tokens. */
  readonly quantity?: string | number | undefined;
  readonly unit?: string | undefined;
  readonly inputTokens?: number | undefined;
  readonly outputTokens?: number | undefined;
  /** Input and output together, unless given. */
  readonly totalTokens?: number | undefined;
  readonly costUsd?: string | number | undefined;
  readonly metadata?: Readonly<Record<string, unknown>> | undefined;
  /** Names this record, where content and order in the attempt do not tell it apart from others. */
  readonly key?: string | undefined;
}

/** The record that a call made, or had made before: then `recorded` is true and nothing changed. */
export type UsageRecorded = Operations["usage.record"]["output"];

type Said = Omit<Operations["usage.record"]["input"], keyof Lease | "writeKey">;

const KNOWN: readonly (keyof UsageEntry)[] = [
  ...(["kind", "provider", "model", "label", "quantity", "unit", "inputTokens"] as const),
  ...(["outputTokens", "totalTokens", "costUsd", "metadata", "key"] as const),
];

/**
 * Records what the run uses, each once: a replay finds what it recorded before, like state writes do. Rather inside the
 * step that spends, where every attempt that spends is counted; outside of steps the content must be the same on every
 * replay.
 */
export class RunUsage {
  readonly #lease: Lease;
  readonly #writes: AttemptWrites;

  constructor(lease: Lease, writes: AttemptWrites) {
    this.#lease = lease;
    this.#writes = writes;
  }

  /** Throws `input_invalid` for a record without a figure or with a figure that is none, `usage_not_json`. */
  record(entry: UsageEntry): Promise<UsageRecorded> {
    return unheard(this.#record(entry));
  }

  async #record(entry: UsageEntry): Promise<UsageRecorded> {
    checkOptions("run.usage.record", entry, KNOWN);
    const { key, ...rest } = entry;
    const given = Object.entries(rest).filter(([, value]) => value !== undefined);
    const said = Object.fromEntries(given) as Said;
    plainJson(said, "usage_not_json", "run.usage.record");
    const writeKey = key ?? this.#writes.keyOf(["usage", said]);
    return this.#writes.send("usage.record", { ...this.#lease, ...said, writeKey });
  }
}
