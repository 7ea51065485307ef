import type { Connection } from "../connection.ts";
import { TidebaseError } from "../errors.ts";
import { newRunId } from "../ids.ts";
import type { Operations } from "../operations.gen.ts";
import { checkOptions } from "../options.ts";
import { CREATE_OPTIONS, type CreateOptions, creation } from "../runs/runs.ts";
import { type Duration, milliseconds } from "../waits/duration.ts";

type Item = Operations["runs.enqueue"]["input"]["items"][number];
type Answer = Operations["runs.enqueue"]["output"]["results"][number];

/** How a run that failed rests before its next attempt. */
export interface BackoffOptions {
  /** The longest pause after the first failure. Default `"5s"`. */
  readonly minMs?: Duration;
  /** Each pause may be this many times the one before. Default 2. */
  readonly factor?: number;
  /** No pause is longer. Default `"5m"`. */
  readonly maxMs?: Duration;
}

/** What a queued run is made of. */
export interface EnqueueOptions<Input = unknown> extends CreateOptions<Input> {
  /** Default `default`. A queue exists as soon as it is named. */
  readonly queue?: string;
  /** From -100 to 100, default 0: a point is worth a minute of age. */
  readonly priority?: number;
  /** Failures and lost workers allowed. Default 3. */
  readonly maxAttempts?: number;
  readonly backoff?: BackoffOptions;
  /** Runs of one key share the queue's limit per key. */
  readonly concurrencyKey?: string;
  /** At most one run of the queue is active under this key: later ones get it. */
  readonly dedupeKey?: string;
  /** Not begun before so long. */
  readonly delay?: Duration;
  /** Not begun before then; instead of `delay`. */
  readonly runAt?: Date;
  /** Not begun within so long: cancelled, with the reason `expired`. */
  readonly ttl?: Duration;
}

/** A queued run; `deduplicated` is the one that is active under the same `dedupeKey`. */
export interface Enqueued {
  readonly runId: string;
  readonly outcome: "created" | "existing" | "deduplicated";
  readonly status: NonNullable<Answer["status"]>;
}

/** How one of many was queued; a conflict names the run that the key already made. */
export type EnqueueResult =
  | Enqueued
  | {
      readonly runId?: string;
      readonly outcome: "idempotency_conflict" | "input_refused";
      readonly status?: Enqueued["status"];
      /** Of a conflict, of the first hundred: what is not the same as in the run. */
      readonly differs?: readonly string[];
    };

/** The names of what a queued run is made of. */
const ENQUEUE = [
  ...CREATE_OPTIONS,
  "queue",
  "priority",
  "maxAttempts",
  "backoff",
  "concurrencyKey",
  "dedupeKey",
  "delay",
  "runAt",
  "ttl",
] as const satisfies readonly (keyof EnqueueOptions)[];

/** Queues one run; those of the same moment share a request. Throws `idempotency_conflict`. */
export async function enqueueOne(
  { lanes }: Connection,
  workflow: string,
  options: EnqueueOptions,
): Promise<Enqueued> {
  const item = itemOf(workflow, options);
  const text = JSON.stringify(item);
  const hasKey = item.idempotencyKey !== undefined || item.dedupeKey !== undefined;
  const [answer] = hasKey ? await lanes.enqueueAll([text]) : [await lanes.enqueue(text)];
  if (answer === undefined) throw new TidebaseError("server_answer_invalid", "No result came.");
  const result = resultOf(answer, item, options);
  if (isEnqueued(result)) return result;
  const { outcome, runId, differs = [] } = result;
  const which = differs.length === 0 ? "" : ` (differs: ${differs.join(", ")})`;
  const says =
    outcome === "input_refused"
      ? "The server cannot store this run as it is."
      : `The idempotency key ${JSON.stringify(options.idempotencyKey)} or the id belongs to run ${runId} with other content${which}. Use another, or the same content.`;
  throw new TidebaseError(outcome, says, { runId, workflow, differs });
}

/** Queues runs of one workflow, a thousand at a time; the results are in the order of the items. */
export async function enqueueAll(
  { lanes }: Connection,
  workflow: string,
  options: readonly EnqueueOptions[],
): Promise<EnqueueResult[]> {
  const items = options.map((one) => itemOf(workflow, one));
  const answers = await lanes.enqueueAll(items.map((item) => JSON.stringify(item)));
  return answers.map((answer, n) => resultOf(answer, items[n] as Item, options[n]));
}

function isEnqueued(result: EnqueueResult): result is Enqueued {
  return result.outcome !== "idempotency_conflict" && result.outcome !== "input_refused";
}

/** A run under the id that was made for this very call was created by it: its first answer got lost. */
function resultOf(answer: Answer, { runId }: Item, given: EnqueueOptions = {}): EnqueueResult {
  const isOurs =
    answer.outcome === "existing" && given.runId === undefined && answer.runId === runId;
  return (isOurs ? { ...answer, outcome: "created" } : answer) as EnqueueResult;
}

function itemOf(workflow: string, options: EnqueueOptions): Item {
  checkOptions(`Enqueueing ${JSON.stringify(workflow)}`, options, ENQUEUE);
  const { queue, priority, maxAttempts, backoff, concurrencyKey, dedupeKey } = options;
  const { delay, runAt, ttl, runId = newRunId() } = options;
  return {
    ...creation(workflow, { ...options, runId }),
    ...(queue !== undefined && { queue }),
    ...(priority !== undefined && { priority }),
    ...(maxAttempts !== undefined && { maxAttempts }),
    ...(backoff !== undefined && { backoff: backoffOf(backoff) }),
    ...(concurrencyKey !== undefined && { concurrencyKey }),
    ...(dedupeKey !== undefined && { dedupeKey }),
    ...(delay !== undefined && { delayMs: milliseconds(delay, "delay") }),
    ...(runAt !== undefined && { runAt: moment(runAt) }),
    ...(ttl !== undefined && { ttlMs: milliseconds(ttl, "ttl") }),
  };
}

function backoffOf({ minMs, factor, maxMs }: BackoffOptions): NonNullable<Item["backoff"]> {
  return {
    ...(minMs !== undefined && { minMs: milliseconds(minMs, "backoff.minMs") }),
    ...(factor !== undefined && { factor }),
    ...(maxMs !== undefined && { maxMs: milliseconds(maxMs, "backoff.maxMs") }),
  };
}

function moment(runAt: Date): string {
  if (runAt instanceof Date && Number.isFinite(runAt.getTime())) return runAt.toISOString();
  throw new TidebaseError("input_invalid", "runAt must be a Date.", { what: "runAt" });
}
