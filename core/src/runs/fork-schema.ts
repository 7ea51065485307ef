import { z } from "zod";
import { unread } from "../json-text.ts";
import { ResumeHint } from "../leases/holder.ts";
import { Name, Payload } from "../payload.ts";
import { QueueName } from "../queues/schema.ts";
import { AsOf } from "../recovery/schema.ts";
import { StepKey, StepName, StepRecord } from "../steps/schema.ts";
import { ForkedFrom, RunId, Status } from "./schema.ts";

const Which = z.strictObject({ name: StepName, key: StepKey });

/** What a fork is asked for. `fork.ts` says what is kept. */
export const ForkInput = z
  .strictObject({
    runId: RunId.describe("The source, in any status. It is not changed."),
    from: Which.optional().describe(
      "The step that runs again first: the fork departs from the moment before it began.",
    ),
    atSeq: z
      .int()
      .min(0)
      .optional()
      .describe(
        "Or the number of the source's event after which it departs. 0, or neither: a rerun, which keeps nothing.",
      ),
    edit: Which.extend({
      output: Payload,
      outputMeta: Payload.optional().describe(
        "What JSON cannot say of the output; made by the SDK.",
      ),
    })
      .optional()
      .describe("Another output for one of the steps that are kept."),
    input: Payload.optional().describe("Another input. Default: the source's."),
    inputMeta: Payload.optional().describe("What JSON cannot say of the input; made by the SDK."),
    forkRunId: RunId.optional().describe(
      "Made by the caller: the same call again finds the same fork. Else by the server.",
    ),
    queue: QueueName.nullable()
      .optional()
      .describe("Default: the source's. null: no queue; whoever has the code begins the fork."),
    reason: Name.optional().describe("Kept in the fork's first event."),
    dryRun: z.boolean().default(true),
    asOf: AsOf,
  })
  .refine(
    ({ from, atSeq }) => from === undefined || atSeq === undefined,
    "takes `from` or `atSeq`, not both",
  )
  .refine(
    ({ input, inputMeta }) => inputMeta === undefined || input !== undefined,
    "takes `inputMeta` with `input` only",
  );

/** A step of the source that the fork does not keep. */
export const RunAgainStep = z.strictObject({
  name: z.string(),
  key: z.string(),
  status: StepRecord.shape.status.describe("In the source."),
  sideEffects: z.array(z.string()),
  idempotencyKey: z.string().nullable(),
  repeatsEffects: z
    .boolean()
    .describe("Effects that happened in the source, or may have, would happen once more."),
  why: z.string(),
});
export type RunAgainStep = z.output<typeof RunAgainStep>;

const named = { name: z.string(), key: z.string() };

/** What a fork is made of, and what it would do again. Lists hold 200 at most; counts are exact. */
export const ForkPlan = z.strictObject({
  dryRun: z.boolean(),
  runId: RunId.nullable().describe("The fork; null in a dry run."),
  created: z.boolean().describe("False in a dry run, and when this very call had made it before."),
  status: Status.describe("Of the fork, or the one it would begin with."),
  workflow: z.string(),
  queue: z.string().nullable().describe("Where the fork waits for a worker."),
  forkedFrom: ForkedFrom,
  seq: z.int().describe("Of the source. Send it back as `asOf` to act on exactly this."),
  keptSteps: z.int(),
  kept: z
    .array(z.strictObject({ ...named, edited: z.boolean() }))
    .describe("Completed steps that are copied and never run again: the latest, in their order."),
  runAgainSteps: z.int(),
  repeatedEffects: z.int().describe("How many of those would repeat an effect."),
  runAgain: z
    .array(RunAgainStep)
    .describe("Steps of the source that are not kept; those that repeat effects come first."),
  gatesAskedAgain: z
    .array(z.strictObject({ ...named, status: z.string().describe("In the source.") }))
    .describe("A decision is for its run alone: the fork asks again."),
  childrenAnew: z
    .array(z.strictObject({ ...named, runId: RunId, status: Status }))
    .describe("Children of the source whose result is not kept: the fork makes its own."),
  timersAnew: z
    .array(z.strictObject(named))
    .describe("Sleeps and timeouts that were not over: they are counted from their first asking."),
  signals: z.int().describe("Signals that nothing had taken by then: they wait in the fork too."),
  streams: z
    .array(z.strictObject({ stream: z.string(), version: z.int() }))
    .describe("State: the version each stream begins with, older ones included."),
  warnings: z.array(z.string()),
  resumeHint: unread(ResumeHint.nullable()).describe(
    "How the source's owner invoked it; the fork has an id of its own.",
  ),
  next: z.string().describe("How the fork goes on."),
});
export type ForkPlan = z.output<typeof ForkPlan>;
