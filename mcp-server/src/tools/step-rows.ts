import { z } from "zod";
import { quote, quoteJson } from "../answers/untrusted.ts";
import { optional } from "./run-fields.ts";

/** A step that is not completed, in our words; `n` finds it under `untrusted`. */
export const OpenStep = z.object({
  n: z.int(),
  status: z.string(),
  attempt: z.int(),
  reason: z.string().optional(),
  wouldRunAgain: z.boolean(),
  why: z.string(),
  eventSeqs: z.array(z.int()).optional().describe("The events this is read from."),
});

/** The same step in the words of its author. */
export const ForeignStep = z.object({
  n: z.int(),
  name: z.string(),
  key: z.string().optional(),
  sideEffects: z.array(z.string()).optional(),
  idempotencyKey: z.string().optional(),
  error: z.string().optional(),
  stack: z.string().optional(),
});

/** An unfinished step as core answers it. */
export interface StepRow {
  readonly name: string;
  readonly key: string;
  readonly status: string;
  readonly attempt: number;
  readonly sideEffects: readonly string[];
  readonly idempotencyKey: string | null;
  readonly reason: string | null;
  readonly error: unknown;
  readonly wouldRunAgain: boolean;
  readonly why: string;
  readonly eventSeqs: readonly number[];
}

const NAME_LENGTH = 200;
const EFFECT_LENGTH = 100;
const EFFECTS_MAX = 10;
/** The reasons core gives; any other word is not shown. */
const REASON = /^[a-z_]{1,40}$/;

/** A step's own fields, numbered from `n`. */
export function ofStep(step: StepRow, n: number): z.output<typeof OpenStep> {
  const { status, attempt, reason, wouldRunAgain, why, eventSeqs } = step;
  return {
    n,
    status,
    attempt,
    ...(reason !== null && REASON.test(reason) ? { reason } : {}),
    wouldRunAgain,
    why,
    ...optional("eventSeqs", [...eventSeqs]),
  };
}

type Named = Pick<StepRow, "name" | "key" | "sideEffects" | "idempotencyKey" | "error">;

/** What the step's author and its failure say, numbered alike. */
export function foreignOfStep(
  { name, key, sideEffects, idempotencyKey, error }: Named,
  n: number,
  cut: { readonly text: number; readonly detail: boolean },
): z.output<typeof ForeignStep> {
  const effects = sideEffects.slice(0, EFFECTS_MAX).map((effect) => quote(effect, EFFECT_LENGTH));
  const { message, stack } = ofError(error, cut);
  return {
    n,
    name: quote(name, NAME_LENGTH),
    ...(key === "" ? {} : { key: quote(key, NAME_LENGTH) }),
    ...optional("sideEffects", effects),
    ...(idempotencyKey === null ? {} : { idempotencyKey: quote(idempotencyKey, NAME_LENGTH) }),
    ...optional("error", message),
    ...optional("stack", stack),
  };
}

/** A recorded failure: its name and message, and with detail its stack. */
export function ofError(
  error: unknown,
  { text, detail }: { readonly text: number; readonly detail: boolean },
): { message?: string; stack?: string } {
  if (error === null || error === undefined) return {};
  const { name, message, stack } = error as Record<string, unknown>;
  if (typeof message !== "string") return { message: quoteJson(error, text) };
  const title = typeof name === "string" && name !== "" ? `${name}: ` : "";
  return {
    message: quote(`${title}${message}`, text),
    ...(detail && typeof stack === "string" ? { stack: quote(stack, text) } : {}),
  };
}

/** How many steps of a run are not completed: lists of them are cut. */
export function openTotal(counts: { begun: number; failed: number; manualReview: number }): number {
  return counts.begun + counts.failed + counts.manualReview;
}
