import { createPlain, enqueue, type Once, repeated, withClient } from "./client.ts";
import { paced, pause, percent } from "./pace.ts";
import type { Load, Workload } from "./workload.ts";

const PER_SECOND = 2;

/** Runs that are cancelled in all their states, by several at once, or whose deadline passes. */
export const cancels: Workload = {
  id: "W5",
  title: "cancel and deadline storm",
  drive: (load) =>
    withClient(load, load.world.keys.worker, (once) =>
      paced(load, PER_SECOND, () => one(load, once)),
    ),
};

async function one(load: Load, once: Once): Promise<void> {
  const ends = percent(load, 40) ? { deadlineMs: 200 + load.random(2500) } : {};
  const content = { workflow: "storm", input: { ms: 50 + load.random(350) }, ...ends };
  const runId = percent(load, 25)
    ? await createPlain(load, once, content)
    : (await enqueue(load, once, { ...content, maxAttempts: 10 }))?.runId;
  if (runId === undefined || "deadlineMs" in ends) return;
  await pause(load, load.random(2500));
  await Promise.all(Array.from({ length: 1 + load.random(3) }, () => cancel(load, once, runId)));
}

async function cancel(load: Load, once: Once, runId: string): Promise<void> {
  await repeated(load, { f: "runs.cancel", key: runId }, async () => {
    const { status, already } = await once("runs.cancel", { runId, reason: "storm" });
    return { status, already };
  });
}
