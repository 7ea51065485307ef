import { createHash } from "node:crypto";
import { type Backend, forkRun, TidebaseError } from "@tidebase/core";
import { z } from "zod";
import { Truncated } from "../answers/fit.ts";
import { ask } from "../answers/plain.ts";
import { unquote, untrustedOf } from "../answers/untrusted.ts";
import { tool, WRITE } from "../tool.ts";
import { actFields, actInput, jsonIn, needsAsOf, ofAct } from "./act-fields.ts";
import { ForeignNamed, ForeignRunAgain, type Plan, presentFork, RunAgain } from "./present-fork.ts";
import { Hints, Name, Status } from "./run-fields.ts";

const step = { name: Name, key: z.string().max(200).optional() };
const JsonText = z.string().describe("JSON text.");

const Input = z.strictObject({
  ...actInput,
  from: z.strictObject(step).optional(),
  edit: z.strictObject({ ...step, output: JsonText }).optional(),
  input: JsonText.optional(),
});
type Given = z.output<typeof Input>;

export const forkRunTool = tool({
  name: "tidebase_fork_run",
  title: "Fork run",
  toolset: "ops",
  description:
    "What a new run made from this one keeps and does again: from a step, optionally with another output for a kept step (edit) or another input; without from, a plain rerun. The source stays as it is. A plan unless dryRun is false with asOf = seq; sent again, it finds the same fork.",
  input: Input,
  output: z.object({
    ...actFields,
    forkRunId: z.string().optional(),
    created: z.boolean().optional().describe("False: an earlier call had made it."),
    status: Status.describe("Of the fork."),
    keptSteps: z.int(),
    runAgainSteps: z.int(),
    repeatedEffects: z.int().describe("How many of those would repeat an effect."),
    runAgain: z.array(RunAgain).optional(),
    gatesAskedAgain: z.int(),
    childrenAnew: z.int(),
    timersAnew: z.int(),
    signals: z.int(),
    next: z.string(),
    warnings: z.array(z.string()).optional(),
    untrusted: untrustedOf({
      workflow: z.string(),
      queue: z.string().optional(),
      runAgain: z.array(ForeignRunAgain).optional(),
      edited: ForeignNamed.optional(),
      gates: z.array(ForeignNamed).optional(),
      children: z.array(ForeignNamed).optional(),
      resumeCommand: z.array(z.string()).optional(),
      resumeFolder: z.string().optional(),
    }),
    truncated: Truncated,
    hints: Hints,
  }),
  annotations: { ...WRITE, openWorldHint: true },
  async handler(given, { backend }) {
    needsAsOf(given);
    return presentFork(given.runId, await fork(backend, given));
  },
});

/** As it is named, or else as an answer showed its names, with their hidden characters escaped. */
async function fork(backend: Backend, given: Given): Promise<Plan> {
  const content = {
    ...ofAct(given),
    ...(given.input === undefined ? {} : { input: jsonIn("input", given.input) }),
    ...(given.dryRun ? {} : { forkRunId: idOf(given) }),
  };
  const { from, edit } = given;
  const attempt = (read: (which: Named) => { name: string; key: string }): Promise<Plan> =>
    ask(backend, forkRun, {
      ...content,
      ...(from === undefined ? {} : { from: read(from) }),
      ...(edit === undefined
        ? {}
        : { edit: { ...read(edit), output: jsonIn("edit.output", edit.output) } }),
    });
  try {
    return await attempt(({ name, key = "" }) => ({ name, key }));
  } catch (error) {
    if (!escapes(given) || !(error instanceof TidebaseError)) throw error;
    if (!["step_not_found", "step_not_kept"].includes(error.code)) throw error;
    return await attempt(meant);
  }
}

interface Named {
  readonly name: string;
  readonly key?: string | undefined;
}

function escapes({ from, edit }: Given): boolean {
  return [from?.name, from?.key, edit?.name, edit?.key].some(
    (text) => text !== undefined && unquote(text) !== undefined,
  );
}

function meant({ name, key = "" }: Named): { name: string; key: string } {
  return { name: unquote(name) ?? name, key: unquote(key) ?? key };
}

/**
 * The fork's id follows from what was asked for, however it was written, so that a repeated call makes no second one.
 * A UUID of version 8 (RFC 9562).
 */
function idOf({ runId, asOf, from, edit, input }: Given): string {
  const step = ({ name, key = "" }: Named) => [name, key];
  const json = (name: "edit.output" | "input", text: string | undefined) =>
    text === undefined ? null : jsonIn(name, text);
  const said = JSON.stringify([
    ...[runId, asOf ?? null, from === undefined ? null : step(from)],
    edit === undefined ? null : [step(edit), json("edit.output", edit.output)],
    ...[input !== undefined, json("input", input)],
  ]);
  const hex = createHash("sha256").update(said).digest("hex");
  const parts = [hex.slice(0, 8), hex.slice(8, 12), `8${hex.slice(13, 16)}`];
  return `run_${[...parts, `8${hex.slice(17, 20)}`, hex.slice(20, 32)].join("-")}`;
}
