import { randomInt, randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { LOCAL, openCore, operations, TidebaseError } from "@tidebase/core";

/*
 * Four claimers in one process, `claimer <databaseUrl> <queues>`: each claims from a queue at random, works for some
 * milliseconds and ends what it holds in one of the ways there are, until it is killed.
 */

interface Grant {
  readonly runId: string;
  readonly epoch: number;
}

const CLAIMERS = 4;
const [databaseUrl = "", queues = "1"] = process.argv.slice(2);
const core = openCore({ databaseUrl, sweeps: false, poolMax: CLAIMERS });

function execute(name: string, input: object): Promise<Record<string, unknown>> {
  const operation = operations.find((one) => one.name === name);
  if (operation === undefined) throw new Error(`No operation ${name}.`);
  return core.execute(operation, input, LOCAL);
}

/** Most runs are completed; some fail, are handed back or are given up without a word. */
async function end(lease: object): Promise<void> {
  const choice = randomInt(20);
  if (choice === 0) return;
  if (choice <= 2) await execute("runs.fail", { ...lease, error: { message: "unlucky" } });
  else if (choice <= 4) await execute("runs.release", lease);
  else await complete(lease);
}

async function complete(lease: object): Promise<void> {
  const { results } = await execute("runs.complete", { items: [lease] });
  const [answer] = results as { outcome: string }[];
  if (answer?.outcome !== "completed" && answer?.outcome !== "lease_lost")
    throw new Error(`The end of a run was answered with ${answer?.outcome}.`);
}

async function claimOnce(): Promise<void> {
  const grantId = `grant_${randomUUID()}`;
  const queue = `q${randomInt(Number(queues))}`;
  const limit = randomInt(1, 6);
  const { runs } = await execute("queues.claim", { queue, grantId, limit, leaseMs: 1500 });
  await sleep(randomInt(15));
  for (const { runId, epoch } of runs as Grant[]) await end({ runId, epoch, grantId });
}

async function claimForEver(): Promise<never> {
  for (;;) {
    try {
      await claimOnce();
    } catch (error) {
      const isLost = error instanceof TidebaseError && error.code === "lease_lost";
      if (!isLost) throw error; // whatever else is told to who started this process
    }
  }
}

await Promise.all(Array.from({ length: CLAIMERS }, claimForEver));
