import { z } from "zod";
import { unread } from "../json-text.ts";
import { Payload } from "../payload.ts";

export const AsOf = z
  .int()
  .min(0)
  .optional()
  .describe("`seq` of the dry run: the act is refused when the run has moved since.");

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
    action: z.enum(["none", "wait", "invoke", "recover", "review_step", "resolve_gate"]),
    text: z.string(),
    command: z.array(z.string()).optional(),
    cwd: z.string().optional(),
    step: z.strictObject({ name: z.string(), key: z.string() }).optional(),
    gates: z.array(z.string()).optional().describe("Ids of the gates that a human has to decide."),
    signals: z.array(z.string()).optional().describe("Names of the signals it waits for."),
    children: z.array(z.string()).optional().describe("Ids of the children it waits for."),
    queue: z.string().optional().describe("The queue whose workers claim it."),
    until: z.iso.datetime().optional().describe("When time alone makes it ready."),
  }),
  seq: z.int().describe("The run's event number this was read at; send it as `asOf`."),
  completedSteps: z.int().describe("Recorded steps that replay and never run again."),
  steps: z.array(OpenStep).describe("Every step that is not completed, at most 200."),
  warnings: z.array(z.string()),
  eventSeqs: z.array(z.int()).describe("The run events this is read from."),
});
export type Verdict = z.output<typeof Verdict>;
