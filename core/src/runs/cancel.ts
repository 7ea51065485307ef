import { z } from "zod";
import { Lease, REFUSALS } from "../leases/schema.ts";
import { operation } from "../operation.ts";
import { oneLine } from "../payload.ts";
import { AsOf } from "../recovery/schema.ts";
import * as sql from "./cancel-sql.ts";
import { cascade } from "./cascade.ts";
import { DeadlineMs } from "./creation.ts";
import { RunId, Status } from "./schema.ts";

/*
 * Cancelled is final and comes from any state but `completed`. The row says so at once; its worker learns
 * it from `runs.watch`, its next write or its next heartbeat, and may then clean up once, within a grace.
 */

export const cancelRun = operation({
  name: "runs.cancel",
  summary: "Cancel a run and the children that are not detached; a dry run says what that reaches.",
  route: "POST /v1/runs/:runId/cancel",
  effect: "destroy",
  scope: "operate",
  fenced: false,
  because: "An operator's act; it ends whatever lease there is.",
  input: z.strictObject({
    runId: RunId,
    reason: z.string().min(1).max(2000).default("cancelled"),
    dryRun: z.boolean().default(false),
    asOf: AsOf,
  }),
  output: z.strictObject({
    dryRun: z.boolean(),
    status: Status.describe("Of the run after this call."),
    seq: z.int().describe("Send it back as `asOf` to act on exactly this."),
    descendants: z.int().describe("Runs below this one that end with it."),
  }),
  errors: ["run_not_found", "run_completed", "run_changed"],
  async run({ db, actor, fail }, { runId, reason, dryRun, asOf }) {
    if (dryRun) {
      const found = await db.maybe(sql.reach, { runId });
      if (found === undefined) throw fail("run_not_found", { runId });
      if (found.status === "completed") throw fail("run_completed", { runId, seq: found.seq });
      return { dryRun, ...found };
    }
    const cancellation = { runId, reason: oneLine(reason), actor: actor.name, asOf };
    const [row] = await db.batch(sql.cancel, [cancellation]);
    if (row === undefined || !("seq" in row)) throw fail("run_not_found", { runId });
    if (row.outcome !== "cancelled") throw fail(row.outcome, { runId, seq: row.seq });
    const { reached } = await cascade(db, runId, actor.name);
    return { dryRun, status: row.outcome, seq: row.seq ?? 0, descendants: reached.length };
  },
});

export const setDeadline = operation({
  name: "runs.deadline",
  summary: "Give a run another deadline, or none.",
  route: "POST /v1/runs/:runId/deadline",
  effect: "write",
  scope: "work",
  fenced: false,
  because: "Its holder may, with the lease; anybody else needs the scope `operate`.",
  input: z
    .strictObject({
      runId: RunId,
      deadlineMs: DeadlineMs.nullable().describe("From now; null: no deadline."),
      epoch: Lease.shape.epoch.optional(),
      grantId: Lease.shape.grantId.optional(),
    })
    .refine(
      ({ epoch, grantId }) => (epoch === undefined) === (grantId === undefined),
      "takes epoch and grantId together",
    ),
  output: z.strictObject({ deadlineAt: z.iso.datetime().nullable() }),
  errors: ["run_not_found", "run_completed", "run_cancelled", "lease_lost", "scope_missing"],
  async run({ db, actor, fail }, given) {
    const { runId, grantId } = given;
    if (grantId === undefined && !actor.scopes.includes("operate"))
      throw fail("scope_missing", { scope: "operate" });
    const row = await db.maybe(sql.setDeadline, { ...given, actor: actor.name });
    if (row === undefined) throw fail("run_not_found", { runId });
    if (row.outcome !== "set") throw fail(row.outcome, { runId });
    return { deadlineAt: row.deadlineAt };
  },
});

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
        const rows = await db.batch(sql.leaseStatus, items);
        const leftMs = until - performance.now();
        const isOver = leftMs <= 0 || signal?.aborted === true;
        if (isOver || rows.some(({ outcome }) => outcome !== "held"))
          return { results: rows.map(({ outcome }) => ({ outcome })) };
        await changed.next(leftMs);
      }
    } finally {
      changed.end();
    }
  },
});

const GRACE_MS = 30_000;

export const beginCleanup = operation({
  name: "cleanups.begin",
  summary: "Take the grace in which a cancelled run's last worker may clean up, once.",
  route: "POST /v1/runs/:runId/cleanup",
  effect: "write",
  scope: "work",
  fenced: false,
  because: "The lease is over; only the grant that held the run when it was cancelled is heard.",
  input: Lease,
  output: z.strictObject({ graceMs: z.int().describe("What is left of it.") }),
  errors: ["run_not_found", "run_not_cancelled", "lease_lost", "cleanup_over"],
  async run({ db, fail }, lease) {
    const { runId } = lease;
    const row = await db.maybe(sql.beginCleanup, { ...lease, graceMs: GRACE_MS });
    if (row === undefined) throw fail("run_not_found", { runId });
    if (row.outcome !== "begun") throw fail(row.outcome, { runId });
    return { graceMs: Math.max(0, row.leftMs ?? 0) };
  },
});

export const endCleanup = operation({
  name: "cleanups.end",
  summary: "Record how the clean-up of a cancelled run ended.",
  route: "POST /v1/runs/:runId/cleanup/end",
  effect: "write",
  scope: "work",
  fenced: false,
  because: "Only the grant that held the run when it was cancelled is heard.",
  input: Lease.extend({
    error: z.string().max(2000).optional().describe("What it failed with."),
  }),
  output: z.strictObject({ outcome: z.literal("ended") }),
  errors: ["run_not_found", "lease_lost", "cleanup_over"],
  async run({ db, fail }, { error, ...lease }) {
    const { runId } = lease;
    const message = error === undefined ? undefined : oneLine(error);
    const row = await db.maybe(sql.endCleanup, { ...lease, message });
    if (row === undefined) throw fail("run_not_found", { runId });
    if (row.outcome !== "ended") throw fail(row.outcome, { runId });
    return { outcome: row.outcome };
  },
});
