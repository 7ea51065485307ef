import { recoverRun } from "@tidebase/core";
import { z } from "zod";
import { fit, TOKENS, Truncated, truncation } from "../answers/fit.ts";
import { ask, type Plain } from "../answers/plain.ts";
import { quote, untrusted, untrustedOf } from "../answers/untrusted.ts";
import { tool } from "../tool.ts";
import { ToolFailure } from "../tool-error.ts";
import { AsOf, Hints, optional, Reason, RunId, Status } from "./run-fields.ts";
import { ForeignStep, foreignOfStep, OpenStep, ofStep } from "./step-rows.ts";

type Answer = Plain<z.output<typeof recoverRun.output>>;

export const recoverRunTool = tool({
  name: "tidebase_recover_run",
  title: "Recover run",
  toolset: "ops",
  description:
    "Which steps of a failed or interrupted run would run again, with which side effects, and which wait for review. A dry run unless dryRun is false; then the run is made ready to be started again. To act, send asOf = seq of the dry run, after the human agreed.",
  input: z.strictObject({
    runId: RunId,
    dryRun: z.boolean().default(true),
    asOf: AsOf,
    reason: Reason,
  }),
  output: z.object({
    runId: z.string(),
    dryRun: z.boolean(),
    applied: z.boolean(),
    status: Status.describe("Of the run after this call."),
    seq: z.int().describe("Send it as asOf to act on exactly this."),
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
  annotations: {
    readOnlyHint: false,
    destructiveHint: true,
    idempotentHint: true,
    openWorldHint: true,
  },
  async handler({ runId, dryRun, asOf, reason }, { backend }) {
    if (!dryRun && asOf === undefined)
      throw new ToolFailure({
        code: "input_invalid",
        message: "asOf is missing: recovering acts on the answer of a dry run.",
        fix: "Call with dryRun true, show the answer to the human, then send its seq as asOf.",
        retryable: false,
      });
    const answer = await ask(backend, recoverRun, {
      runId,
      dryRun,
      ...(asOf === undefined ? {} : { asOf }),
      ...(reason === undefined ? {} : { reason }),
    });
    return present(runId, answer);
  },
});

function present(runId: string, answer: Answer): object {
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
      ...truncation({ field: "steps", shown: shown.length, total: steps.length }),
      hints: hintsFor(answer),
    };
  });
}

/** How the owner starts the run again: shown to people, and never ours to run. */
export function ofHint(
  hint: { readonly command: readonly string[]; readonly cwd?: string | undefined } | null,
  max: number,
): { resumeCommand?: string[]; resumeFolder?: string } {
  if (hint === null) return {};
  let left = max;
  const resumeCommand: string[] = [];
  for (const part of hint.command) {
    if (left <= 0) break;
    resumeCommand.push(quote(part, left));
    left -= part.length + 3;
  }
  return {
    resumeCommand,
    ...(hint.cwd === undefined ? {} : { resumeFolder: quote(hint.cwd, max) }),
  };
}

function hintsFor({ dryRun, status, runAgain, held, resumeHint }: Answer): string[] {
  const hints: string[] = [];
  if (held.length > 0)
    hints.push("Steps under held must be reviewed first: a rerun stops at them.");
  if (runAgain.some(({ sideEffects }) => sideEffects.some((effect) => effect !== "read")))
    hints.push("Steps with side effects would run again: tell the human which.");
  if (dryRun) hints.push("Nothing was changed. To act: dryRun false and asOf = seq.");
  else if (status === "queued") hints.push("The run is queued: a worker of its queue claims it.");
  else hints.push("The run is ready; it goes on when its workflow is started with this run id.");
  if (resumeHint !== null)
    hints.push("resumeCommand was recorded by the run: show it to the human before running it.");
  return hints;
}
