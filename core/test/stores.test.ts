import { expect, test } from "vitest";
import { migrate, openCore, pendingMigrations, toJson } from "../src/index.ts";
import { completing, local, newGrant, operationNamed, useDatabase } from "./support/database.ts";

const db = useDatabase();

test("two stores in one database do not see each other", async () => {
  const schema = "another_team";
  expect(await pendingMigrations({ databaseUrl: db.url, schema })).not.toEqual([]);
  await migrate({ databaseUrl: db.url, schema });
  const other = openCore({
    databaseUrl: db.url,
    schema,
    checkAnswers: true,
    sweepEveryMs: 20,
    sweepGraceMs: 0,
  });
  const call = async (name: string, input: object) =>
    JSON.parse(toJson(await other.execute(operationNamed(name), input, local)));

  const here = await db.begun();
  await expect(call("runs.get", { runId: here.runId })).rejects.toMatchObject({
    code: "run_not_found",
  });
  const { runId } = await call("runs.create", { workflow: "theirs", idempotencyKey: "k" });
  await expect(db.call("runs.get", { runId })).rejects.toMatchObject({ code: "run_not_found" });
  expect(await db.call("runs.create", { workflow: "theirs", idempotencyKey: "k" })).toMatchObject({
    created: true,
  });

  const grantId = newGrant();
  const { epoch } = await call("runs.begin", { runId, grantId });
  const lease = { runId, epoch, grantId };
  await call("steps.complete", { items: [{ ...lease, name: "s", output: 1 }] });
  await call("state.write", { ...lease, kind: "set", value: 1 });
  expect(await completing(call)(lease)).toEqual({ outcome: "completed" });
  expect((await call("runs.list", {})).runs).toHaveLength(1);

  await db.advance("2 minutes");
  await call("runs.create", { workflow: "theirs" });
  await expect.poll(async () => (await other.status()).sweeps[0]?.lastRunAt).not.toBeNull();
  expect(await db.call("runs.get", { runId: here.runId })).toMatchObject({
    run: { status: "running" },
  });
  await other.close();
});

test("the views are the store's stable face", async () => {
  const lease = await db.begun();
  await db.call("steps.complete", { items: [{ ...lease, name: "s", key: "1", output: { a: 1 } }] });
  await db.complete(lease, { result: "done" });
  const rows = async (view: string, columns: string) =>
    (
      await db.pool.query(`select ${columns} from tidebase.${view} where run_id = $1 order by 1`, [
        lease.runId,
      ])
    ).rows;
  expect(await rows("run_view", "workflow, status, result")).toEqual([
    { workflow: "test", status: "completed", result: '"done"' },
  ]);
  expect(await rows("step_view", "name, key, status, output")).toEqual([
    { name: "s", key: "1", status: "completed", output: '{"a":1}' },
  ]);
  expect(await rows("event_view", "seq::int, type")).toEqual([
    { seq: 1, type: "run.created" },
    { seq: 2, type: "run.begun" },
    { seq: 3, type: "step.completed" },
    { seq: 4, type: "run.completed" },
  ]);
});
