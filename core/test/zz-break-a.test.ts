import { expect, test } from "vitest";
import { openCore, toJson } from "../src/index.ts";
import { local, newGrant, operationNamed, useDatabase } from "./support/database.ts";

const db = useDatabase();
const id = (runId: string) => runId.slice(4);
const code = (p: Promise<unknown>) => p.then((v) => v, (e) => ({ code: e.code ?? String(e) }));

async function blocked(n: number) {
  await expect
    .poll(async () => (await db.pool.query("select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'")).rowCount, { interval: 5, timeout: 5000 })
    .toBe(n);
}
async function lock(runId: string) {
  const c = await db.pool.connect();
  await c.query("begin");
  await c.query("select from tidebase.runs where run_id = $1 for update", [id(runId)]);
  return async () => { await c.query("commit"); c.release(); };
}
const pay = { sideEffects: ["payment"] };

test("1 two equal completions of an effect step, at once", async () => {
  const lease = await db.begun();
  await db.call("steps.begin", { items: [{ ...lease, name: "pay", contract: pay }] });
  const unlock = await lock(lease.runId);
  const one = db.call("steps.complete", { items: [{ ...lease, name: "pay", contract: pay, output: 1 }] });
  await blocked(1);
  const two = db.call("steps.complete", { items: [{ ...lease, name: "pay", contract: pay, output: 1 }] });
  await blocked(2);
  await unlock();
  expect([(await one)["results"], (await two)["results"]]).toEqual([[{ outcome: "completed" }], [{ outcome: "completed" }]]);
});

test("2 two equal final failures of an effect step, at once", async () => {
  const lease = await db.begun();
  await db.call("steps.begin", { items: [{ ...lease, name: "pay", contract: pay }] });
  const unlock = await lock(lease.runId);
  const f = { items: [{ ...lease, name: "pay", contract: pay, error: {}, message: "no" }] };
  const one = db.call("steps.fail", f);
  await blocked(1);
  const two = db.call("steps.fail", f);
  await blocked(2);
  await unlock();
  expect([(await one)["results"], (await two)["results"]]).toEqual([[{ outcome: "manual_review" }], [{ outcome: "manual_review" }]]);
});

test("3 two equal begins after review retry, at once", async () => {
  const lease = await db.begun();
  await db.call("steps.begin", { items: [{ ...lease, name: "pay", contract: pay }] });
  await db.call("steps.fail", { items: [{ ...lease, name: "pay", contract: pay, error: {}, message: "no" }] });
  await db.call("steps.review", { runId: lease.runId, name: "pay", decision: "retry", reason: "x", dryRun: false });
  await db.call("runs.release", lease);
  const grantId = newGrant();
  const { epoch } = await db.call("runs.begin", { runId: lease.runId, grantId });
  const next = { runId: lease.runId, epoch, grantId };
  const unlock = await lock(lease.runId);
  const one = db.call("steps.begin", { items: [{ ...next, name: "pay", contract: pay }] });
  await blocked(1);
  const two = db.call("steps.begin", { items: [{ ...next, name: "pay", contract: pay }] });
  await blocked(2);
  await unlock();
  expect([(await one)["results"], (await two)["results"]]).toEqual([[{ outcome: "execute" }], [{ outcome: "execute" }]]);
});

test("4 a begin repeated after the attempt failed", async () => {
  const lease = await db.begun();
  const b = { items: [{ ...lease, name: "s" }] };
  await db.call("steps.begin", b);
  await db.call("steps.fail", { items: [{ ...lease, name: "s", error: {}, message: "no" }] });
  const r = await code(db.call("steps.begin", b));
  expect(r).toHaveProperty("results");
});

test("4b a late begin of attempt 1 after attempt 2 was begun; other items of the batch", async () => {
  const lease = await db.begun();
  await db.call("steps.begin", { items: [{ ...lease, name: "s", attempt: 2 }] });
  const r = await code(db.call("steps.begin", { items: [{ ...lease, name: "s", attempt: 1 }, { ...lease, name: "other" }] }));
  expect(r).toHaveProperty("results");
});

test("5 existing steps in a batch do not count against the limit", async () => {
  const core = openCore({ databaseUrl: db.url, sweeps: false, limits: { steps: 2 } });
  const call = async (n: string, i: object) => JSON.parse(toJson(await core.execute(operationNamed(n), i, local)));
  const { runId } = await call("runs.create", { workflow: "x" });
  const grantId = newGrant();
  const { epoch } = await call("runs.begin", { runId, grantId });
  const l = { runId, epoch, grantId };
  await call("steps.begin", { items: [{ ...l, name: "a" }] });
  const r = await call("steps.complete", { items: [{ ...l, name: "a", output: 1 }, { ...l, name: "b", output: 2 }] });
  await core.close();
  expect(r.results).toEqual([{ outcome: "completed" }, { outcome: "completed" }]);
});

test("6 the last step's completion races its own background begin", async () => {
  const core = openCore({ databaseUrl: db.url, sweeps: false, limits: { steps: 1 } });
  const call = async (n: string, i: object) => JSON.parse(toJson(await core.execute(operationNamed(n), i, local)));
  const { runId } = await call("runs.create", { workflow: "x" });
  const grantId = newGrant();
  const { epoch } = await call("runs.begin", { runId, grantId });
  const l = { runId, epoch, grantId };
  const unlock = await lock(runId);
  const one = call("steps.begin", { items: [{ ...l, name: "a" }] });
  await blocked(1);
  const two = call("steps.complete", { items: [{ ...l, name: "a", output: 1 }] });
  await blocked(2);
  await unlock();
  const r = [(await one).results, (await two).results];
  await core.close();
  expect(r).toEqual([[{ outcome: "execute" }], [{ outcome: "completed" }]]);
});

