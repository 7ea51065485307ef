import { serve } from "@hono/node-server";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { InMemoryTransport } from "@modelcontextprotocol/sdk/inMemory.js";
import { ErrorCode, ResourceUpdatedNotificationSchema } from "@modelcontextprotocol/sdk/types.js";
import { type Backend, localBackend, remote } from "@tidebase/core";
import { afterAll, describe, expect, test, vi } from "vitest";
import { local, useDatabase } from "../../core/test/support/database.ts";
import { createApp } from "../../http-server/src/app.ts";
import { createServer } from "../src/adapter-v1.ts";
import type { StoreInfo } from "../src/connection.ts";
import { toolsFor } from "../src/tools/index.ts";
import { decide, openGate } from "./gate-support.ts";

const db = useDatabase();
const server = serve({ fetch: createApp(db.core).fetch, hostname: "127.0.0.1", port: 0 });
afterAll(() => new Promise((resolve) => server.close(resolve)));

const backends: Record<string, () => Backend> = {
  database: () => localBackend(db.core, local),
  server: () => remote({ url: `http://127.0.0.1:${(server.address() as { port: number }).port}` }),
};

interface Follower {
  readonly client: Client;
  /** The URIs told of, in order. */
  readonly told: string[];
  /** How many operations the server has executed. */
  asked(): number;
  /** So many notifications about the resource have come. */
  count(uri: string): number;
  subscribe(uri: string): Promise<unknown>;
}

/** A client of a server whose operations are counted on their way to the store. */
async function follower(kind = "database"): Promise<Follower> {
  const backend = (backends[kind] as () => Backend)();
  let asked = 0;
  const counting: Backend = {
    execute(operation, input) {
      asked += 1;
      return backend.execute(operation, input);
    },
    close: async () => {},
  };
  const store: StoreInfo = {
    kind: "database",
    foundBy: "TIDEBASE_DATABASE_URL",
    description: "the tests' store",
    access: "read_write",
    accessReason: "",
    passedOver: false,
    pageBase: undefined,
  };
  const opened = { backend: counting, store, close: async () => {} };
  const connection = { get: async () => opened, close: async () => {} };
  const ours = createServer({ tools: toolsFor({ readOnly: true }), connection, version: "0.0.0" });
  const client = new Client({ name: "test", version: "0.0.0" });
  const told: string[] = [];
  client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) => {
    told.push(params.uri);
  });
  const [near, far] = InMemoryTransport.createLinkedPair();
  await ours.connect(far);
  await client.connect(near);
  return {
    client,
    told,
    asked: () => asked,
    count: (uri) => told.filter((one) => one === uri).length,
    subscribe: (uri) => client.subscribeResource({ uri }),
  };
}

const uriOf = ({ runId }: { runId: string }): string => `tidebase://runs/${runId}`;
const change = (lease: object): Promise<unknown> =>
  db.call("state.write", { ...lease, kind: "set", value: 1 });

const until = (isSo: () => boolean): Promise<unknown> =>
  vi.waitUntil(isSo, { interval: 10, timeout: 10_000 });

/** Changes the run, and waits until the client has been told of it. */
async function seen({ count }: Follower, lease: { runId: string }): Promise<void> {
  const before = count(uriOf(lease));
  await change(lease);
  await until(() => count(uriOf(lease)) > before);
}

// Each waits for looks half a second apart: together they take no longer than one.
describe.concurrent.each(["database", "server"])("next to a %s", (kind) => {
  test("a change of a followed run is told soon, and no other run's", async () => {
    const agent = await follower(kind);
    const [one, other] = [await db.begun(), await db.begun()];
    await agent.subscribe(uriOf(one));
    await agent.subscribe(uriOf(one)); // again is the same
    await change(other);
    const since = performance.now();
    await seen(agent, one);
    expect(performance.now() - since).toBeLessThan(1500);
    await seen(agent, one);
    expect(agent.told).toEqual([uriOf(one), uriOf(one)]);
    await agent.client.close();
  });

  test("a gate's question and its decision are told, other events of its run are not", async () => {
    const agent = await follower(kind);
    const { gateId, runId, ask } = await openGate(db);
    const other = await ask({ key: "other" });
    const uri = `tidebase://gates/${gateId}`;
    await agent.subscribe(uri);
    const control = await db.begun();
    await agent.subscribe(uriOf(control));
    await db.call("signals.send", { runId, name: "hello" });
    await decide(db, other, "rejected");
    await seen(agent, control);
    await seen(agent, control);
    expect(agent.count(uri)).toBe(0);
    await ask({ prompt: "Send the corrected report?" });
    await until(() => agent.count(uri) === 1);
    await decide(db, gateId, "approved");
    await until(() => agent.count(uri) === 2);
    await agent.client.close();
  });
});

