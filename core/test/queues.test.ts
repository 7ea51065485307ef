import { expect, test } from "vitest";
import { newGrant, useDatabase } from "./support/database.ts";

const { advance, call, pool } = useDatabase();

async function enqueue(more: object = {}): Promise<Record<string, unknown>> {
  const item = { workflow: "report", input: { doc: 1 }, queue: "reports", ...more };
  const { results } = await call("runs.enqueue", { items: [item] });
  return (results as Record<string, unknown>[])[0] ?? {};
}

async function claim(queue: string, more: object = {}): Promise<Record<string, unknown>[]> {
  const { runs } = await call("queues.claim", { queue, grantId: newGrant(), ...more });
  return runs as Record<string, unknown>[];
}

test("an enqueued run is claimed once, with its input", async () => {
  const { runId } = await enqueue();
  const [grant, extra] = await claim("reports", { limit: 5 });
  expect(grant).toMatchObject({ runId, epoch: 1, input: { doc: 1 }, journal: [], attempts: 0 });
  expect(extra).toBeUndefined();
  expect(await claim("reports")).toEqual([]);
});
