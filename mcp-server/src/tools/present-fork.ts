import type { forkRun } from "@tidebase/core";
import { z } from "zod";
import { fit, TOKENS, truncation } from "../answers/fit.ts";
import type { Plain } from "../answers/plain.ts";
import { quote, untrusted } from "../answers/untrusted.ts";
import { ofHint } from "./resume-hint.ts";
import { optional } from "./run-fields.ts";
import { foreignOfStep } from "./step-rows.ts";

/** What a fork keeps and does again, as core answers it. */
export type Plan = Plain<z.output<typeof forkRun.output>>;

/** A step that the fork executes, in our words; `n` finds it under `untrusted`. */
export const RunAgain = z.object({
  n: z.int(),
  status: z.string().describe("In the source."),
  repeatsEffects: z.boolean(),
  why: z.string(),
});

/** The same step in the words of its author. */
export const ForeignRunAgain = z.object({
  n: z.int(),
  name: z.string(),
  key: z.string().optional(),
  sideEffects: z.array(z.string()).optional(),
  idempotencyKey: z.string().optional(),
});

/** Something of the source under its author's name. */
export const ForeignNamed = z.object({ name: z.string(), key: z.string().optional() });

const NAMES_MAX = 5;
const NAME_LENGTH = 200;
/** Core lists so many at most. */
const LISTED_MAX = 200;

/** The answer of tidebase_fork_run, cut to its budget. */
export function presentFork(runId: string, plan: Plan): object {
  const { dryRun, status, seq, keptSteps, runAgainSteps, repeatedEffects, signals } = plan;
  const { gatesAskedAgain, childrenAnew, timersAnew } = plan;
  const rows = plan.runAgain.length;
  return fit({ tokens: TOKENS.detail, text: 300, rows }, ({ text, detail, rows }) => {
    const shown = plan.runAgain.slice(0, rows);
    return {
      ...{ runId, dryRun, applied: !dryRun, seq },
      ...optional("forkRunId", plan.runId),
      ...(dryRun ? {} : { created: plan.created }),
      ...{ status, keptSteps, runAgainSteps, repeatedEffects },
      ...optional("runAgain", shown.map(ofStep)),
      gatesAskedAgain: gatesAskedAgain.length,
      childrenAnew: childrenAnew.length,
      timersAnew: timersAnew.length,
      ...{ signals, next: nextOf(plan) },
      ...optional("warnings", plan.warnings),
      untrusted: untrusted({
        workflow: quote(plan.workflow, Math.min(text, NAME_LENGTH)),
        ...(plan.queue === null ? {} : { queue: quote(plan.queue, Math.min(text, NAME_LENGTH)) }),
        ...optional("runAgain", shown.map(foreignOf)),
        ...foreignRest(plan),
        ...ofHint(plan.resumeHint as Parameters<typeof ofHint>[0], detail ? 2000 : 300),
      }),
      ...truncation({ field: "runAgain", shown: shown.length, total: runAgainSteps }),
      hints: hintsFor(plan),
    };
  });
}

function ofStep(
  { status, repeatsEffects, why }: Plan["runAgain"][number],
  index: number,
): z.output<typeof RunAgain> {
  return { n: index + 1, status, repeatsEffects, why };
}

function foreignOf(
  step: Plan["runAgain"][number],
  index: number,
): z.output<typeof ForeignRunAgain> {
  return foreignOfStep({ ...step, error: null }, index + 1, { text: 0, detail: false });
}

function foreignRest(plan: Plan): object {
  const edited = plan.kept.find((step) => step.edited);
  const named = (list: readonly z.output<typeof ForeignNamed>[]): object[] =>
    list.slice(0, NAMES_MAX).map(nameOf);
  return {
    ...(edited === undefined ? {} : { edited: nameOf(edited) }),
    ...optional("gates", named(plan.gatesAskedAgain)),
    ...optional("children", named(plan.childrenAnew)),
  };
}

function nameOf({ name, key }: z.output<typeof ForeignNamed>): z.output<typeof ForeignNamed> {
  return {
    name: quote(name, NAME_LENGTH),
    ...(key === undefined || key === "" ? {} : { key: quote(key, NAME_LENGTH) }),
  };
}

/** In our words: core's name the workflow. */
function nextOf({ dryRun, status }: Plan): string {
  if (dryRun) return "Show the plan to the human: a fork does anew whatever is under runAgain.";
  if (status === "queued")
    return "A worker of its queue claims the fork: tidebase_wait_for_run waits for its end.";
  return status === "pending"
    ? "The fork begins when its workflow is started with forkRunId as the run's id."
    : "The fork is under way: tidebase_get_run tells how it stands.";
}

function hintsFor(plan: Plan): string[] {
  const { dryRun, created, repeatedEffects, gatesAskedAgain, resumeHint } = plan;
  const hints: string[] = [];
  if (repeatedEffects > 0) hints.push("Effects would happen once more: tell the human which.");
  if (gatesAskedAgain.length > 0) hints.push("Humans will be asked again: no decision is kept.");
  if (plan.runAgain.length === LISTED_MAX && plan.runAgainSteps > LISTED_MAX)
    hints.push("tidebase_list_events of the source, types step.begun, names all its steps.");
  if (dryRun) hints.push("Nothing was made. To act: the same arguments, dryRun false and asOf.");
  else if (!created) hints.push("It was there. For another like it, send another reason.");
  if (resumeHint !== null)
    hints.push("resumeCommand started the source: show it to the human; the fork's id is its own.");
  return hints;
}
