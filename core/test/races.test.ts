import { expect, test } from "vitest";
import { openCore, toJson } from "../src/index.ts";
import { local, newGrant, operationNamed, useDatabase } from "./support/database.ts";

const db = useDatabase();
type Lease = { runId: string; epoch: number; grantId: string };
type Call = (name: string, input: object) => Promise<Record<string, unknown>>;
const contract = { sideEffects: ["payment"] };
const pay = (lease: Lease, more: object = {}) => ({
  items: [{ ...lease, name: "pay", contract, ...more }],
});
const failure = { error: {}, message: "no" };

/** Both calls wait for the run's row, the second with a snapshot older than what the first does. */
async function atOnce(
  runId: string,
  first: () => Promise<unknown>,
  second: () => Promise<unknown>,
) {
  const blocked = (n: number) =>
    expect
      .poll(
        async () =>
          (
            await db.pool.query(
              "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
            )
          ).rowCount,
        { interval: 5 },
      )
      .toBe(n);
  const client = await db.pool.connect();
  await client.query("begin");
  await client.query("select from tidebase.runs where run_id = $1 for update", [runId.slice(4)]);
  const one = first();
  await blocked(1);
  const two = second();
  await blocked(2);
  await client.query("commit");
  client.release();
  return await Promise.all([one, two]);
}
const outcomes = (answers: unknown[]) =>
  answers.flatMap((a) => (a as { results: { outcome: string }[] }).results.map((r) => r.outcome));

async function limited(steps: number, work: (lease: Lease, call: Call) => Promise<void>) {
  const core = openCore({ databaseUrl: db.url, sweeps: false, limits: { steps } });
  const call: Call = async (name, input) =>
    JSON.parse(toJson(await core.execute(operationNamed(name), input, local)));
  const { runId } = (await call("runs.create", { workflow: "x" })) as { runId: string };
  const grantId = newGrant();
  const { epoch } = (await call("runs.begin", { runId, grantId })) as { epoch: number };
  await work({ runId, epoch, grantId }, call);
  await core.close();
}

test("1a a repeated completion is `completed`, also when it waited for the first", async () => {
  const lease = await db.begun();
  await db.call("steps.begin", pay(lease));
  const complete = () => db.call("steps.complete", pay(lease, { output: 1 }));
  expect(outcomes(await atOnce(lease.runId, complete, complete))).toEqual([
    "completed",
    "completed",
  ]);
});

test("1b a repeated final failure gets the recorded status, also when it waited", async () => {
  const lease = await db.begun();
  await db.call("steps.begin", pay(lease));
  const fail = () => db.call("steps.fail", pay(lease, failure));
  expect(outcomes(await atOnce(lease.runId, fail, fail))).toEqual([
    "manual_review",
    "manual_review",
  ]);
});

test("1c a begin that waited for a completion replays, it does not execute", async () => {
  const lease = await db.begun();
  await db.call("steps.begin", pay(lease));
  const answers = await atOnce(
    lease.runId,
    () => db.call("steps.complete", pay(lease, { output: 1 })),
    () => db.call("steps.begin", pay(lease)),
  );
  expect(outcomes(answers)).toEqual(["completed", "replayed"]);
});

test("1d a begin that waited for the failure that needs a review does not execute", async () => {
  const lease = await db.begun();
  await db.call("steps.begin", pay(lease));
  const answers = await atOnce(
    lease.runId,
    () => db.call("steps.fail", pay(lease, failure)),
    () => db.call("steps.begin", pay(lease)),
  );
  expect(outcomes(answers)).toEqual(["manual_review", "manual_review_required"]);
});

test("1e the run's last step may be completed while its begin is under way", async () => {
  await limited(1, async (lease, call) => {
    const answers = await atOnce(
      lease.runId,
      () => call("steps.begin", { items: [{ ...lease, name: "a" }] }),
      () => call("steps.complete", { items: [{ ...lease, name: "a", output: 1 }] }),
    );
    expect(outcomes(answers)).toEqual(["execute", "completed"]);
  });
});

test("2a a begin repeated after its attempt failed is answered", async () => {
  const lease = await db.begun();
  const begin = { items: [{ ...lease, name: "s" }] };
  await db.call("steps.begin", begin);
  await db.call("steps.fail", { items: [{ ...lease, name: "s", ...failure }] });
  expect(outcomes([await db.call("steps.begin", begin)])).toEqual(["execute"]);
});

test("2b a late begin of an earlier attempt costs the other items nothing", async () => {
  const lease = await db.begun();
  await db.call("steps.begin", { items: [{ ...lease, name: "s", attempt: 2 }] });
  const items = [
    { ...lease, name: "s", attempt: 1 },
    { ...lease, name: "other" },
  ];
  expect(outcomes([await db.call("steps.begin", { items })])).toEqual(["execute", "execute"]);
});

