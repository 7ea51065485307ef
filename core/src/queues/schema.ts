import { z } from "zod";
import { Until } from "../instant.ts";
import { unread } from "../json-text.ts";
import { Holder } from "../leases/holder.ts";
import { Name, StoredPayload } from "../payload.ts";
import { OwnCreation } from "../runs/creation.ts";
import { FAILURE_CLASSES, RunId, Status } from "../runs/schema.ts";
import { JournalPage, Unfinished } from "../steps/schema.ts";

export const QueueName = z
  .string()
  .regex(/^[^\s,*]{1,100}$/u, "must be 1 to 100 characters without white space, comma or asterisk")
  .refine((name) => Name.safeParse(name).success, "must not contain NUL or lone surrogates")
  .refine((name) => name !== "." && name !== "..", "must not be . or .., which no URL carries")
  .describe("Name of the queue.");

/** Up to a year. */
const Span = z.int().min(0).max(31_622_400_000);

/** How long a failed run rests before its next attempt: anything up to min · factor^(attempt − 1), at most max. */
const Backoff = z.strictObject({
  minMs: Span.optional().describe("Default 5,000."),
  factor: z.number().min(1).max(100).optional().describe("Default 2."),
  maxMs: Span.optional().describe("Default 300,000."),
});

/** How a run stands in its queue. */
export const Placement = {
  priority: z
    .int()
    .min(-100)
    .max(100)
    .default(0)
    .describe("A point is worth a minute of age, so that nothing starves."),
  maxAttempts: z.int().min(1).max(1000).default(3).describe("Failures and lost workers allowed."),
  backoff: Backoff.optional(),
  concurrencyKey: Name.min(1).optional().describe("Runs of one key share the per-key limit."),
};

/** One run to queue. */
export const EnqueueItem = z
  .strictObject({
    ...OwnCreation,
    ...Placement,
    queue: QueueName.default("default"),
    dedupeKey: Name.min(1)
      .optional()
      .describe("At most one run of the queue is active under this key: later ones get it."),
    delayMs: Span.optional(),
    runAt: Until.optional().describe("Not before; instead of delayMs."),
    ttlMs: Span.min(1)
      .optional()
      .describe("Not begun so many milliseconds after this: cancelled, reason `expired`."),
  })
  .refine(
    ({ delayMs, runAt }) => delayMs === undefined || runAt === undefined,
    "takes delayMs or runAt, not both",
  );
export type EnqueueItem = z.output<typeof EnqueueItem>;

/** How one run was queued. */
export const EnqueueResult = z.strictObject({
  runId: RunId.optional(),
  status: Status.optional(),
  outcome: z.enum(["created", "existing", "deduplicated", "idempotency_conflict", "input_refused"]),
  differs: z
    .array(z.string())
    .optional()
    .describe("Of a conflict: what is not the same as in the run. Of the first hundred of a call."),
});
export type EnqueueResult = z.output<typeof EnqueueResult>;

/** A claimed run, with all that its worker needs to go on. */
export const Grant = z.strictObject({
  runId: RunId,
  epoch: z.int(),
  leaseMs: z.int(),
  attempts: z.int().describe("Failures and lost workers before this claim."),
  workflow: z.string(),
  previousVersion: z.string().nullable(),
  input: StoredPayload,
  inputMeta: StoredPayload,
  ...JournalPage.shape,
  unfinished: unread(z.array(Unfinished)).describe("Steps begun or failed before, at most 1,000."),
});

const Limit = z.int().min(1).max(1_000_000).nullable();

/** What a queue lets through. Null: no limit. */
export const QueueLimits = z.strictObject({
  concurrency: Limit.describe("Runs in `running` at once."),
  keyConcurrency: Limit.describe("The same, for each concurrencyKey."),
  ratePerMinute: Limit.describe("Claims in each window of 60 s that begins with its first claim."),
});

export const Queue = z.strictObject({
  queue: z.string(),
  pausedAt: z.iso.datetime().nullable(),
  pausedBy: z.string().nullable(),
  ...QueueLimits.shape,
  webhook: z.string().nullable().describe("The webhook its runs are pushed to."),
  ready: z.int().describe("Claimable now, limits apart."),
  delayed: z.int().describe("Queued for later: a delay, or a backoff."),
  running: z.int(),
  waiting: z.int().describe("Suspended; they hold no slot."),
  failed: z.int().describe("Dead letters: failed runs, until they are redriven."),
  oldestReadyMs: z.int().nullable().describe("Age of the oldest ready run, in milliseconds."),
  workers: z.int().describe("Workers that asked for work within a minute; busy ones do not ask."),
});
export type Queue = z.output<typeof Queue>;

export const Worker = z.strictObject({
  workerId: z.string(),
  holder: unread(Holder.nullable()),
  version: z.string().nullable(),
  seenAt: z.iso.datetime(),
});

/** Which dead letters. */
export const DeadLetters = {
  workflow: Name.min(1).optional(),
  failureClass: z
    .enum(FAILURE_CLASSES)
    .optional()
    .describe("Without it, runs that wait for a review are left out."),
  search: Name.min(2).optional().describe("Text within the error, in any case."),
  until: z.iso
    .datetime({ offset: true })
    .optional()
    .describe("Failed until then; the dry run's answer."),
};
