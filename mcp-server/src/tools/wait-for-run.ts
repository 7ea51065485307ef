import { setTimeout as delay } from "node:timers/promises";
import { getRun, listEvents, listGates } from "@tidebase/core";
import { z } from "zod";
import { ask, type Plain } from "../answers/plain.ts";
import { READ, type ToolContext, tool } from "../tool.ts";
import type { EventRow } from "./list-events.ts";
import { Hints, ofRun, optional, RunId, runFields } from "./run-fields.ts";

const UNTIL = ["end", "gate", "change"] as const;
type Until = (typeof UNTIL)[number];

const PAUSE_MS = 500;
const PROGRESS_MS = 5000;
const PAGE = 200;
const GATES_MAX = 5;

/** After these nobody works on the run; a failed one goes on only when somebody acts. */
const ENDS: readonly string[] = ["run.completed", "run.cancelled", "run.failed"];
const ENDED: readonly string[] = ["completed", "cancelled", "failed"];
/** After these there is never another event. */
const FINAL: readonly string[] = ["completed", "cancelled"];

export const waitForRunTool = tool({
  name: "tidebase_wait_for_run",
  title: "Wait for run",
  toolset: "runs",
  description:
    "A run's status after waiting, 50 s at most: until any change (default), until a gate of it opens or is decided, or until it ends (completed, cancelled, failed); and its open gates. timedOut: nothing of that happened; call again with afterSeq = lastSeq.",
  input: z.strictObject({
    runId: RunId,
    until: z.enum(UNTIL).default("change"),
    afterSeq: z
      .int()
      .min(0)
      .max(Number.MAX_SAFE_INTEGER)
      .optional()
      .describe("Count events after this one; default: after now."),
    timeoutMs: z.int().min(0).max(50_000).default(25_000),
  }),
  output: z.object({
    run: z.object({ ...runFields, lastSeq: z.int() }),
    verdict: z.string().describe("Is it safe to rerun? See tidebase_get_run."),
    next: z.string(),
    timedOut: z.boolean(),
    waitedMs: z.int(),
    openGates: z.array(z.string()).optional().describe("Ids, oldest first, at most five."),
    hints: Hints,
  }),
  annotations: READ,
  async handler({ runId, until, afterSeq, timeoutMs }, context) {
    const since = performance.now();
    const first = await ask(context.backend, getRun, { runId });
    const over = until === "end" ? ENDED : FINAL;
    const happened =
      over.includes(first.run.status) ||
      (await wait(context, {
        runId,
        until,
        afterSeq: afterSeq ?? first.run.lastSeq,
        endsAt: since + timeoutMs,
      }));
    const found = await ask(context.backend, getRun, { runId });
    const { gates } = await ask(context.backend, listGates, { runId, limit: GATES_MAX });
    const waitedMs = Math.round(performance.now() - since);
    return present(found, { gates, timedOut: !happened, waitedMs });
  },
});

/** Whether it happened before the time was over. */
async function wait(
  { backend, signal, progress }: ToolContext,
  waiting: { runId: string; until: Until; afterSeq: number; endsAt: number },
): Promise<boolean> {
  const { runId, until, endsAt } = waiting;
  let { afterSeq } = waiting;
  for (let toldAt = -Infinity; ; ) {
    const page = await ask(backend, listEvents, { runId, afterSeq, limit: PAGE });
    const events = page.events as EventRow[];
    if (events.some(({ type }) => counts(type, until))) return true;
    afterSeq = events.at(-1)?.seq ?? afterSeq;
    const now = performance.now();
    if (now >= endsAt) return false;
    if (now - toldAt >= PROGRESS_MS) {
      progress("Waiting for the run.");
      toldAt = now;
    }
    if (events.length < PAGE) await delay(Math.min(PAUSE_MS, endsAt - now), undefined, { signal });
  }
}

function counts(type: string, until: Until): boolean {
  if (until === "change" || ENDS.includes(type)) return true;
  return until === "gate" && type.startsWith("gate.");
}

type Found = Plain<z.output<typeof getRun.output>>;
type Gates = Plain<z.output<typeof listGates.output>>["gates"];

function present(
  { run, verdict }: Found,
  { gates, timedOut, waitedMs }: { gates: Gates; timedOut: boolean; waitedMs: number },
): object {
  const ids = gates.map(({ gateId }) => gateId);
  return {
    run: { ...ofRun(run), lastSeq: run.lastSeq },
    verdict: verdict.answer,
    next: verdict.next.text,
    timedOut,
    waitedMs,
    ...optional("openGates", ids),
    ...(ids.length === 0
      ? {}
      : { hints: ["A human has to decide the open gates: tidebase_get_gate shows how."] }),
  };
}
