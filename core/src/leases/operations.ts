import { setTimeout as delay } from "node:timers/promises";
import { z } from "zod";
import { principalOf } from "../access/rules.ts";
import { payloadText, unread } from "../json-text.ts";
import { operation } from "../operation.ts";
import { answersOf, checkPayload, fittingTexts, Name, oneLine, StoredPayload } from "../payload.ts";
import { FAILURE_CLASSES, RecordedError, RunId } from "../runs/schema.ts";
import { readJournal } from "../steps/journal.ts";
import { JournalPage, Unfinished } from "../steps/schema.ts";
import { Holder, machineOf, ResumeHint } from "./holder.ts";
import {
  GrantId,
  Lease,
  LeaseMs,
  OrphanedSteps,
  REFUSALS,
  RunCompleteOutcome,
  RunCompletion,
} from "./schema.ts";
import * as leases from "./sql.ts";

/*
 * A grant is (epoch, grantId); every write of a worker carries it. It ends when somebody ends it:
 * complete, fail, release, a takeover or the lost-worker sweep; never by the clock alone.
 */

/** The journal is read after the grant: by then nobody else can add to it. */
export const beginRun = operation({
  name: "runs.begin",
  summary: "Take the run's lease and get its journal; a completed run answers with its result.",
  route: "POST /v1/runs/:runId/begin",
  effect: "write",
  scope: "work",
  fenced: false,
  because: "It makes the lease; a repeat with the same grantId finds its own.",
  input: z.strictObject({
    runId: RunId,
    grantId: GrantId,
    leaseMs: LeaseMs.optional(),
    workflow: Name.min(1).optional().describe("Refused when the run belongs to another."),
    version: Name.optional().describe("The worker's code version."),
    holder: Holder.optional(),
    resumeHint: ResumeHint.optional(),
    goneEpoch: z
      .int()
      .min(0)
      .optional()
      .describe("The caller has proof that the process holding this epoch is gone."),
  }),
  output: z.strictObject({
    outcome: z.enum(["begun", "completed"]),
    epoch: z.int(),
    leaseMs: z.int(),
    attempts: z.int().describe("Failures and lost workers before this begin."),
    workflow: z.string(),
    previousVersion: z.string().nullable(),
    input: StoredPayload,
    inputMeta: StoredPayload,
    result: StoredPayload,
    resultMeta: StoredPayload,
    ...JournalPage.shape,
    unfinished: unread(z.array(Unfinished)).describe(
      "Steps begun or failed before, at most 1,000.",
    ),
  }),
  errors: [
    "run_not_found",
    "run_leased",
    "run_in_queue",
    "run_cancelled",
    "run_erased",
    "workflow_mismatch",
  ],
  async run({ db, actor, limits, fail }, { runId, ...given }) {
    const row = await db.maybe(leases.begin, {
      ...given,
      runId,
      principal: principalOf(actor),
      machine: given.holder === undefined ? undefined : machineOf(given.holder),
      leaseMs: given.leaseMs ?? limits.leaseMs,
    });
    if (row === undefined) throw fail("run_not_found", { runId });
    const { outcome, epoch, leaseLeftMs, holder, workflow, queue, ...begun } = row;
    if (outcome === "run_in_queue") throw fail(outcome, { runId, queue });
    if (outcome === "run_leased") throw fail(outcome, { runId, epoch, leaseLeftMs, holder });
    if (outcome === "run_cancelled" || outcome === "run_erased") throw fail(outcome, { runId });
    if (outcome === "workflow_mismatch") throw fail(outcome, { runId, workflow });
    const payloads = await db.maybe(leases.payloadsAndUnfinished, { runId });
    const page = await readJournal(db, { runId, afterName: "", afterKey: "" });
    if (payloads === undefined || page === undefined) throw fail("run_not_found", { runId }); // a result whose time was over
    const { erased, ...shown } = page;
    if (erased) throw fail("run_erased", { runId });
    return { outcome, epoch, workflow, ...begun, ...payloads, ...shown };
  },
});

export const heartbeat = operation({
  name: "runs.heartbeat",
  summary: "Extend leases and learn which of them are lost.",
  route: "POST /v1/runs/heartbeat",
  effect: "write",
  scope: "work",
  fenced: true,
  because: "Only the holder may keep its lease alive.",
  input: z.strictObject({ items: z.array(Lease).min(1).max(1000) }),
  output: z.strictObject({
    results: z.array(z.strictObject({ outcome: z.enum(["held", ...REFUSALS]) })),
  }),
  errors: [],
  async run({ db }, { items }) {
    const rows = await db.batch(leases.heartbeat, items);
    return { results: rows.map(({ outcome }) => ({ outcome })) };
  },
});

/** The least between two looks of one watch, in milliseconds. */
const LOOK_MS = 250;

