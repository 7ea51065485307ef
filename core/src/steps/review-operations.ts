import { z } from "zod";
import { payloadText } from "../json-text.ts";
import { checkPayload } from "../limits.ts";
import { operation } from "../operation.ts";
import { AsOf } from "../runs/recovery-operations.ts";
import { oneLine } from "../runs/rules.ts";
import { Payload, RunId } from "../runs/schema.ts";
import * as review from "./review-sql.ts";
import { StepKey, StepName } from "./schema.ts";

/* A step whose outcome nobody knows is settled by somebody who looked: the decision, actor and reason are kept. */

export const reviewStep = operation({
  name: "steps.review",
  summary:
    "Settle a step that may or may not have had its effect: retry it, or record how it ended.",
  route: "POST /v1/runs/:runId/steps/review",
  effect: "write",
  scope: "operate",
  fenced: false,
  because: "A person's or operator's decision about a step that nobody executes.",
  input: z.strictObject({
    runId: RunId,
    name: StepName,
    key: StepKey,
    decision: z
      .enum(["retry", "completed", "failed"])
      .describe("It did not happen; it did happen; it must not run again."),
    output: Payload.optional().describe("What the step returned, with `completed`."),
    reason: z.string().min(1).max(2000).describe("How you know."),
    dryRun: z.boolean().default(true),
    asOf: AsOf,
  }),
  output: z.strictObject({
    dryRun: z.boolean(),
    status: z.string().describe("Of the step after this call (with dryRun: before)."),
    becomes: z.string().describe("The status this decision gives the step."),
    seq: z.int().describe("Send it back as `asOf` to act on exactly this."),
  }),
  errors: [
    "run_not_found",
    "step_not_found",
    "step_not_in_review",
    "run_completed",
    "run_cancelled",
    "run_changed",
    "payload_too_large",
  ],
  async run(context, { output, ...given }) {
    const { db, actor, fail } = context;
    const text = payloadText(given.decision === "completed" ? (output ?? null) : undefined);
    checkPayload("output", text, context);
    const becomes = { retry: "failed_retryable", completed: "completed", failed: "failed" }[
      given.decision
    ];
    const row = await db.maybe(review.settle, {
      ...given,
      reason: oneLine(given.reason),
      becomes,
      output: text,
      actor: actor.name,
    });
    const { runId, name, key } = given;
    if (row === undefined) throw fail("run_not_found", { runId });
    const { outcome, status, seq } = row;
    if (outcome === "step_not_found") throw fail(outcome, { runId, name, key });
    if (outcome === "step_not_in_review") throw fail(outcome, { runId, name, key, status });
    if (outcome !== "reviewable") throw fail(outcome, { runId, seq });
    return { dryRun: given.dryRun, status: status ?? becomes, becomes, seq };
  },
});
