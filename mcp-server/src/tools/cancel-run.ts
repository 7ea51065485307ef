import { cancelRun } from "@tidebase/core";
import { z } from "zod";
import { ask } from "../answers/plain.ts";
import { DESTRUCTIVE, tool } from "../tool.ts";
import { actFields, actInput, ofAct } from "./act-fields.ts";
import { isOwnRun } from "./gate-fields.ts";
import { Hints, Status } from "./run-fields.ts";

export const cancelRunTool = tool({
  name: "tidebase_cancel_run",
  title: "Cancel run",
  toolset: "ops",
  description:
    "How many runs below a run would end with it (descendants). A dry run unless dryRun is false; then all of them are cancelled for good. Ask the human first. With asOf = seq of the dry run it is refused when the run has moved; leave that out for a run that works on.",
  input: z.strictObject(actInput),
  output: z.object({
    ...actFields,
    status: Status.describe("Of the run after this call."),
    descendants: z.int().describe("Runs below this one that end with it."),
    hints: Hints,
  }),
  annotations: DESTRUCTIVE,
  async handler(act, { backend, ownRunId }) {
    const { runId, dryRun } = act;
    const done = await ask(backend, cancelRun, ofAct(act));
    const { status, already, seq, descendants } = done;
    const hints = [already ? ALREADY : dryRun ? PLANNED : DONE];
    if (dryRun && isOwnRun(runId, ownRunId)) hints.push("This is the run that you are executing.");
    return { runId, dryRun, applied: !dryRun && !already, status, seq, descendants, hints };
  },
});

const DONE =
  "Cancelled is final. A worker that holds the run learns it at its next write or heartbeat, and may clean up briefly.";

const ALREADY = "It was cancelled already. Nothing was changed.";
const PLANNED =
  "Nothing was changed. To act: dryRun false. Steps that already had effects are not undone.";
