import { z } from "zod";
import { unread } from "../json-text.ts";
import { Holder, ResumeHint } from "../leases/holder.ts";
import { isJsonObject, JsonObject } from "../payload.ts";

/** As Postgres writes one. */
export const UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}";

export const RunId = z
  .string()
  .regex(new RegExp(`^run_${UUID}$`), "must be run_ and a lower-case uuid")
  .describe("Id of the run.");

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

/** Where a fork departs from the log of its source, which may be gone by now. */
export const ForkedFrom = z.strictObject({
  runId: RunId,
  atSeq: z.int().describe("The last event of the source that counts; 0 in a rerun."),
});

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
  queue: z.string().nullable(),
  parentRunId: RunId.nullable().describe("The run whose child this is."),
  forkedFrom: unread(ForkedFrom.nullable()).describe("The run this is a fork or a rerun of."),
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
  waits: z
    .array(z.string())
    .nullable()
    .describe(
      "What a suspended run waits for: `gate_…`, `signal_…` and the name, `child_…`, `all_…` or `any_…` and the fan-out's name, `timer`.",
    ),
  wakeAt: z.iso.datetime().nullable().describe("When time alone wakes it."),
  runAt: z.iso.datetime().nullable().describe("Claimable from then on."),
  priority: z.int(),
  maxAttempts: z.int().nullable().describe("Of a run with a queue."),
  deadlineAt: z.iso.datetime().nullable().describe("Not final by then: cancelled."),
  dedupeKey: z.string().nullable(),
  concurrencyKey: z.string().nullable(),
  cancelReason: z.string().nullable(),
  cancelledBy: z.string().nullable(),
  erasedAt: z.iso
    .datetime()
    .nullable()
    .describe("Its content was removed then: what is null or empty here may have held something."),
});
export type Run = z.output<typeof Run>;
