import { type Backend, getQueue, redriveQueue, updateQueue } from "@tidebase/core";
import { z } from "zod";
import { fit, TOKENS, Truncated, truncation } from "../answers/fit.ts";
import { ask, type Plain } from "../answers/plain.ts";
import { Instant } from "../answers/time.ts";
import { untrusted, untrustedOf } from "../answers/untrusted.ts";
import { tool, WRITE } from "../tool.ts";
import { ToolFailure } from "../tool-error.ts";
import {
  foreignOfQueue,
  foreignQueueFields,
  isUnknown,
  QueueName,
  Settings,
  settingsOf,
  UNKNOWN,
} from "./queue-fields.ts";
import { FailureClass, Hints, Name, optional, Since } from "./run-fields.ts";

const Limit = z.int().min(0).max(1_000_000).optional();
const LIMITS = ["concurrency", "keyConcurrency", "ratePerMinute"] as const;
const FILTERS = ["workflow", "failureClass", "search", "until"] as const;

const Input = z.strictObject({
  queue: QueueName,
  action: z.enum(["pause", "resume", "limits", "redrive"]),
  dryRun: z.boolean().default(true),
  concurrency: Limit,
  keyConcurrency: Limit,
  ratePerMinute: Limit,
  workflow: Name.optional(),
  failureClass: FailureClass.optional(),
  search: z.string().min(2).max(200).optional(),
  until: Since.optional(),
});
type Given = z.output<typeof Input>;

const Skipped = z.object({
  runId: z.string(),
  code: z.string(),
  activeRunId: z.string().optional(),
});

export const manageQueueTool = tool({
  name: "tidebase_manage_queue",
  title: "Manage queue",
  toolset: "ops",
  description:
    "A queue's settings before and after pause, resume or limits (0 lifts a limit), or how many dead letters redrive would queue again (by workflow, failureClass, error text). A dry run unless dryRun is false; show it to the human. To redrive, send until of the dry run.",
  input: Input,
  output: z.object({
    action: Input.shape.action,
    dryRun: z.boolean(),
    applied: z.boolean(),
    before: Settings.optional(),
    after: Settings.optional(),
    ready: z.int().optional(),
    running: z.int().optional(),
    matching: z.int().optional().describe("Dead letters, at most 1,000."),
    redriven: z.int().optional(),
    skipped: z.array(Skipped).optional().describe("Left alone, and why."),
    more: z.boolean().optional().describe("There are more than that."),
    until: Instant.optional().describe("Send it back to redrive exactly these."),
    truncated: Truncated,
    untrusted: untrustedOf({ queue: z.object(foreignQueueFields) }),
    hints: Hints,
  }),
  annotations: WRITE,
  async handler(given, { backend }) {
    check(given);
    return await (given.action === "redrive" ? redrive(backend, given) : update(backend, given));
  },
});

/** What the action needs is there, and nothing that means something to another one only. */
function check({ action, dryRun, ...given }: Given): void {
  const limits = LIMITS.filter((name) => given[name] !== undefined);
  const filters = FILTERS.filter((name) => given[name] !== undefined);
  const strange = [
    ...(action === "limits" ? [] : limits),
    ...(action === "redrive" ? [] : filters),
  ];
  if (strange.length > 0)
    throw refusal(`${strange.join(", ")}: not an argument of ${action}.`, "Leave it out.");
  if (action === "limits" && limits.length === 0)
    throw refusal("No limit is given.", `Send some of ${LIMITS.join(", ")}; 0 lifts one.`);
  if (action === "redrive" && !dryRun && given.until === undefined)
    throw refusal(
      "until is missing: redriving acts on the answer of a dry run.",
      "Call with dryRun true, show the answer to the human, then send its until.",
    );
}

function refusal(message: string, fix: string): ToolFailure {
  return new ToolFailure({ code: "input_invalid", message, fix, retryable: false });
}

async function update(backend: Backend, given: Given): Promise<object> {
  const { queue: name, action, dryRun } = given;
  const { queue } = await ask(backend, getQueue, { queue: name });
  const limits = Object.fromEntries(
    LIMITS.flatMap((limit) => {
      const value = given[limit];
      return value === undefined ? [] : [[limit, value === 0 ? null : value]];
    }),
  );
  const paused = action === "limits" ? {} : { paused: action === "pause" };
  const before = settingsOf(queue);
  const updated = dryRun
    ? queue
    : (await ask(backend, updateQueue, { queue: name, ...paused, ...limits })).queue;
  const after = { ...settingsOf({ ...updated, ...limits }), ...paused };
  const hints = [dryRun ? "Nothing was changed. To act: dryRun false." : EFFECTS[action]];
  if (isUnknown(queue)) hints.push(UNKNOWN);
  return {
    ...{ action, dryRun, applied: !dryRun, before, after },
    ...{ ready: updated.ready, running: updated.running },
    untrusted: untrusted({ queue: foreignOfQueue(updated, 1) }),
    hints,
  };
}

const EFFECTS = {
  pause: "Nothing is claimed from now on; what runs goes on.",
  resume: "Workers claim again.",
  limits: "The limits hold for what is claimed from now on.",
  redrive: "They are queued again, with fresh attempts; completed steps replay.",
} as const;

async function redrive(backend: Backend, given: Given): Promise<object> {
  const { queue: name, dryRun } = given;
  const filter = Object.fromEntries(
    FILTERS.flatMap((key) => (given[key] === undefined ? [] : [[key, given[key]]])),
  );
  const answer = await ask(backend, redriveQueue, { queue: name, dryRun, ...filter });
  const { queue } = await ask(backend, getQueue, { queue: name });
  const { matching, redriven, more, until, skipped } = answer;
  const hints = hintsFor(answer, given);
  if (isUnknown(queue)) hints.push(UNKNOWN);
  return fit({ tokens: TOKENS.list, text: 100, rows: skipped.length }, ({ rows }) => ({
    ...{ action: "redrive", dryRun, applied: !dryRun, matching, redriven },
    ...optional("skipped", skipped.slice(0, rows).map(ofSkipped)),
    ...{ more, until },
    ...truncation({
      field: "skipped",
      shown: Math.min(rows, skipped.length),
      total: skipped.length,
    }),
    untrusted: untrusted({ queue: foreignOfQueue(queue, 1) }),
    hints,
  }));
}

type Redriven = Plain<z.output<typeof redriveQueue.output>>;

function ofSkipped({
  runId,
  code,
  activeRunId,
}: Redriven["skipped"][number]): z.output<typeof Skipped> {
  return { runId, code, ...optional("activeRunId", activeRunId) };
}

function hintsFor({ dryRun, matching, more }: Redriven, { failureClass }: Given): string[] {
  const hints: string[] = [];
  if (matching === 0) hints.push("No dead letter matches.");
  else if (dryRun)
    hints.push(
      "Nothing was changed. To act: the same arguments, dryRun false and until. Unfinished steps would run again: tidebase_recover_run on one of them (tidebase_list_runs, status failed) shows which.",
    );
  else hints.push(EFFECTS.redrive);
  if (more) hints.push("There are more: call again for the rest.");
  if (failureClass === undefined)
    hints.push("Runs that wait for a review are left out unless failureClass is manual_review.");
  return hints;
}
