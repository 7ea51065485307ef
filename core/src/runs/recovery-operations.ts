import { z } from "zod";
import { operation } from "../operation.ts";
import * as recovery from "./recovery-sql.ts";
import { Name, OpenStep, ResumeHint, RunId, readJson, Status, Verdict } from "./schema.ts";
import { readVerdict } from "./verdict.ts";

/* Asking first, then acting on exactly what was asked about: `asOf` is the event number of the dry run. */

export const AsOf = z
  .int()
  .min(0)
  .optional()
  .describe("`seq` of the dry run: the act is refused when the run has moved since.");

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
    "Make a failed or interrupted run ready to be begun again; a dry run says what that does.",
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
    if (outcome !== "ready") throw fail(outcome, { runId, seq });
    return {
      dryRun,
      status,
      seq: dryRun ? verdict.seq : seq, // what the plan was read at; the run may have moved since
      replayedSteps: verdict.completedSteps,
      runAgain: verdict.steps.filter((step) => step.wouldRunAgain),
      held: verdict.steps.filter((step) => !step.wouldRunAgain),
      resumeHint: readJson<z.output<typeof ResumeHint>>(run.resumeHint),
      next: verdict.next.text,
    };
  },
});
