import { z } from "zod";
import { isJsonObject, type JsonText, unread } from "../json-text.ts";

const UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}";

export const RunId = z
  .string()
  .regex(new RegExp(`^run_${UUID}$`), "must be run_ and a lower-case uuid")
  .describe("Id of the run.");

export const GrantId = z
  .string()
  .regex(new RegExp(`^grant_${UUID}$`), "must be grant_ and a lower-case uuid")
  .describe("Made by the worker: a repeated call finds its own grant.");

/** NUL and lone surrogates cannot be stored in a `text` column without changing them. */
const UNSTORABLE = /\0|\p{Surrogate}/u;

/** Text that is kept exactly, so what cannot be kept is refused. */
export function storable(maxLength: number): z.ZodString {
  return z
    .string()
    .max(maxLength)
    .refine((text) => !UNSTORABLE.test(text), "must not contain NUL or lone surrogates");
}

/** A name or key as people write them. */
export const Name = storable(200);

/** Any JSON value. */
export const Payload = z.unknown();

/** A payload on its way out: the stored text, which nobody parses. */
export const StoredPayload = unread(Payload.nullable());

/**
 * A JSON object that the caller shaped. zod's own object schemas rebuild the value and lose a member
 * named `__proto__`; this one only looks at it.
 */
export const JsonObject = z
  .unknown()
  .refine(isJsonObject, "must be a JSON object")
  .meta({ type: "object" }) as z.ZodType<unknown> as z.ZodType<Record<string, unknown>>;

/** What every write of a worker carries. */
export const Lease = z.strictObject({ runId: RunId, epoch: z.int().min(0), grantId: GrantId });
export type Lease = z.output<typeof Lease>;

/** The outcomes of an item whose lease is not the run's present one, or whose own data failed. */
export const REFUSALS = ["run_not_found", "run_cancelled", "lease_lost", "input_refused"] as const;

export const LeaseMs = z
  .int()
  .min(100)
  .max(3_600_000)
  .describe("Length of the lease in milliseconds.");

export const STATUSES = [
  "pending",
  "queued",
  "running",
  "waiting",
  "interrupted",
  "failed",
  "completed",
  "cancelled",
] as const;
export const Status = z.enum(STATUSES);

export const FAILURE_CLASSES = [
  "step_failed",
  "manual_review",
  "max_attempts",
  "worker_lost",
  "workflow_error",
] as const;

/**
 * The process that works under a lease. With `bootId`, `pidNamespace` and `startTime` a process on
 * the same machine can prove that it is gone (model.md §2).
 */
export const Holder = z.strictObject({
  host: Name,
  bootId: Name.optional(),
  pidNamespace: Name.optional(),
  pid: z.int().min(0),
  startTime: Name.optional().describe("Start of the process, as the kernel counts it."),
});
export type Holder = z.output<typeof Holder>;

/** How the owner would re-invoke the run: shown to whoever has to; never run by Tidebase. */
export const ResumeHint = z.strictObject({
  command: z.array(z.string().max(4000)).min(1).max(100),
  cwd: z.string().max(4000).optional(),
});
export type ResumeHint = z.output<typeof ResumeHint>;

/** A failure as its owner saw it. Unknown members are kept. */
export const RecordedError = z
  .unknown()
  .refine(
    (value) => isJsonObject(value) && typeof value["message"] === "string",
    "must be a JSON object with a `message`",
  )
  .meta({
    type: "object",
    properties: {
      name: { type: "string" },
      message: { type: "string" },
      stack: { type: "string" },
    },
    required: ["message"],
  }) as z.ZodType<unknown> as z.ZodType<{ message: string; [member: string]: unknown }>;

export const StepCounts = z.strictObject({
  completed: z.int(),
  begun: z.int(),
  failed: z.int(),
  manualReview: z.int(),
});
export type StepCounts = z.output<typeof StepCounts>;

/** A step that is not completed, and what a rerun would do with it. */
export const OpenStep = z.strictObject({
  name: z.string(),
  key: z.string(),
  status: z.enum(["begun", "failed_retryable", "manual_review", "failed"]),
  attempt: z.int(),
  sideEffects: z.array(z.string()),
  idempotencyKey: z.string().nullable(),
  reason: z.string().nullable().describe("Why it has this status, when more is known."),
  error: unread(Payload.nullable()).describe("The last recorded failure."),
  wouldRunAgain: z.boolean(),
  why: z.string(),
  eventSeqs: z.array(z.int()).describe("The events this is read from."),
});
export type OpenStep = z.output<typeof OpenStep>;

/** Is it safe to rerun, and what is to be done next? (model.md §4) */
export const Verdict = z.strictObject({
  answer: z.enum(["safe", "needs_review", "waiting_on_human", "in_progress", "final"]),
  reason: z.string(),
  next: z.strictObject({
    action: z.enum(["none", "wait", "invoke", "review_step", "resolve_gate"]),
    text: z.string(),
    command: z.array(z.string()).optional(),
    cwd: z.string().optional(),
    step: z.strictObject({ name: z.string(), key: z.string() }).optional(),
  }),
  seq: z.int().describe("The run's event number this was read at; send it as `asOf`."),
  completedSteps: z.int().describe("Recorded steps that replay and never run again."),
  steps: z.array(OpenStep).describe("Every step that is not completed, at most 200."),
  warnings: z.array(z.string()),
  eventSeqs: z.array(z.int()).describe("The run events this is read from."),
});
export type Verdict = z.output<typeof Verdict>;

/** One run as lists show it. */
export const RunSummary = z.strictObject({
  runId: RunId,
  workflow: z.string(),
  status: Status,
  failureClass: z.enum(FAILURE_CLASSES).nullable(),
  attempts: z.int().describe("Failures and lost workers so far."),
  tags: z.array(z.string()),
  lastSeq: z.int(),
  createdAt: z.iso.datetime(),
  updatedAt: z.iso.datetime().describe("The instant of the last event."),
  leaseExpiresAt: z.iso.datetime().nullable(),
  leaseOver: z.boolean().describe("Running, but its lease has lapsed and nobody took over."),
  errorMessage: z.string().nullable(),
});
export type RunSummary = z.output<typeof RunSummary>;

export const Run = RunSummary.extend({
  epoch: z.int(),
  idempotencyKey: z.string().nullable(),
  metadata: unread(JsonObject.nullable()),
  version: z.string().nullable().describe("Code version of the last worker."),
  holder: unread(Holder.nullable()).describe("The last process that held the lease."),
  resumeHint: unread(ResumeHint.nullable()),
  error: unread(RecordedError.nullable()).describe("The failure that ended the last attempt."),
});
export type Run = z.output<typeof Run>;

/** Turns a row's JSON text into the value; for the few readers that need it. */
export function readJson<Value>(text: JsonText | null): Value | null {
  return text === null ? null : (JSON.parse(text.text) as Value);
}
