import { createKey, remote, type Scope, toJson } from "@tidebase/core";
import { afterAll, expect, test } from "vitest";
import { local, newGrant, operationNamed, useDatabase } from "../../core/test/support/database.ts";
import { randomOf, seedOf } from "../support/random.ts";
import { type ServerProcess, startServerProcess } from "../support/servers.ts";

const db = useDatabase();
const servers: ServerProcess[] = [];
afterAll(() => Promise.all(servers.map((server) => server.stop())));
const seed = seedOf();
const RUNS = 50;
const GATES_A_RUN = 20;
const DECIDERS = 20;
type Answer = Record<string, unknown>;
type Gate = { gateId: string; digest: string; status: string };

async function caller(url: string, name: string, scopes: Scope[]) {
  const { key } = await db.core.execute(createKey, { name, scopes }, local);
  const backend = remote({ url, apiKey: key });
  return async (operation: string, input: object): Promise<Answer> =>
    JSON.parse(toJson(await backend.execute(operationNamed(operation), input)));
}

test(`a thousand gates, twenty racing deciders each over two servers: one decision and one event (seed ${seed})`, async () => {
  console.log(`seed ${seed}`);
  const random = randomOf(seed);
  servers.push(await startServerProcess(db.url), await startServerProcess(db.url));
  const urls = servers.map(({ url }) => url) as [string, string];
  const worker = await caller(urls[0], "worker", ["read", "work", "enqueue"]);
  const deciders = await Promise.all(
    Array.from({ length: DECIDERS }, (_, n) =>
      caller(urls[n % 2] as string, `decider ${n}`, ["read", "approve"]),
    ),
  );
  let decided = 0;
  for (let n = 0; n < RUNS; n++) {
    const { runId } = await worker("runs.create", { workflow: "asks" });
    const grantId = newGrant();
    const { epoch } = await worker("runs.begin", { runId, grantId, leaseMs: 3_600_000 });
    for (let k = 0; k < GATES_A_RUN; k++) {
      const question = { name: "g", key: `${k}`, prompt: "May I?" };
      const { gate } = await worker("gates.open", { runId, epoch, grantId, ...question });
      const { gateId, digest } = gate as Gate;
      const outcomes = await Promise.all(
        deciders.map(async (decide) => {
          const decision = random(2) === 0 ? "approved" : "rejected";
          try {
            const answer = await decide("gates.resolve", { gateId, digest, decision });
            return { decision, status: (answer["gate"] as Gate).status, gate: answer["gate"] };
          } catch (error) {
            const { code, data } = error as { code: string; data: { gateStatus: string } };
            return { decision, status: data.gateStatus, code };
          }
        }),
      );
      const winner = outcomes[0]?.status;
      expect(winner).toMatch(/^(approved|rejected)$/);
      for (const { decision, status, code } of outcomes) {
        expect(status).toBe(winner);
        expect(code).toBe(decision === winner ? undefined : "gate_already_resolved");
      }
      const seen = [];
      for (const decide of deciders.slice(0, 2))
        seen.push((await decide("gates.get", { gateId }))["gate"]);
      expect(seen[0]).toEqual(seen[1]);
      for (const { gate: told } of outcomes) if (told !== undefined) expect(told).toEqual(seen[0]);
      decided++;
    }
    const { events } = await worker("events.list", { runId, types: ["gate.resolved"] });
    expect(events).toHaveLength(GATES_A_RUN);
  }
  expect(decided).toBe(RUNS * GATES_A_RUN);
});