test("3 the verdict sees a blocking step behind 200 others", async () => {
  const lease = await db.begun();
  const items = Array.from({ length: 200 }, (_, n) => ({ ...lease, name: "a", key: String(n) }));
  await db.call("steps.begin", { items });
  await db.call("steps.begin", pay(lease, { name: "z" }));
  await db.call("runs.release", lease);
  const { answer, next } = await db.call("runs.verdict", { runId: lease.runId });
  expect([answer, (next as { step?: unknown }).step]).toEqual([
    "needs_review",
    { name: "z", key: "" },
  ]);
});

test("4 a failure sent without the contract is classified by the one the step was begun with", async () => {
  const lease = await db.begun();
  await db.call("steps.begin", pay(lease));
  const failed = await db.call("steps.fail", { items: [{ ...lease, name: "pay", ...failure }] });
  await db.call("runs.release", lease);
  const { answer } = await db.call("runs.verdict", { runId: lease.runId });
  expect([outcomes([failed]), answer]).toEqual([["manual_review"], "needs_review"]);
});

test("5 recover: a plan that is older than the run cannot be acted on", async () => {
  const lease = await db.begun();
  await db.call("steps.begin", pay(lease));
  await db.call("runs.release", lease);
  const { runId } = lease;
  const review = { runId, name: "pay", decision: "retry", reason: "x", dryRun: false };
  const [, plan] = await atOnce(
    runId,
    () => db.call("steps.review", review),
    () => db.call("runs.recover", { runId, dryRun: true }),
  );
  const { held, seq } = plan as { held: unknown[]; seq: number };
  expect(held).toHaveLength(1);
  await expect(db.call("runs.recover", { runId, dryRun: false, asOf: seq })).rejects.toMatchObject({
    code: "run_changed",
  });
});

test("6 recorded steps in a batch do not count against the limit", async () => {
  await limited(2, async (lease, call) => {
    await call("steps.begin", { items: [{ ...lease, name: "a" }] });
    const items = ["a", "b"].map((name) => ({ ...lease, name, output: 1 }));
    expect(outcomes([await call("steps.complete", { items })])).toEqual(["completed", "completed"]);
  });
});

test("7 a journal page counts what lies beside the outputs", async () => {
  const lease = await db.begun();
  for (let n = 0; n < 12; n++) {
    const item = {
      ...lease,
      name: "m",
      key: String(n),
      output: 1,
      outputMeta: "x".repeat(900_000),
    };
    await db.call("steps.complete", { items: [item] });
  }
  const { journal } = await db.call("steps.journal", { runId: lease.runId });
  expect(JSON.stringify(journal).length).toBeLessThan(9_500_000);
});

test("8 a failure is recorded whatever its message holds", async () => {
  const lease = await db.begun();
  const item = { ...lease, name: "s", error: {}, message: "a\u0000b" };
  expect(outcomes([await db.call("steps.fail", { items: [item] })])).toEqual(["failed_retryable"]);
});

test("9 a label that was there already stays where it was on replay", async () => {
  const lease = await db.begun();
  const label = (writeKey: string) => db.call("state.label", { ...lease, label: "x", writeKey });
  const write = (value: number) =>
    db.call("state.write", { ...lease, kind: "set", value, writeKey: `w${value}` });
  await write(1);
  await label("k1");
  expect(await label("k2")).toEqual({ version: 1, recorded: true });
  await write(2);
  for (const key of ["k1", "k2"]) expect(await label(key)).toEqual({ version: 1, recorded: true });
});

test("10 an input 2,000 levels deep makes a run, and such a state can be read", async () => {
  let value: unknown = 1;
  for (let n = 0; n < 2400; n++) value = { a: value };
  await db.call("runs.create", { workflow: "deep", input: value });
  const lease = await db.begun();
  await db.call("state.write", { ...lease, kind: "set", value });
  await db.call("state.read", { runId: lease.runId });
});

test("11 why a reviewed step may run again is the review", async () => {
  const lease = await db.begun();
  await db.call("steps.begin", pay(lease));
  await db.call("runs.release", lease);
  const { runId } = lease;
  await db.call("steps.review", {
    runId,
    name: "pay",
    decision: "retry",
    reason: "x",
    dryRun: false,
  });
  const { steps } = (await db.call("runs.verdict", { runId })) as { steps: { why: string }[] };
  expect(steps[0]?.why).not.toContain("idempotency key");
  const grantId = newGrant();
  const { epoch } = await db.call("runs.begin", { runId, grantId });
  const items = [{ runId, epoch, grantId, name: "pay", output: 1 }];
  expect(outcomes([await db.call("steps.complete", { items })])).toEqual(["completed"]);
});

test("12 the audit names the key", async () => {
  const { keyId } = await db.call("keys.create", { name: "k", scopes: ["read"] });
  await db.call("keys.revoke", { keyId });
  const { entries } = (await db.call("audit.list", {})) as { entries: { target: unknown }[] };
  expect(entries.slice(0, 2).map(({ target }) => target)).toEqual([keyId, keyId]);
});
