import { z } from "zod";
import { unread } from "../json-text.ts";
import { Lease, REFUSALS } from "../leases/schema.ts";
import { Name, Payload, StoredPayload } from "../payload.ts";

export const StepName = Name.min(1).describe("Name of the step.");
export const StepKey = Name.default("").describe("Tells steps of one name apart.");

/** What a step says of itself, so that others know whether it may run again (model.md §3). */
export const Contract = z.strictObject({
  sideEffects: z
    .array(z.string().min(1).max(200))
    .max(50)
    .optional()
    .describe("What the step does to the world; `read` means it only looks."),
  idempotencyKey: z
    .string()
    .min(1)
    .max(500)
    .optional()
    .describe("Makes the effects safe to repeat."),
  replay: z.enum(["auto", "manual", "never"]).optional(),
  retry: z
    .strictObject({
      maxAttempts: z.int().min(1).max(1000).optional(),
      factor: z.number().min(1).max(100).optional(),
      minMs: z.int().min(0).max(86_400_000).optional(),
      maxMs: z.int().min(0).max(86_400_000).optional(),
      jitter: z.boolean().optional(),
    })
    .optional(),
  timeoutMs: z.int().min(1).max(86_400_000).optional(),
  checkpointInvariant: z.string().max(2000).optional(),
  verifiedBy: z.string().max(2000).optional(),
});
export type Contract = z.output<typeof Contract>;

/** What becomes of a step that was begun and never finished. */
export type OnUnknown = "failed_retryable" | "manual_review" | "failed";

const step = {
  ...Lease.shape,
  name: StepName,
  key: StepKey,
  attempt: z.int().min(1).max(1_000_000).default(1),
};

const promise = {
  inputHash: z
    .string()
    .max(100)
    .regex(/^[\x21-\x7e]*$/)
    .optional()
    .describe("`v1:` and SHA-256 of the input."),
  input: Payload.optional().describe("Kept up to 64 KiB, to tell what differs."),
  contract: Contract.optional(),
};

/** A step about to run, as its worker announces it. */
export const StepBegin = z.strictObject({ ...step, ...promise });
export type StepBegin = z.output<typeof StepBegin>;

/** A finished step with its output. */
export const StepCompletion = z.strictObject({
  ...step,
  ...promise,
  output: Payload,
  outputMeta: Payload.optional().describe("What JSON cannot say of the output; made by the SDK."),
});
export type StepCompletion = z.output<typeof StepCompletion>;

/** A failed attempt of a step. */
export const StepFailure = z.strictObject({
  ...step,
  ...promise,
  error: Payload.describe("The failure as recorded: name, message, stack, cause."),
  message: z.string().max(2000).describe("One line for people."),
  reason: z
    .enum(["error", "timeout", "unserializable_output", "output_too_large"])
    .default("error"),
  retryInMs: z
    .int()
    .min(0)
    .max(604_800_000)
    .optional()
    .describe("The SDK will try again then; without it this failure is final."),
});
export type StepFailure = z.output<typeof StepFailure>;

/** What `steps.begin` answers for an item. */
export const BeginOutcome = z.enum([
  "execute",
  "replayed",
  "input_mismatch",
  "manual_review_required",
  "step_failed",
  "run_too_long",
  ...REFUSALS,
]);

/** What `steps.complete` answers for an item. */
export const CompleteOutcome = z.enum([
  "completed",
  "manual_review_required",
  "step_failed",
  "run_too_long",
  "output_too_large",
  ...REFUSALS,
]);

/** What `steps.fail` answers for an item: the status the step now has, or a refusal. */
export const FailOutcome = z.enum([
  "completed",
  "failed_retryable",
  "manual_review",
  "failed",
  "run_too_long",
  ...REFUSALS,
]);

const position = {
  afterName: z.string().nullable(),
  afterKey: z.string().nullable(),
};

/** A step that replays without a request. */
const JournalEntry = z.strictObject({
  name: z.string(),
  key: z.string(),
  inputHash: z.string().optional(),
  output: Payload,
  outputMeta: Payload.optional(),
});

/**
 * Completed steps, in no order; `afterName` and `afterKey` ask for the next page, null when there
 * is none.
 */
export const JournalPage = z.strictObject({
  journal: unread(z.array(JournalEntry)),
  ...position,
});

/** A step that an earlier attempt left unfinished: where the next attempt goes on. */
export const Unfinished = z.strictObject({
  name: z.string(),
  key: z.string(),
  status: z.enum(["begun", "failed_retryable", "manual_review", "failed"]),
  attempt: z.int(),
  failures: z.int().describe("Failures counted against the step's own retry policy."),
  retryInMs: z.int().nullable().describe("How long the step's backoff still lasts."),
});

/** A step as lists show it: without its payloads. */
export const StepRecord = z.strictObject({
  name: z.string(),
  key: z.string(),
  status: z.enum(["begun", "completed", "failed_retryable", "manual_review", "failed"]),
  attempt: z.int(),
  epoch: z.int(),
  contract: unread(Contract.nullable()),
  inputHash: z.string().nullable(),
  reason: z.string().nullable(),
  error: StoredPayload,
  outputBytes: z.int().nullable(),
  begunAt: z.iso.datetime().nullable(),
  endedAt: z.iso.datetime().nullable(),
});
