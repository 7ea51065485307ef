import { z } from "zod";
import { payloadText } from "../json-text.ts";
import { operation } from "../operation.ts";
import { answersOf, fittingTexts, Name, oneLine, Payload } from "../payload.ts";
import { RunId } from "../runs/schema.ts";
import * as runs from "../runs/sql.ts";
import { readJournal } from "./journal.ts";
import { keptOf, onUnknown } from "./rules.ts";
import {
  BeginOutcome,
  CompleteOutcome,
  FailOutcome,
  JournalPage,
  StepBegin,
  StepCompletion,
  StepFailure,
  StepRecord,
} from "./schema.ts";
import * as steps from "./sql.ts";

/*
 * begun → completed | failed_retryable | manual_review | failed. Completed is recorded once and answers
 * every later request with its record. What `begun, never finished` means is decided here from the contract.
 * A batch keeps each item's own outcome: one worker's lost lease never costs another worker its step.
 */

export const beginSteps = operation({
  name: "steps.begin",
  summary:
    "Record, before their effects, that steps are about to run; settled ones answer with their record.",
  route: "POST /v1/steps/begin",
  effect: "write",
  scope: "work",
  fenced: true,
  because: "Permission to cause an effect is given to the holder alone.",
  input: z.strictObject({ items: z.array(StepBegin).min(1).max(1000) }),
  output: z.strictObject({
    results: z.array(
      z.strictObject({
        outcome: BeginOutcome,
        output: Payload.optional(),
        outputMeta: Payload.optional(),
        inputHash: z.string().optional().describe("The recorded hash, on `input_mismatch`."),
        input: Payload.optional().describe("The recorded input, on `input_mismatch`."),
      }),
    ),
  }),
  errors: [],
  async run({ db }, { items }) {
    const rows = await db.batch(
      steps.begin,
      items.map((item) => ({ ...item, ...keptOf(item), onUnknown: onUnknown(item.contract) })),
    );
    return {
      results: rows.map((row) => {
        if (row.outcome === "replayed")
          return {
            outcome: row.outcome,
            output: row.output,
            ...(row.outputMeta === null ? {} : { outputMeta: row.outputMeta }),
          };
        if (row.outcome === "input_mismatch")
          return {
            outcome: row.outcome,
            ...(row.inputHash === null ? {} : { inputHash: row.inputHash }),
            ...(row.input === null ? {} : { input: row.input }),
          };
        return { outcome: row.outcome };
      }),
    };
  },
});

export const completeSteps = operation({
  name: "steps.complete",
  summary: "Record finished steps of any number of runs in one commit.",
  route: "POST /v1/steps/complete",
  effect: "write",
  scope: "work",
  fenced: true,
  because: "A worker that lost its run must not add results to it.",
  input: z.strictObject({ items: z.array(StepCompletion).min(1).max(1000) }),
  output: z.strictObject({
    results: z.array(z.strictObject({ outcome: CompleteOutcome, limitBytes: z.int().optional() })),
  }),
  errors: [],
  async run({ db, limits }, { items }) {
    const kept = items.map((item) => {
      const texts = fittingTexts(item.output ?? null, item.outputMeta, limits);
      if (texts === undefined) return undefined;
      const { value: output, meta: outputMeta } = texts;
      return { ...item, ...keptOf(item), output, outputMeta, onUnknown: onUnknown(item.contract) };
    });
    const rows = await answersOf(kept, (fitting) => db.batch(steps.complete, fitting));
    return {
      results: rows.map((row) =>
        row === undefined
          ? { outcome: "output_too_large" as const, limitBytes: limits.payloadBytes }
          : { outcome: row.outcome },
      ),
    };
  },
});

export const failSteps = operation({
  name: "steps.fail",
  summary: "Record failed attempts of steps; a final failure is classified by the step's contract.",
  route: "POST /v1/steps/fail",
  effect: "write",
  scope: "work",
  fenced: true,
  because: "A worker that lost its run must not settle its steps.",
  input: z.strictObject({ items: z.array(StepFailure).min(1).max(1000) }),
  output: z.strictObject({
    results: z.array(z.strictObject({ outcome: FailOutcome })),
  }),
  errors: [],
  async run({ db, limits }, { items }) {
    const rows = await db.batch(
      steps.fail,
      items.map((item) => ({
        ...item,
        ...keptOf(item),
        onUnknown: onUnknown(item.contract),
        error: boundedError(item.error, item.message, limits.payloadBytes),
        message: oneLine(item.message),
      })),
    );
    return { results: rows.map(({ outcome }) => ({ outcome })) };
  },
});

/** A failure is recorded whatever its size: one that is too large keeps its message. */
function boundedError(error: unknown, message: string, limit: number): unknown {
  const bytes = payloadText(error)?.bytes ?? 0;
  return bytes <= limit ? error : { message, truncated: true, bytes };
}

export const listJournal = operation({
  name: "steps.journal",
  summary: "The completed steps of a run after a given one, with their outputs.",
  route: "GET /v1/runs/:runId/journal",
  effect: "read",
  scope: "work",
  fenced: false,
  because: "It only reads.",
  input: z.strictObject({
    runId: RunId,
    afterName: Name.default(""),
    afterKey: Name.default(""),
  }),
  output: JournalPage,
  errors: ["run_not_found", "run_erased"],
  async run({ db, fail }, after) {
    const page = await readJournal(db, after);
    if (page === undefined) throw fail("run_not_found", { runId: after.runId });
    const { erased, ...shown } = page;
    if (erased) throw fail("run_erased", { runId: after.runId });
    return shown;
  },
});

export const listSteps = operation({
  name: "steps.list",
  summary: "The steps of a run with their status and contract, without outputs; by name and key.",
  route: "GET /v1/runs/:runId/steps",
  effect: "read",
  scope: "read",
  fenced: false,
  because: "It only reads.",
  input: z.strictObject({
    runId: RunId,
    afterName: Name.default(""),
    afterKey: Name.default(""),
    limit: z.coerce.number().int().min(1).max(1000).default(200),
  }),
  output: z.strictObject({
    steps: z.array(StepRecord),
    afterName: z.string().nullable(),
    afterKey: z.string().nullable(),
  }),
  errors: ["run_not_found"],
  async run({ db, fail }, page) {
    const rows = await db.many(steps.list, { ...page, limit: page.limit + 1 });
    if (rows.length === 0 && (await db.maybe(runs.exists, page)) === undefined)
      throw fail("run_not_found", { runId: page.runId });
    const shown = rows.slice(0, page.limit);
    const last = rows.length > page.limit ? shown.at(-1) : undefined;
    return { steps: shown, afterName: last?.name ?? null, afterKey: last?.key ?? null };
  },
});

export const getStep = operation({
  name: "steps.get",
  summary: "One step with its recorded output.",
  route: "GET /v1/runs/:runId/step",
  effect: "read",
  scope: "read",
  fenced: false,
  because: "It only reads.",
  input: z.strictObject({ runId: RunId, name: Name.min(1), key: Name.default("") }),
  output: z.strictObject({
    step: StepRecord.extend({ input: Payload, output: Payload, outputMeta: Payload }),
  }),
  errors: ["step_not_found"],
  async run({ db, fail }, which) {
    const step = await db.maybe(steps.get, which);
    if (step === undefined) throw fail("step_not_found", which);
    return { step };
  },
});
