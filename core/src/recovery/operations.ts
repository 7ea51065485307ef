import { z } from "zod";
import { payloadText } from "../json-text.ts";
import { ResumeHint } from "../leases/holder.ts";
import { operation } from "../operation.ts";
import { checkPayload, Name, oneLine, Payload, readJson } from "../payload.ts";
import { RunId, Status } from "../runs/schema.ts";
import { StepKey, StepName } from "../steps/schema.ts";
import { AsOf, OpenStep, Verdict } from "./schema.ts";
import * as recovery from "./sql.ts";
import { readVerdict } from "./verdict.ts";

/*
 * Asking first, then acting on exactly what was asked about: `asOf` is the event number of the dry run.
 * A step whose outcome nobody knows is settled by somebody who looked: decision, actor and reason are kept.
 */

export const runVerdict = operation({
  name: "runs.verdict",
  summary: "Is it safe to rerun? The answer with its reasons, step by step, and the next action.",
  route: "GET /v1/runs/:runId/verdict",
  effect: "read",
  scope: "read",
  fenced: false,
  because: "It only reads.",
  input: z.strictObject({ runId: RunId }),
  output: Verdict,
  errors: ["run_not_found"],
  async run({ db, fail }, { runId }) {
    const found = await readVerdict(db, runId);
    if (found === undefined) throw fail("run_not_found", { runId });
    return found.verdict;
  },
});

export const recoverRun = operation({
  name: "runs.recover",
  summary:
    "Make a failed or interrupted run ready to be begun again, or queue it now; a dry run says what that does.",
  route: "POST /v1/runs/:runId/recover",
  effect: "write",
  scope: "operate",
  fenced: false,
  because: "An operator's act on a run at rest; a live lease refuses it.",
  input: z.strictObject({
    runId: RunId,
    dryRun: z.boolean().default(true),
    asOf: AsOf,
    reason: Name.optional(),
  }),
  output: z.strictObject({
    dryRun: z.boolean(),
    status: Status.describe("Of the run after this call."),
    seq: z.int().describe("Send it back as `asOf` to act on exactly this."),
    replayedSteps: z.int().describe("Recorded steps that would not run again."),
    runAgain: z.array(OpenStep).describe("Unfinished steps that a rerun executes again."),
    held: z.array(OpenStep).describe("Steps that stop the rerun until somebody reviews them."),
    resumeHint: ResumeHint.nullable().describe("How the owner re-invokes the run."),
    next: z.string(),
  }),
  errors: [
    "run_not_found",
    "run_completed",
    "run_cancelled",
    "run_leased",
    "run_waiting",
    "run_changed",
    "dedupe_conflict",
  ],
  async run({ db, actor, fail }, { runId, dryRun, asOf, reason }) {
    const found = await readVerdict(db, runId);
    if (found === undefined) throw fail("run_not_found", { runId });
    const { run, verdict } = found;
    const acted = await db.maybe(recovery.recover, {
      runId,
      dryRun,
      asOf: asOf ?? (dryRun ? undefined : verdict.seq),
      actor: actor.name,
      reason,
    });
    if (acted === undefined) throw fail("run_not_found", { runId });
    const { outcome, status, seq } = acted;
    if (outcome === "run_leased")
      throw fail(outcome, {
        runId,
        epoch: run.epoch,
        leaseLeftMs: acted.leaseLeftMs,
        holder: run.holder,
      });
    if (outcome === "dedupe_conflict")
      throw fail(outcome, { runId, activeRunId: acted.activeRunId });
    if (outcome !== "ready") throw fail(outcome, { runId, seq });
    return {
      dryRun,
      status,
      seq: dryRun ? verdict.seq : seq, // what the plan was read at; the run may have moved since
      replayedSteps: verdict.completedSteps,
      runAgain: verdict.steps.filter((step) => step.wouldRunAgain),
      held: verdict.steps.filter((step) => !step.wouldRunAgain),
      resumeHint: readJson<ResumeHint>(run.resumeHint),
      next: verdict.next.text,
    };
  },
});

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
    checkPayload("output", [text], context);
    const becomes = { retry: "failed_retryable", completed: "completed", failed: "failed" }[
      given.decision
    ];
    const row = await db.maybe(recovery.settle, {
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
    if (outcome === "step_not_in_review")
      throw fail(outcome, { runId, name, key, stepStatus: status });
    if (outcome !== "reviewable") throw fail(outcome, { runId, seq });
    return { dryRun: given.dryRun, status: status ?? becomes, becomes, seq };
  },
});