export const watchRuns = operation({
  name: "runs.watch",
  summary: "How leases stand; answers as soon as one of them is lost, or when the time is over.",
  route: "POST /v1/runs/watch",
  effect: "read",
  scope: "work",
  fenced: false,
  because: "It only tells; a heartbeat extends.",
  input: z.strictObject({
    items: z.array(Lease).min(1).max(1000),
    waitMs: z.int().min(0).max(30_000).default(0),
  }),
  output: z.strictObject({
    results: z.array(z.strictObject({ outcome: z.enum(["held", ...REFUSALS]) })),
  }),
  errors: [],
  async run({ db, signal, watch }, { items, waitMs }) {
    const until = performance.now() + waitMs;
    const changed = watch.runs(items.map(({ runId }) => runId));
    try {
      for (;;) {
        const rows = await db.batch(leases.leaseStatus, items);
        const leftMs = until - performance.now();
        const isOver = leftMs <= 0 || signal.aborted;
        if (isOver || rows.some(({ outcome }) => outcome !== "held"))
          return { results: rows.map(({ outcome }) => ({ outcome })) };
        const looked = performance.now();
        await changed.next(leftMs);
        // A run's own steps change it as well: the first change after a quiet time is looked at once, the rest together.
        const rest = Math.min(LOOK_MS - (performance.now() - looked), leftMs);
        if (rest > 0) await delay(rest, undefined, { signal }).catch(() => {});
      }
    } finally {
      changed.end();
    }
  },
});

export const releaseRun = operation({
  name: "runs.release",
  summary: "Hand the run back unfinished, without using an attempt.",
  route: "POST /v1/runs/:runId/release",
  effect: "write",
  scope: "work",
  fenced: true,
  because: "Only the holder may give its lease away.",
  input: z.strictObject({
    ...Lease.shape,
    reason: z.enum(["shutdown", "handed_back"]).default("handed_back"),
  }),
  output: z.strictObject({ outcome: z.literal("released") }),
  errors: REFUSALS,
  async run({ db, fail }, item) {
    const [row] = await db.batch(leases.release, [item]);
    if (row?.outcome !== "released")
      throw fail(row?.outcome ?? "run_not_found", { runId: item.runId });
    return { outcome: row.outcome };
  },
});

export const completeRuns = operation({
  name: "runs.complete",
  summary: "End runs with their results, any number of them in one commit.",
  route: "POST /v1/runs/complete",
  effect: "write",
  scope: "work",
  fenced: true,
  because: "Only the holder knows the result; a stale worker must not end the run.",
  input: z.strictObject({ items: z.array(RunCompletion).min(1).max(1000) }),
  output: z.strictObject({
    results: z.array(
      z.strictObject({ outcome: RunCompleteOutcome, limitBytes: z.int().optional() }),
    ),
  }),
  errors: [],
  async run({ db, limits }, { items }) {
    const kept = items.map(({ orphanedSteps, result, resultMeta, ...lease }) => {
      const texts = fittingTexts(result, resultMeta, limits);
      if (texts === undefined) return undefined;
      const orphaned = orphanedSteps.length === 0 ? undefined : orphanedSteps;
      return { ...lease, result: texts.value, resultMeta: texts.meta, orphaned };
    });
    const rows = await answersOf(kept, (fitting) => db.batch(leases.complete, fitting));
    return {
      results: rows.map((row) =>
        row === undefined
          ? { outcome: "result_too_large" as const, limitBytes: limits.payloadBytes }
          : { outcome: row.outcome },
      ),
    };
  },
});

export const failRun = operation({
  name: "runs.fail",
  summary:
    "End this attempt with its error; the run rests in `failed`, or goes back to its queue while attempts are left.",
  route: "POST /v1/runs/:runId/fail",
  effect: "write",
  scope: "work",
  fenced: true,
  because: "Only the holder knows that it failed.",
  input: z.strictObject({
    ...Lease.shape,
    error: RecordedError,
    failureClass: z
      .enum(["step_failed", "manual_review", "workflow_error"])
      .default("workflow_error"),
    retryable: z
      .boolean()
      .default(true)
      .describe("False: another attempt would fail the same way, so none is made."),
    orphanedSteps: OrphanedSteps,
  }),
  output: z.strictObject({
    outcome: z.literal("failed"),
    status: z.enum(["failed", "queued"]).describe("`queued`: another attempt follows."),
    failureClass: z
      .enum(FAILURE_CLASSES)
      .nullable()
      .describe("Null while another attempt follows."),
    attempts: z.int(),
    retryInMs: z.int().nullable(),
  }),
  errors: [...REFUSALS, "payload_too_large"],
  async run(context, { orphanedSteps, ...item }) {
    const { db, fail } = context;
    const error = payloadText(item.error);
    checkPayload("error", [error], context);
    const [row] = await db.batch(leases.fail, [
      {
        ...item,
        error,
        message: oneLine(item.error.message),
        orphaned: orphanedSteps.length === 0 ? undefined : orphanedSteps,
      },
    ]);
    if (row === undefined) throw fail("run_not_found", { runId: item.runId });
    if (!("failureClass" in row)) throw fail(row.outcome, { runId: item.runId });
    const { outcome, status, failureClass, attempts, retryInMs } = row;
    if (outcome !== "failed") throw fail(outcome, { runId: item.runId });
    return { outcome, status, failureClass, attempts, retryInMs };
  },
});
