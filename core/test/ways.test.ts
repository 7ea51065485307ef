import { afterAll, beforeAll, expect, test } from "vitest";
import { openConnections } from "../src/connections.ts";
import { openCore, toJson } from "../src/index.ts";
import { statement } from "../src/statement.ts";
import { local, newGrant, operationNamed, useDatabase } from "./support/database.ts";
import { openPooler, type Pooler } from "./support/pooler.ts";

const db = useDatabase();
let pooler: Pooler;
beforeAll(async () => {
  pooler = await openPooler(db.url);
});
afterAll(() => pooler.close());

const one = statement<object, { one: number }>("test.one")`select 1 as one`;

test("behind a pooler a cap holds in a database whose transactions are repeatable read by default", async () => {
  const name = new URL(db.url).pathname.slice(1);
  await db.pool.query(
    `alter database ${name} set default_transaction_isolation = 'repeatable read'`,
  );
  const queue = "capped";
  await db.call("queues.update", { queue, concurrency: 1 });
  const workflows = ["a", "b", "c"]; // each claim finds a run of its own: no row makes them collide
  const items = workflows.map((workflow) => ({ workflow, queue }));
  await db.call("runs.enqueue", { items });
  const core = openCore({ databaseUrl: pooler.url, sweeps: false });
  const holder = await db.pool.connect();
  await holder.query("begin isolation level read committed");
  await holder.query("select from tidebase.queues where queue = $1 for update", [queue]);
  const claims = workflows.map((workflow) =>
    core.execute(
      operationNamed("queues.claim"),
      { queue, grantId: newGrant(), limit: 1, workflows: [workflow] },
      local,
    ),
  );
  await db.blocked(3);
  await holder.query("commit");
  holder.release();
  const granted = (await Promise.all(claims)).map((answer) => JSON.parse(toJson(answer)).runs);
  expect(granted.flat()).toHaveLength(1);
  await core.close();
});

test("a connection whose answer does not come is given up, and the next call gets another", async () => {
  const connections = openConnections({ databaseUrl: pooler.url, poolMax: 1, answerMs: 300 });
  const ask = () => connections.query(one, []);
  expect(await ask()).toEqual([{ one: 1 }]);
  pooler.swallow(true);
  await expect(ask()).rejects.toThrow("timeout");
  pooler.swallow(false);
  expect(await ask()).toEqual([{ one: 1 }]);
  await connections.close();
});

test("a transaction whose answer does not come leaves nothing locked for long", async () => {
  const connections = openConnections({ databaseUrl: pooler.url, poolMax: 1, answerMs: 300 });
  const runId = await db.pending();
  const work = connections.locked([runId.slice(4)], async (query) => {
    pooler.swallow(true);
    return await query(one, []);
  });
  await expect(work).rejects.toThrow("timeout");
  pooler.swallow(false);
  expect(await db.call("runs.cancel", { runId })).toMatchObject({ status: "cancelled" });
  await connections.close();
});
