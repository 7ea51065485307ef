import { afterAll, beforeAll, expect, test } from "vitest";
import { openConnections } from "../src/connections.ts";
import { openDatabase } from "../src/database.ts";
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

test("a transaction whose answer does not come is given up too: nothing stays locked, and nobody else gets its connection", async () => {
  const database = openDatabase({ databaseUrl: pooler.url, poolMax: 1, answerMs: 300 });
  const runId = await db.pending();
  const work = database.locked(runId, async (tx) => {
    pooler.swallow(true);
    return await tx.one(one, {});
  });
  await expect(work).rejects.toMatchObject({ code: "outcome_unknown" });
  pooler.swallow(false);
  const open =
    "select from pg_stat_activity where datname = current_database() and state like 'idle in transaction%'";
  const rows = async () => (await db.pool.query(open)).rowCount;
  await expect.poll(rows, { timeout: 5000 }).toBe(0); // Postgres itself would wait for ten seconds
  expect(await database.one(one, {})).toEqual({ one: 1 });
  await database.close();
});

test("Postgres gives a statement up before we do, so that no backend waits for nobody", async () => {
  const connections = openConnections({ databaseUrl: db.url, poolMax: 1, answerMs: 500 });
  const sleep = statement<object, object>("test.sleep")`select pg_sleep(60)`;
  await expect(connections.query(sleep, [])).rejects.toMatchObject({ code: "57014" });
  await connections.close();
});
