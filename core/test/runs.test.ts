import { expect, test } from "vitest";
import { hash } from "../src/runs/identity.ts";
import * as runs from "../src/runs/sql.ts";
import { bind } from "../src/statement.ts";
import { untilBlocked, useDatabase } from "./support/database.ts";

const db = useDatabase();

test("the same idempotency key finds the same run, whatever the order of the input's members", async () => {
  const first = await db.call("runs.create", {
    workflow: "w",
    idempotencyKey: "k",
    input: { a: 1, b: 2 },
  });
  const second = await db.call("runs.create", {
    workflow: "w",
    idempotencyKey: "k",
    input: { b: 2, a: 1 },
  });
  expect(second).toMatchObject({ runId: first["runId"], created: false });
});

test("the same idempotency key with another input is a conflict that names the run", async () => {
  const { runId } = await db.call("runs.create", { workflow: "w", idempotencyKey: "c", input: 1 });
  const second = db.call("runs.create", { workflow: "w", idempotencyKey: "c", input: 2 });
  await expect(second).rejects.toMatchObject({
    code: "idempotency_conflict",
    data: { runId, differs: ["input"] },
  });
});

test("a creation that lost the race for its key finds the winner", async () => {
  const rival = await db.pool.connect();
  await rival.query("begin");
  const body = { input: 1, inputMeta: undefined, metadata: undefined, tags: [] };
  const given = {
    named: false,
    workflow: "w",
    idempotencyKey: "race",
    maxSteps: 10,
    actor: "local",
    webhooks: [],
  };
  const input = { ...body, ...given, bodyHash: hash(body) };
  const runId = "run_00000000-0000-7000-8000-000000000001";
  await rival.query(runs.create.text, bind(runs.create.parameters, { ...input, runId }));
  const loser = db.call("runs.create", { workflow: "w", idempotencyKey: "race", input: 1 });
  await untilBlocked(db.pool, "runs.create");
  await rival.query("commit");
  rival.release();
  expect(await loser).toMatchObject({ runId, created: false });
});

test("a run that the caller named is created once, and refused with another body", async () => {
  const runId = "run_00000000-0000-7000-8000-00000000abcd";
  const create = (input: unknown) => db.call("runs.create", { workflow: "w", runId, input });
  expect(await create([1])).toEqual({ runId, created: true, status: "pending" });
  expect(await create([1])).toEqual({ runId, created: false, status: "pending" });
  await expect(create([2])).rejects.toMatchObject({ code: "idempotency_conflict" });
});

test("an id and a key that belong to two runs are a conflict", async () => {
  const runId = await db.pending();
  await db.call("runs.create", { workflow: "w", idempotencyKey: "elsewhere" });
  const both = db.call("runs.create", { workflow: "w", runId, idempotencyKey: "elsewhere" });
  await expect(both).rejects.toMatchObject({ code: "idempotency_conflict" });
});

test("an input larger than the store takes is refused with its size and the limit", async () => {
  const create = db.call("runs.create", { workflow: "w", input: "x".repeat(1_048_576) });
  await expect(create).rejects.toMatchObject({
    code: "payload_too_large",
    data: { field: "input", bytes: 1_048_578, limitBytes: 1_048_576 },
  });
});

test("an input and what the SDK says of it share one limit", async () => {
  const half = "x".repeat(600_000);
  await expect(
    db.call("runs.create", { workflow: "w", input: half, inputMeta: half }),
  ).rejects.toMatchObject({
    code: "payload_too_large",
    data: { field: "input", bytes: 1_200_004, limitBytes: 1_048_576 },
  });
});

test("input, metadata and tags come back as they were given", async () => {
  const given = {
    input: { z: 1, a: "\u0000 \ud800" },
    metadata: JSON.parse('{"__proto__":{"a":1},"team":"x"}'),
    tags: ["b", "a", "b"],
  };
  const { runId } = await db.call("runs.create", { workflow: "w", ...given });
  const found = await db.call("runs.get", { runId, include: ["input"] });
  expect(found).toMatchObject({
    input: given.input,
    run: { metadata: given.metadata, tags: ["a", "b"] },
  });
  expect(JSON.stringify(found["input"])).toBe(JSON.stringify(given.input));
  expect(JSON.stringify(found["run"])).toContain('"metadata":{"__proto__":{"a":1},"team":"x"}');
});

test("the list pages through its filters, newest first, each run once", async () => {
  const made: string[] = [];
  for (let n = 0; n < 7; n++) {
    const tags = n % 2 === 0 ? ["even"] : [];
    made.push(String((await db.call("runs.create", { workflow: "listed", tags }))["runId"]));
  }
  const seen: string[] = [];
  let cursor: string | undefined;
  do {
    const page = await db.call("runs.list", { workflow: "listed", tag: "even", limit: 2, cursor });
    seen.push(...(page["runs"] as { runId: string }[]).map(({ runId }) => runId));
    cursor = (page["nextCursor"] as string | null) ?? undefined;
  } while (cursor !== undefined);
  expect(seen).toEqual(made.filter((_, n) => n % 2 === 0).reverse());
});

test("a cursor of another filter is refused, and so is one that is none", async () => {
  for (let n = 0; n < 2; n++) await db.call("runs.create", { workflow: "cursors" });
  const { nextCursor } = await db.call("runs.list", { workflow: "cursors", limit: 1 });
  for (const input of [
    { workflow: "other", cursor: nextCursor },
    { cursor: "bm9wZQ" },
    { cursor: "%" },
  ])
    await expect(db.call("runs.list", input)).rejects.toMatchObject({ code: "cursor_invalid" });
});

test("the list finds runs by status, failure class, key, time and the text of their error", async () => {
  const { runId, ...lease } = await db.begun();
  await db.call("runs.fail", { runId, ...lease, error: { message: "The Sky is Falling" } });
  const { runId: keyed } = await db.call("runs.create", {
    workflow: "w",
    idempotencyKey: "find me",
  });
  const ids = async (filter: object) =>
    ((await db.call("runs.list", filter))["runs"] as { runId: string }[]).map((run) => run.runId);
  expect(await ids({ search: "sky is" })).toEqual([runId]);
  expect(await ids({ status: ["failed"], failureClass: "workflow_error" })).toContain(runId);
  expect(await ids({ idempotencyKey: "find me" })).toEqual([keyed]);
  expect(await ids({ until: "2000-01-01T00:00:00Z" })).toEqual([]);
  expect(await ids({ since: "2000-01-01T00:00:00+01:00", limit: 200 })).toContain(keyed);
});

test("the overview counts what is not final and names what needs somebody", async () => {
  const stalled = await db.begun();
  await db.advance("2 minutes");
  const overview = await db.call("runs.overview", {});
  expect(overview).toMatchObject({ counts: { pending: expect.any(Number) } });
  expect(overview["stalled"]).toBeGreaterThan(0);
  const attention = overview["attention"] as { runId: string; status: string }[];
  expect(attention.find(({ runId }) => runId === stalled.runId)).toMatchObject({
    status: "running",
  });
});
