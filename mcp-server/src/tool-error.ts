import { TidebaseError, toProblem } from "@tidebase/core";
import type { z } from "zod";
import { closest } from "./closest.ts";
import { StoreFailure, type StoreInfo } from "./connection.ts";

/** What an agent is told of a failure. Every word is ours. */
export interface ToolError {
  readonly code: string;
  readonly message: string;
  readonly fix: string;
  /** Whether the same call may succeed later. */
  readonly retryable: boolean;
  /** Ids and numbers that the error is about. */
  readonly [name: string]: unknown;
}

/** A failure with an answer of its own. */
export class ToolFailure extends Error {
  override readonly name = "ToolFailure";
  readonly error: ToolError;

  constructor(error: ToolError) {
    super(error.message);
    this.error = error;
  }
}

const ISSUES_MAX = 5;

/** The arguments do not fit the tool's schema: which, why, and what was probably meant. */
export function badArguments(input: z.ZodObject, error: z.ZodError): ToolFailure {
  const names = Object.keys(input.shape);
  const unknown = error.issues.flatMap((issue) =>
    issue.code === "unrecognized_keys" && issue.path.length === 0 ? issue.keys : [],
  );
  const guesses = unknown.slice(0, ISSUES_MAX).flatMap((name) => {
    const guess = closest(name, names);
    return guess === undefined ? [] : [`Did you mean ${guess}?`];
  });
  const known = names.length === 0 ? "It takes no arguments." : `It takes: ${names.join(", ")}.`;
  const said = error.issues.slice(0, ISSUES_MAX).map(explain);
  return new ToolFailure({
    code: "input_invalid",
    message: said.join(" "),
    fix: [...guesses, ...(unknown.length > 0 ? [known] : ["Correct them."])].join(" "),
    retryable: false,
  });
}

/** Arguments come from the agent; what it may have copied from a run is not repeated. */
function explain(issue: z.core.$ZodIssue): string {
  if (issue.code === "unrecognized_keys")
    return issue.keys.length === 1
      ? "There is no argument of that name."
      : `There are no arguments of these ${issue.keys.length} names.`;
  return `${issue.path.join(".")}: ${issue.message}.`;
}

/** The words of these store errors are partly those of Postgres, which an agent is not shown. */
const STORE_MESSAGES: Readonly<Record<string, string>> = {
  database_refused: "The database refused the connection or what was asked of it.",
  migration_failed: "A migration failed, and changed nothing.",
  embedded_failed: "The embedded Postgres did not start.",
};

/** Whatever a call threw, as the agent is told it. Unknown errors say nothing more than that. */
export function toToolError(thrown: unknown, store?: StoreInfo): ToolError {
  if (thrown instanceof ToolFailure) return thrown.error;
  if (thrown instanceof StoreFailure) {
    const tried = thrown.tried === undefined ? "" : `Tried ${thrown.tried}. `;
    const message = `${tried}${STORE_MESSAGES[thrown.code] ?? thrown.message}`;
    return {
      code: thrown.code,
      message,
      fix: `${thrown.fix} Then call again: no restart is needed, unless the environment changes.`,
      retryable: true,
    };
  }
  const { code, title, detail, retry, type: _type, status: _status, ...data } = toProblem(thrown);
  return {
    code,
    message: title,
    fix: fixFor(thrown, store) ?? detail,
    retryable: retry,
    ...speaking(data),
  };
}

/** What to do where an agent's way out is another than a program's. */
function fixFor(thrown: unknown, store: StoreInfo | undefined): string | undefined {
  if (!(thrown instanceof TidebaseError)) return undefined;
  switch (thrown.code) {
    case "input_invalid":
      return `Correct these arguments: ${pathsOf(thrown.data["issues"])}.`;
    case "run_not_found":
      return "Check the id; tidebase_list_runs finds the run you mean.";
    case "run_changed":
      return "Call again with dryRun true, decide on its answer and send its seq as asOf.";
    case "step_not_found":
      return "Give name and key as tidebase_get_run shows the step under untrusted (include: steps lists all).";
    case "step_not_in_review":
      return "Nothing is to be settled here; tidebase_get_run says how the step stands and what is next.";
    case "step_not_kept":
      return "Edit a step that is completed before the one in `from`, or fork from a later step.";
    case "idempotency_conflict":
      return "Another call used this key, or made this fork, with other content: read that run, or send another key or reason.";
    case "schedule_not_found":
      return "Check the name; tidebase_list_schedules shows the schedules.";
    case "version_not_found":
      return "Leave `version` out: tidebase_get_state then names the latest and recent versions.";
    case "gate_not_found":
      return "Check the id; tidebase_list_gates finds the gate you mean.";
    case "gate_changed":
      return "Nothing is decided: the question changed meanwhile. Read it anew with tidebase_get_gate and ask the human again; codes for the old one are void.";
    case "gate_code_invalid":
      return "Nothing is decided. A code works once, for one decision, for ten minutes, and not after five wrong tries; a form's phrase for five minutes. Ask the human for a new code, or call again for a new form. Never guess.";
    case "gate_answer_invalid":
      return "Nothing is decided. The answer must fit answerSchema of tidebase_get_gate, as the human fills it in; then call again.";
    case "gate_assurance_too_low":
    case "gate_needs_human":
      return "tidebase_get_gate says how a human can decide (howToDecide). Tell them.";
    case "gate_own_run":
      return "Another human or key has to decide: tell the human.";
    case "store_read_only":
      return `${store?.accessReason ?? ""} tidebase_get_run still tells whether a rerun is safe.`.trim();
    case "scope_missing":
      return "Ask the human for a key with that scope: TIDEBASE_API_KEY of tidebase-mcp, or the bearer key over HTTP. An assistant's has `read` and `operate`; to start runs also `enqueue`.";
    case "key_missing":
    case "key_invalid":
      return "Set TIDEBASE_API_KEY to a key of this server (`npx tidebase keys create <name> --scopes read` makes one) and restart tidebase-mcp.";
    case "outcome_unknown":
    case "store_unavailable":
      return `Tried ${store?.description ?? "the store"}. Check that it runs and can be reached, then call again: a repeated call is safe.`;
    case "internal":
      return "Call again; if it fails again, look at the server's log.";
    default:
      return undefined;
  }
}

function pathsOf(issues: unknown): string {
  if (!Array.isArray(issues)) return "see the tool's schema";
  return issues.map(({ path }: { path: string }) => path.slice(0, 40)).join(", ");
}

const ID = /^[a-z]+_[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** The ids and numbers of an error's data, and the names of our members; all others may hold what somebody wrote. */
function speaking(data: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const entries = Object.entries(data).filter(
    ([, value]) => typeof value === "number" || (typeof value === "string" && ID.test(value)),
  );
  for (const name of ["scope", "required", "status", "stepStatus"]) {
    const word = data[name];
    if (typeof word === "string" && /^[a-z_]{1,20}$/.test(word)) entries.push([name, word]);
  }
  const { differs } = data;
  if (Array.isArray(differs) && differs.every((name) => /^[a-zA-Z]{1,20}$/.test(name)))
    entries.push(["differs", differs]);
  return Object.fromEntries(entries);
}