test("7 a failure without its contract keeps the contract the step was begun with", async () => {
  const lease = await db.begun();
  await db.call("steps.begin", { items: [{ ...lease, name: "pay", contract: pay }] });
  const r = await db.call("steps.fail", { items: [{ ...lease, name: "pay", error: {}, message: "no" }] });
  await db.call("runs.release", lease);
  const v = await db.call("runs.verdict", { runId: lease.runId });
  expect([r["results"], v["answer"]]).toEqual([[{ outcome: "manual_review" }], "needs_review"]);
});

test("8 verdict with more than 200 open steps", async () => {
  const lease = await db.begun();
  await db.call("steps.begin", { items: Array.from({ length: 200 }, (_, n) => ({ ...lease, name: "a", key: String(n) })) });
  await db.call("steps.begin", { items: [{ ...lease, name: "z", contract: pay }] });
  await db.call("runs.release", lease);
  const v = await db.call("runs.verdict", { runId: lease.runId });
  expect(v["answer"]).toBe("needs_review");
});

test("9 failure message with NUL", async () => {
  const lease = await db.begun();
  const r = await db.call("steps.fail", { items: [{ ...lease, name: "s", error: { message: "a\u0000b" }, message: "a\u0000b" }] });
  expect(r["results"]).toEqual([{ outcome: "failed_retryable" }]);
});

test("10 a label replayed", async () => {
  const lease = await db.begun();
  await db.call("state.write", { ...lease, kind: "set", value: 1, writeKey: "w1" });
  await db.call("state.label", { ...lease, label: "x", writeKey: "k1" });
  expect(await db.call("state.label", { ...lease, label: "x", writeKey: "k2" })).toMatchObject({ version: 1, recorded: true });
  await db.call("state.write", { ...lease, kind: "set", value: 2, writeKey: "w2" });
  expect(await db.call("state.label", { ...lease, label: "x", writeKey: "k2" })).toMatchObject({ version: 1, recorded: true });
});

test("11 journal page with large outputMeta", async () => {
  const lease = await db.begun();
  const outputMeta = "x".repeat(900_000);
  for (let n = 0; n < 12; n++) await db.call("steps.complete", { items: [{ ...lease, name: "m", key: String(n), output: 1, outputMeta }] });
  const p = await db.call("steps.journal", { runId: lease.runId });
  expect(JSON.stringify(p["journal"]).length).toBeLessThan(6_000_000);
});

test("12 follow from beyond the end of a final run ends", async () => {
  const lease = await db.begun();
  await db.call("runs.complete", lease);
  const ac = new AbortController();
  const t = setTimeout(() => ac.abort(), 3000);
  const seen = [];
  for await (const b of db.core.follow(lease.runId, 50, ac.signal)) seen.push(b);
  clearTimeout(t);
  expect(ac.signal.aborted).toBe(false);
});

test("13 why after review retry", async () => {
  const lease = await db.begun();
  await db.call("steps.begin", { items: [{ ...lease, name: "pay", contract: pay }] });
  await db.call("steps.fail", { items: [{ ...lease, name: "pay", contract: pay, error: {}, message: "no" }] });
  await db.call("runs.release", lease);
  await db.call("steps.review", { runId: lease.runId, name: "pay", decision: "retry", reason: "x", dryRun: false });
  const v = await db.call("runs.verdict", { runId: lease.runId });
  expect((v["steps"] as { why: string }[])[0]?.why).not.toMatch(/idempotency key makes/);
});

test("14 audit names the key", async () => {
  const { keyId } = await db.call("keys.create", { name: "zz", scopes: ["read"] });
  await db.call("keys.revoke", { keyId });
  const { entries } = await db.call("audit.list", {});
  console.log(JSON.stringify(entries));
  expect((entries as { target: string | null }[])[0]?.target).toBe(keyId);
});

test.each([1900, 2500, 3500, 5000, 7000])("15 depth %d", async (depth) => {
  let v: unknown = 1;
  for (let n = 0; n < depth; n++) v = { a: v };
  const r = (await code(db.call("runs.create", { workflow: "deep", input: v }))) as { code?: string };
  console.log(depth, JSON.stringify(r).slice(0, 200));
  expect(r.code ?? "ok").toMatch(/^(ok|input_invalid)$/);
});

test.each([500, 3000, 6000])("16 diff of arrays of %d", async (n) => {
  const lease = await db.begun();
  await db.call("state.write", { ...lease, kind: "set", value: Array.from({ length: n }, (_, i) => i) });
  await db.call("state.write", { ...lease, kind: "set", value: Array.from({ length: n }, (_, i) => i + n) });
  const t = performance.now();
  const r = (await code(db.call("state.diff", { runId: lease.runId, from: 1, to: 2 }))) as { code?: string };
  console.log("diff", n, Math.round(performance.now() - t), JSON.stringify(r).slice(0, 100));
  expect(r.code).toBeUndefined();
});
