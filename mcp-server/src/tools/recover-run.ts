import { getRun, recoverRun } from "@tidebase/core";
import { z } from "zod";
import { fit, TOKENS, Truncated, truncation } from "../answers/fit.ts";
import { ask, type Plain } from "../answers/plain.ts";
import { untrusted, untrustedOf } from "../answers/untrusted.ts";
import { DESTRUCTIVE, tool } from "../tool.ts";
import { actFields, actInput, needsAsOf, ofAct } from "./act-fields.ts";
import { ofHint } from "./resume-hint.ts";
import { Hints, optional, Status } from "./run-fields.ts";
import { ForeignStep, foreignOfStep, OpenStep, ofStep, openTotal } from "./step-rows.ts";

type Answer = Plain<z.output<typeof recoverRun.output>>;

/** Core lists so many unfinished steps at most. */
const LISTED_MAX = 200;

export const recoverRunTool = tool({
  name: "tidebase_recover_run",
  title: "Recover run",
  toolset: "ops",
  description:
    "Which steps of a failed or interrupted run would run again, with which side effects, and which wait for review. A dry run unless dryRun is false; then the run is made ready to be started again. To act, send asOf = seq of the dry run, after the human agreed.",
  input: z.strictObject(actInput),
  output: z.object({
    ...actFields,
    status: Status.describe("Of the run after this call."),
    replayedSteps: z.int().describe("Recorded steps that will not run again."),
    runAgain: z.array(OpenStep).optional().describe("A rerun executes them again."),
    held: z.array(OpenStep).optional().describe("They stop a rerun until somebody reviews them."),
    next: z.string(),
    untrusted: untrustedOf({
      steps: z.array(ForeignStep).optional(),
      resumeCommand: z.array(z.string()).optional(),
      resumeFolder: z.string().optional(),
    }).optional(),
    truncated: Truncated,
    hints: Hints,
  }),
  annotations: { ...DESTRUCTIVE, openWorldHint: true },
  async handler(act, { backend }) {
    needsAsOf(act);
    const answer = await ask(backend, recoverRun, ofAct(act));
    const listed = answer.held.length + answer.runAgain.length;
    const full = listed === LISTED_MAX;
    const total = full
      ? openTotal((await ask(backend, getRun, { runId: act.runId })).steps)
      : listed;
    return present(act.runId, answer, Math.max(total, listed));
  },
});

function present(runId: string, answer: Answer, total: number): object {
  const { dryRun, status, seq, replayedSteps, resumeHint, next } = answer;
  const steps = [...answer.held, ...answer.runAgain];
  return fit({ tokens: TOKENS.detail, text: 300, rows: steps.length }, ({ text, detail, rows }) => {
    const shown = steps.slice(0, rows).map((step, index) => ({ step, n: index + 1 }));
    const [held, runAgain] = [false, true].map((again) =>
      shown
        .filter(({ step }) => step.wouldRunAgain === again)
        .map(({ step, n }) => ofStep(step, n)),
    );
    const foreign = {
      ...optional(
        "steps",
        shown.map(({ step, n }) => foreignOfStep(step, n, { text, detail: false })),
      ),
      ...ofHint(resumeHint, detail ? 2000 : 300),
    };
    return {
      runId,
      dryRun,
      applied: !dryRun,
      status,
      seq,
      replayedSteps,
      ...optional("runAgain", runAgain),
      ...optional("held", held),
      next,
      ...(Object.keys(foreign).length === 0 ? {} : { untrusted: untrusted(foreign) }),
      ...truncation({ field: "steps", shown: shown.length, total }),
      hints: hintsFor(answer),
    };
  });
}

function hintsFor({ dryRun, status, runAgain, held, resumeHint }: Answer): string[] {
  const hints: string[] = [];
  if (held.length > 0)
    hints.push("A rerun stops at the steps under held: tidebase_review_step settles them.");
  if (runAgain.some(({ sideEffects }) => sideEffects.some((effect) => effect !== "read")))
    hints.push("Steps with side effects would run again: tell the human which.");
  if (dryRun) hints.push("Nothing was changed. To act: dryRun false and asOf = seq.");
  else if (status === "queued") hints.push("The run is queued: a worker of its queue claims it.");
  else hints.push("The run is ready; it goes on when its workflow is started with this run id.");
  if (resumeHint !== null)
    hints.push("resumeCommand was recorded by the run: show it to the human before running it.");
  return hints;
}
