import { type Backend, getRun, reviewStep } from "@tidebase/core";
import { z } from "zod";
import { fit, TOKENS } from "../answers/fit.ts";
import { ask, type Plain } from "../answers/plain.ts";
import { unquote, untrusted, untrustedOf } from "../answers/untrusted.ts";
import { DESTRUCTIVE, tool } from "../tool.ts";
import { actFields, actInput, jsonIn, needsAsOf, ofAct, wrongArguments } from "./act-fields.ts";
import { Hints, Name, optional } from "./run-fields.ts";
import { ForeignStep, foreignOfStep, OpenStep, ofStep, type StepRow } from "./step-rows.ts";

const Decision = z.enum(["retry", "completed", "failed"]);

const Input = z.strictObject({
  ...actInput,
  name: Name,
  key: z.string().max(200).optional(),
  decision: Decision,
  output: z.string().optional().describe("JSON text."),
  reason: z.string().min(1).max(2000),
});
type Given = z.output<typeof Input>;

export const reviewStepTool = tool({
  name: "tidebase_review_step",
  title: "Review step",
  toolset: "ops",
  description:
    "What a step in review becomes: retry (it did not happen, run it again), completed (it happened; output is what it returned) or failed (never again). A dry run unless dryRun is false with asOf = seq. The human says what happened; reason is how they know.",
  input: Input,
  output: z.object({
    ...actFields,
    decision: Decision,
    was: z.string().optional().describe("The step's status before."),
    becomes: z.string(),
    step: OpenStep.optional().describe("As it was found."),
    held: z.int().describe("Other steps that stop a rerun."),
    next: z.string().describe("For the run, after this call."),
    untrusted: untrustedOf({ step: ForeignStep }).optional(),
    hints: Hints,
  }),
  annotations: { ...DESTRUCTIVE, openWorldHint: true },
  async handler(given, { backend }) {
    needsAsOf(given);
    const output = outputOf(given);
    const before = await ask(backend, getRun, { runId: given.runId });
    const step = openStep(before, given);
    const { name, key = "" } = step ?? given;
    const { decision } = given;
    const act = { ...ofAct(given), reason: given.reason, name, key, decision, ...output };
    const settled = await ask(backend, reviewStep, act);
    return present({ given, step, settled, run: await after(backend, given, before) });
  },
});

type Found = Plain<z.output<typeof getRun.output>>;
type Settled = Plain<z.output<typeof reviewStep.output>>;

/** What the step returned, when it is settled as completed. */
function outputOf({ decision, output }: Given): { output?: unknown } {
  if (output === undefined) return {};
  if (decision !== "completed")
    throw wrongArguments(
      "output is only for the decision completed.",
      "Leave output out, or send the decision completed.",
    );
  return { output: jsonIn("output", output) };
}

/** The unfinished step of that name: as it is, or as an answer showed it, with its hidden characters escaped. */
function openStep({ verdict }: Found, { name, key = "" }: Given): StepRow | undefined {
  const isIt = (one: string, other: string): boolean => one === other || one === unquote(other);
  return verdict.steps.find((step) => isIt(step.name, name) && isIt(step.key, key));
}

async function after(backend: Backend, { runId, dryRun }: Given, before: Found): Promise<Found> {
  return dryRun ? before : await ask(backend, getRun, { runId });
}

function present(told: {
  readonly given: Given;
  readonly step: StepRow | undefined;
  readonly settled: Settled;
  readonly run: Found;
}): object {
  const { given, step, settled, run } = told;
  const { runId, dryRun, decision } = given;
  const { becomes, seq } = settled;
  const others = run.verdict.steps.filter(
    ({ name, key }) => !(name === step?.name && key === step.key),
  );
  const held = others.filter(({ wouldRunAgain }) => !wouldRunAgain).length;
  return fit({ tokens: TOKENS.list, text: 600, rows: 1 }, ({ text }) => ({
    ...{ runId, dryRun, applied: !dryRun, decision },
    ...optional("was", step?.status),
    ...{ becomes, seq },
    ...(step === undefined ? {} : { step: ofStep(step, 1) }),
    held,
    next: run.verdict.next.text,
    ...(step === undefined
      ? {}
      : { untrusted: untrusted({ step: foreignOfStep(step, 1, { text, detail: false }) }) }),
    hints: hintsFor(given, { run, held }),
  }));
}

const EFFECTS = {
  retry: "The step runs again, effects and all, when the run goes on.",
  completed: "The step never runs again; its code gets output in its place.",
  failed: "The step never runs again, and the run's code gets its failure.",
} as const;

function hintsFor(
  { dryRun, decision, output }: Given,
  { run, held }: { readonly run: Found; readonly held: number },
): string[] {
  const hints: string[] = [EFFECTS[decision]];
  if (decision === "completed" && output === undefined)
    hints.push("output is null: if the code needs what the step returned, send it as JSON text.");
  if (dryRun) hints.push("Nothing was changed. To act: the same arguments, dryRun false and asOf.");
  if (held > 0) hints.push("Other steps wait for a review too: tidebase_get_run lists them.");
  else if (run.run.status === "failed" || run.run.status === "interrupted")
    hints.push("Then tidebase_recover_run makes the run ready again.");
  return hints;
}
