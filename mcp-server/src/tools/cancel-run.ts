import { cancelRun } from "@tidebase/core";
import { z } from "zod";
import { ask } from "../answers/plain.ts";
import { tool } from "../tool.ts";
import { isOwnRun } from "./gate-fields.ts";
import { AsOf, Hints, Reason, RunId, Status } from "./run-fields.ts";

export const cancelRunTool = tool({
  name: "tidebase_cancel_run",
  title: "Cancel run",
  toolset: "ops",
  description:
    "How many runs below a run would end with it (descendants). A dry run unless dryRun is false; then all of them are cancelled for good. Ask the human first. With asOf = seq of the dry run it is refused when the run has moved; leave that out for a run that works on.",
  input: z.strictObject({
    runId: RunId,
    dryRun: z.boolean().default(true),
    asOf: AsOf,
    reason: Reason,
  }),
  output: z.object({
    runId: z.string(),
    dryRun: z.boolean(),
    applied: z.boolean(),
    status: Status.describe("Of the run after this call."),
    seq: z.int().describe("Send it as asOf to act on exactly this."),
    descendants: z.int().describe("Runs below this one that end with it."),
    hints: Hints,
  }),
  annotations: {
    readOnlyHint: false,
    destructiveHint: true,
    idempotentHint: true,
    openWorldHint: false,
  },
  async handler({ runId, dryRun, asOf, reason }, { backend, ownRunId }) {
    const answer = await ask(backend, cancelRun, {
      runId,
      dryRun,
      ...(asOf === undefined ? {} : { asOf }),
      ...(reason === undefined ? {} : { reason }),
    });
    const { status, seq, descendants } = answer;
    const hints = dryRun ? [planned(status)] : [DONE];
    if (dryRun && isOwnRun(runId, ownRunId)) hints.push("This is the run that you are executing.");
    return { runId, dryRun, applied: !dryRun, status, seq, descendants, hints };
  },
});

const DONE =
  "Cancelled is final. A worker that holds the run learns it at its next write or heartbeat, and may clean up briefly.";

function planned(status: string): string {
  return status === "cancelled"
    ? "It is cancelled already."
    : "Nothing was changed. To act: dryRun false. Steps that already had effects are not undone.";
}
