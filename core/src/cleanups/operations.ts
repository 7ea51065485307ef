import { z } from "zod";
import { Lease } from "../leases/schema.ts";
import { operation } from "../operation.ts";
import { oneLine } from "../payload.ts";
import * as cleanups from "./sql.ts";

/*
 * begun → ended. Cancelled is final, so cleaning up is no state of the run: it is taken once, by the worker that held
 * the run, for as long as its grace lasts.
 */

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
    const row = await db.maybe(cleanups.begin, { ...lease, graceMs: GRACE_MS });
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
    const row = await db.maybe(cleanups.end, { ...lease, message });
    if (row === undefined) throw fail("run_not_found", { runId });
    if (row.outcome !== "ended") throw fail(row.outcome, { runId });
    return { outcome: row.outcome };
  },
});
