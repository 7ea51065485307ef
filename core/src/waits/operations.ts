import { z } from "zod";
import { Until } from "../instant.ts";
import { payloadText, unread } from "../json-text.ts";
import { Lease, REFUSALS } from "../leases/schema.ts";
import { operation } from "../operation.ts";
import { checkPayload, Name, Payload } from "../payload.ts";
import { RunId } from "../runs/schema.ts";
import { StepKey, StepName } from "../steps/schema.ts";
import { SignalName, WaitMs, Waits } from "./schema.ts";
import * as waits from "./sql.ts";

/*
 * running → waiting: no lease, no process, no attempt. Whatever wakes the run takes one of its event numbers, so
 * `suspend` notices what happened while it was under way; what has happened before is `resumeNow`.
 */

export const suspendRun = operation({
  name: "runs.suspend",
  summary:
    "Give the lease back and wait; `resumeNow` keeps it because something has happened already.",
  route: "POST /v1/runs/:runId/suspend",
  effect: "write",
  scope: "work",
  fenced: true,
  because: "Only the holder knows what its code waits for.",
  input: z.strictObject({ ...Lease.shape, waits: Waits }),
  output: z.strictObject({
    outcome: z.enum(["waiting", "resumeNow"]),
    wakeAt: z.iso.datetime().nullable().describe("When time alone wakes the run."),
  }),
  errors: [...REFUSALS, "wait_not_found"],
  async run({ db, fail }, { waits: given, ...lease }) {
    const { gates, timers, retries, signals, children, joins } = given;
    const { outcome, wakeAt } = await db
      .maybe(waits.suspend, {
        ...lease,
        gateIds: [...new Set(gates)],
        timerNames: timers.map(({ name }) => name),
        timerKeys: timers.map(({ key }) => key),
        retryNames: retries.map(({ name }) => name),
        retryKeys: retries.map(({ key }) => key),
        signals,
        childNames: children.map(({ name }) => name),
        childKeys: children.map(({ key }) => key),
        joinNames: joins.map(({ name }) => name),
        joinModes: joins.map(({ mode }) => mode),
      })
      .then((row) => row ?? { outcome: "run_not_found" as const, wakeAt: null });
    if (outcome !== "waiting" && outcome !== "resumeNow")
      throw fail(outcome, { runId: lease.runId });
    return { outcome, wakeAt };
  },
});

export const setTimer = operation({
  name: "timers.set",
  summary: "Set when a sleep or a wait is over: once, whatever is asked later.",
  route: "POST /v1/runs/:runId/timers",
  effect: "write",
  scope: "work",
  fenced: true,
  because: "Only the holder's code sleeps.",
  input: z.strictObject({
    ...Lease.shape,
    name: StepName,
    key: StepKey,
    ms: WaitMs.optional().describe("From now."),
    until: Until.optional(),
  }),
  output: z.strictObject({
    dueAt: z.iso.datetime(),
    leftMs: z.int().describe("0 when it is due."),
  }),
  errors: [...REFUSALS, "input_invalid"],
  async run({ db, fail }, timer) {
    if ((timer.ms === undefined) === (timer.until === undefined))
      throw fail("input_invalid", { issues: [{ path: "ms", message: "give `ms` or `until`" }] });
    const [row] = await db.batch(waits.setTimer, [timer]);
    if (row === undefined) throw fail("run_not_found", { runId: timer.runId });
    if (!("dueAt" in row) || row.outcome !== "set" || row.dueAt === null)
      throw fail(row.outcome === "set" ? "run_not_found" : row.outcome, { runId: timer.runId });
    return { dueAt: row.dueAt, leftMs: row.leftMs };
  },
});

export const sendSignal = operation({
  name: "signals.send",
  summary: "Tell a run that something happened; kept also when nobody waits for it yet.",
  route: "POST /v1/runs/:runId/signals",
  effect: "write",
  scope: "enqueue",
  fenced: false,
  because: "It comes from outside the run.",
  input: z.strictObject({
    runId: RunId,
    name: SignalName,
    payload: Payload.optional().describe("Any JSON; null by default."),
    key: Name.min(1).optional().describe("The same key again changes nothing."),
  }),
  output: z.strictObject({
    runId: RunId,
    seq: z.int(),
    recorded: z.boolean().describe("It was sent before."),
  }),
  errors: ["run_not_found", "run_completed", "run_cancelled", "payload_too_large"],
  async run(context, { runId, name, payload, key }) {
    const { db, actor, fail } = context;
    const text = payloadText(payload ?? null);
    checkPayload("payload", [text], context);
    const row = await db.maybe(waits.sendSignal, {
      runId,
      name,
      key,
      payload: text,
      actor: actor.name,
    });
    if (row === undefined) throw fail("run_not_found", { runId });
    const { outcome, seq } = row;
    if (outcome !== "sent" && outcome !== "recorded") throw fail(outcome, { runId });
    return { runId, seq: seq ?? 0, recorded: outcome === "recorded" };
  },
});

export const takeSignal = operation({
  name: "signals.take",
  summary:
    "Take the oldest signal of a name as this step's output; or its timeout; or learn that it is not there.",
  route: "POST /v1/runs/:runId/signals/take",
  effect: "write",
  scope: "work",
  fenced: true,
  because: "A signal is used up by the code that waits for it.",
  input: z.strictObject({ ...Lease.shape, name: StepName, key: StepKey, signal: SignalName }),
  output: z.strictObject({
    outcome: z.enum(["taken", "waiting"]),
    output: unread(Payload)
      .optional()
      .describe("`{payload}` or `{timedOut: true}`, as the step recorded it."),
  }),
  errors: [...REFUSALS, "run_too_long", "step_settled"],
  async run({ db, fail }, which) {
    const [row] = await db.batch(waits.takeSignal, [which]);
    if (row === undefined) throw fail("run_not_found", { runId: which.runId });
    if (!("output" in row)) throw fail(row.outcome, { runId: which.runId });
    const { outcome, output } = row;
    if (outcome === "waiting") return { outcome };
    if (outcome !== "taken" || output === null)
      throw fail(outcome === "taken" ? "run_not_found" : outcome, { runId: which.runId });
    return { outcome, output };
  },
});
