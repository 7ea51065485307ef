import { enqueueRuns, getQueue, TidebaseError } from "@tidebase/core";
import { z } from "zod";
import { ask } from "../answers/plain.ts";
import { type ToolContext, tool, WRITE } from "../tool.ts";
import { isUnknown, QueueName, UNKNOWN } from "./queue-fields.ts";
import { Hints, JsonObject, Name, optional, Status } from "./run-fields.ts";

export const enqueueRunTool = tool({
  name: "tidebase_enqueue_run",
  title: "Enqueue run",
  toolset: "start",
  description:
    "The id of a run put into a queue for its workers: it starts real work, so ask the human first. The same idempotencyKey finds the run of an earlier call; an active run of the dedupeKey is answered instead of a new one.",
  input: z.strictObject({
    workflow: Name,
    queue: QueueName.default("default"),
    input: JsonObject.optional(),
    idempotencyKey: Name.optional(),
    dedupeKey: Name.optional(),
    delayMs: z.int().min(0).optional(),
  }),
  output: z.object({
    runId: z.string(),
    status: Status,
    outcome: z.enum(["created", "existing", "deduplicated"]),
    hints: Hints,
  }),
  annotations: { ...WRITE, idempotentHint: false },
  async handler(given, context) {
    const { results } = await ask(context.backend, enqueueRuns, { items: [given] });
    const { runId, status, outcome = "input_refused", differs } = results[0] ?? {};
    if (outcome === "input_refused" || outcome === "idempotency_conflict")
      throw new TidebaseError(outcome, {
        ...optional("runId", runId),
        ...optional("differs", differs),
      });
    return { runId, status, outcome, ...optional("hints", await hintsFor(given.queue, context)) };
  },
});

/** Why the run may wait longer than expected. It is there already: whoever may not look at the queue is told less, and no error. */
async function hintsFor(name: string, { backend }: ToolContext): Promise<string[]> {
  const hints = ["tidebase_wait_for_run waits for its end."];
  const found = await ask(backend, getQueue, { queue: name }).catch(() => undefined);
  if (found === undefined) return hints;
  const { queue } = found;
  if (isUnknown(queue)) hints.push(UNKNOWN);
  if (queue.pausedAt !== null) hints.push("The queue is paused: nothing is claimed.");
  if (queue.workers === 0 && queue.webhook === null)
    hints.push("No worker asked this queue for work within a minute: start one.");
  return hints;
}
