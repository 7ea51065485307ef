import { z } from "zod";
import { Lease } from "../leases/schema.ts";
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
    already: z.boolean().describe("It was cancelled before this call, which changes nothing."),
    seq: z.int().describe("Send it back as `asOf` to act on exactly this."),
    descendants: z.int().describe("Runs below this one that end with it; told up to 10,000."),
  }),
  errors: ["run_not_found", "run_completed", "run_changed"],
  async run({ db, actor, touched, fail }, { runId, reason, dryRun, asOf }) {
    const found = await db.maybe(sql.reach, { runId });
    if (found === undefined) throw fail("run_not_found", { runId });
    const { descendants } = found;
    if (dryRun) {
      if (found.status === "completed") throw fail("run_completed", { runId, seq: found.seq });
      return { dryRun, already: found.status === "cancelled", ...found };
    }
    const cancellation = { runId, reason: oneLine(reason), actor: actor.name, asOf };
    const [row] = await db.batch(sql.cancel, [cancellation]);
    if (row === undefined || !("seq" in row)) throw fail("run_not_found", { runId });
    if (row.outcome !== "cancelled") throw fail(row.outcome, { runId, seq: row.seq });
    const { reached } = await cascade(db, runId, actor.name);
    touched(reached);
    const already = row.status === "cancelled"; // as it was found under the lock
    return { dryRun, status: row.outcome, already, seq: row.seq ?? 0, descendants };
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
