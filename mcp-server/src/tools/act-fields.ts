import { z } from "zod";
import { ToolFailure } from "../tool-error.ts";
import { Reason, RunId } from "./run-fields.ts";

/** The event number that an act is held against. */
const AsOf = z.int().min(0).max(Number.MAX_SAFE_INTEGER).optional().describe("seq of the dry run.");

/** What every act on a run takes. */
export const actInput = {
  runId: RunId,
  dryRun: z.boolean().default(true),
  asOf: AsOf,
  reason: Reason.optional(),
};

/** What every answer of an act says of it. */
export const actFields = {
  runId: z.string(),
  dryRun: z.boolean(),
  applied: z.boolean(),
  seq: z.int().describe("Send it as asOf to act on exactly this."),
};

/** As a tool was given it. */
export interface Act {
  readonly runId: string;
  readonly dryRun: boolean;
  readonly asOf?: number | undefined;
  readonly reason?: string | undefined;
}

/** The same as the operations take it: without what was not given. */
export function ofAct({ runId, dryRun, asOf, reason }: Act): {
  runId: string;
  dryRun: boolean;
  asOf?: number;
  reason?: string;
} {
  return {
    ...{ runId, dryRun },
    ...(asOf === undefined ? {} : { asOf }),
    ...(reason === undefined ? {} : { reason }),
  };
}

/** Throws when an act that is to be done does not say by `asOf` which dry run it was decided on. */
export function needsAsOf({ dryRun, asOf }: Act): void {
  if (dryRun || asOf !== undefined) return;
  throw wrongArguments(
    "asOf is missing: this acts on the answer of a dry run.",
    "Call with dryRun true, show the answer to the human, then send its seq as asOf.",
  );
}

/** The value of an argument that is JSON text. Throws when it is none. */
export function jsonIn(name: "input" | "output" | "edit.output", text: string): unknown {
  const value = parsed(text);
  if (value !== undefined) return value;
  throw wrongArguments(
    `${name} is no JSON text.`,
    'Send the value as JSON text, such as {"id":7}, "done" (with its quotes) or null.',
  );
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Arguments that fit the schema and not each other; both texts are ours. */
export function wrongArguments(message: string, fix: string): ToolFailure {
  return new ToolFailure({ code: "input_invalid", message, fix, retryable: false });
}
