import { expect, test } from "vitest";
import { openCore, operations } from "../src/index.ts";
import { local, useDatabase } from "./support/database.ts";

const db = useDatabase();

/** The transactions that wrote what now stands in the run's row and in its events after `seq`. */
async function transactions(runId: string, seq: number): Promise<number> {
  const text = `select count(distinct x)::int as n from (
      select xmin::text as x from tidebase.runs where run_id = $1
      union all select xmin::text from tidebase.events where run_id = $1 and seq > $2
      union all select s.xmin::text from tidebase.steps s join tidebase.events e using (run_id)
        where run_id = $1 and e.seq > $2 and e.data ->> 'name' = s.name and e.data ->> 'key' = s.key
    ) written`;
  return (await db.pool.query(text, [runId.slice(4), seq])).rows[0].n;
}

test("a step is one commit, begun before or not, and so is a batch of a hundred", async () => {
  const lease = await db.begun();
  const items = (...names: string[]) => ({
    items: names.map((name) => ({ ...lease, name, output: 1 })),
  });
  const cost = async (name: string, input: object, events: number) => {
    const { lastSeq } = await db.call("events.list", { runId: lease.runId });
    await db.call(name, input);
    const after = await db.call("events.list", { runId: lease.runId });
    expect(after["lastSeq"]).toBe(Number(lastSeq) + events);
    return transactions(lease.runId, Number(lastSeq));
  };
  expect(await cost("steps.complete", items("a"), 1)).toBe(1);
  expect(await cost("steps.begin", { items: [{ ...lease, name: "b" }] }, 1)).toBe(1);
  expect(await cost("steps.complete", items("b"), 1)).toBe(1);
  const hundred = Array.from({ length: 100 }, (_, n) => `s${n}`);
  expect(await cost("steps.complete", items(...hundred), 100)).toBe(1);
  expect(await cost("state.write", { ...lease, kind: "patch", value: { n: 1 } }, 1)).toBe(1);
});

test("whatever only looks works on a connection that may not write", async () => {
  const lease = await db.begun();
  const reader = openCore({ databaseUrl: db.url, readOnly: true });
  const inputs: Record<string, object> = {
    "steps.get": { name: "s", key: "0" },
    "state.diff": { from: 1, to: 1 },
    "runs.list": {},
    "runs.watch": { items: [lease] },
    "queues.get": { queue: "q" },
    "runs.overview": {},
    "keys.list": {},
    "schedules.get": { name: "nightly" },
    "schedules.fires": { name: "nightly" },
    "audit.list": {},
  };
  await db.call("steps.complete", { items: [{ ...lease, name: "s", key: "0", output: 1 }] });
  await db.call("state.write", { ...lease, kind: "set", value: 1 });
  const { gateId } = await db.gate(lease);
  await db.call("schedules.put", { name: "nightly", workflow: "w", cron: "0 3 * * *" });
  for (const operation of operations.filter(({ effect }) => effect === "read"))
    await reader.execute(
      operation,
      {
        ...("runId" in operation.input.shape && { runId: lease.runId }),
        ...("gateId" in operation.input.shape && { gateId }),
        ...inputs[operation.name],
      },
      local,
    );
  await reader.close();
});

test("the updates of steps and heartbeats are HOT: they touch no index", async () => {
  const lease = await db.begun();
  const updates = async () => {
    const text = `select n_tup_upd::int as all, n_tup_hot_upd::int as hot from pg_stat_xact_all_tables
      where relid = 'tidebase.runs'::regclass`;
    return (await client.query(text)).rows[0];
  };
  const client = await db.pool.connect();
  await client.query("begin");
  const { complete } = await import("../src/steps/sql.ts");
  const { bindItems } = await import("../src/statement.ts");
  for (let n = 0; n < 50; n++) {
    const item = {
      ...lease,
      name: "s",
      key: String(n),
      attempt: 1,
      onUnknown: "failed_retryable",
      output: 1,
    };
    await client.query(complete.text, bindItems(complete.parameters, [item]));
  }
  const { all, hot } = await updates();
  await client.query("rollback");
  client.release();
  expect(all).toBe(50);
  expect(hot / all).toBeGreaterThan(0.9);
});