describe.concurrent.each(["database", "server"])(
  "beside a run that is gone, next to a %s",
  (kind) => {
    test("it is told of a last time, and those that were followed after it go on", async () => {
      const agent = await follower(kind);
      const gone = await db.begun();
      const { gateId, runId } = await openGate(db);
      const control = await db.begun();
      const gate = `tidebase://gates/${gateId}`;
      await agent.subscribe(uriOf(gone));
      await agent.subscribe(gate);
      await agent.subscribe(uriOf(control));
      for (const one of [gone.runId, runId])
        await db.pool.query("delete from tidebase.runs where run_id = $1", [one.slice(4)]);
      await until(() => agent.count(uriOf(gone)) === 1 && agent.count(gate) === 1);
      await seen(agent, control);
      await seen(agent, control);
      expect([agent.count(uriOf(gone)), agent.count(gate)]).toEqual([1, 1]);
      await agent.client.close();
    });
  },
);

test.concurrent("a hundred changes in a row are told in a few notifications, the last one included", async () => {
  const agent = await follower();
  const [busy, control] = [await db.begun(), await db.begun()];
  await agent.subscribe(uriOf(busy));
  await agent.subscribe(uriOf(control));
  const since = performance.now();
  for (let n = 0; n < 100; n++) await change(busy);
  await seen(agent, control); // a look that began after the last change
  await seen(agent, control);
  const most = Math.ceil((performance.now() - since) / 500) + 1;
  const told = agent.count(uriOf(busy));
  expect(told).toBeGreaterThanOrEqual(1);
  expect(told).toBeLessThanOrEqual(Math.min(most, 20));
  await seen(agent, control);
  expect(agent.count(uriOf(busy))).toBe(told);
  await agent.client.close();
});

test.concurrent("after unsubscribing nothing is told, and nothing is asked when nobody follows", async () => {
  const [agent, watcher] = [await follower(), await follower()];
  const [one, control] = [await db.begun(), await db.begun()];
  await watcher.subscribe(uriOf(control));
  await agent.subscribe(uriOf(one));
  await seen(agent, one);
  await agent.client.unsubscribeResource({ uri: uriOf(one) });
  await agent.client.unsubscribeResource({ uri: uriOf(one) });
  await seen(watcher, control); // a look that was under way is over by then
  await seen(watcher, control);
  const asked = agent.asked();
  await change(one);
  await seen(watcher, control);
  await seen(watcher, control);
  expect(agent.count(uriOf(one))).toBe(1);
  expect(agent.asked()).toBe(asked);
  await Promise.all([agent.client.close(), watcher.client.close()]);
});

test.concurrent("what is followed ends with the session, and at the end of the run", async () => {
  const [gone, agent, watcher] = [await follower(), await follower(), await follower()];
  const [one, control] = [await db.begun(), await db.begun()];
  for (const each of [gone, agent]) await each.subscribe(uriOf(one));
  await watcher.subscribe(uriOf(control));
  await gone.client.close();
  await db.complete(one, { result: null });
  await until(() => agent.count(uriOf(one)) === 1);
  await seen(watcher, control);
  const asked = [gone.asked(), agent.asked()];
  await seen(watcher, control);
  await seen(watcher, control);
  expect([gone.asked(), agent.asked()]).toEqual(asked);
  expect(gone.told).toEqual([]);
  await Promise.all([agent.client.close(), watcher.client.close()]);
});

test.concurrent("a client follows a hundred resources at most, and is told so", async () => {
  const agent = await follower();
  const runs = await Promise.all(Array.from({ length: 102 }, () => db.pending()));
  const [last = "", later = "", ...others] = runs.map((runId) => uriOf({ runId }));
  await Promise.all(others.map((uri) => agent.subscribe(uri)));
  await expect(agent.subscribe(last)).rejects.toMatchObject({
    code: ErrorCode.InvalidParams,
    message: expect.stringContaining("Unsubscribe from one first"),
    data: { code: "subscriptions_too_many", limit: 100 },
  });
  await agent.client.unsubscribeResource({ uri: others[0] ?? "" });
  await agent.subscribe(last);
  await expect(agent.subscribe(later)).rejects.toThrow();
  await db.call("runs.cancel", { runId: runs[0], dryRun: false }); // what is over makes room
  await vi.waitFor(() => agent.subscribe(later), { interval: 100, timeout: 10_000 });
  expect(agent.count(last)).toBe(1);
  await agent.client.close();
});

test.concurrent.each([
  ["tidebase://queues", ErrorCode.InvalidParams, "resource_not_followed"],
  ["tidebase://docs/errors", ErrorCode.InvalidParams, "resource_not_followed"],
  ["tidebase://runs/run_1", -32002, "resource_not_found"],
  ["tidebase://runs/run_00000000-0000-4000-8000-000000000000", -32002, "run_not_found"],
  ["tidebase://gates/gate_00000000-0000-4000-8000-000000000000", -32002, "gate_not_found"],
  ["tidebase://nothing/here", -32002, "resource_not_found"],
])("%s cannot be followed: %d %s", async (uri, code, named) => {
  const agent = await follower();
  await expect(agent.subscribe(uri)).rejects.toMatchObject({ code, data: { code: named } });
  await agent.client.close();
});
