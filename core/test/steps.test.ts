import { expect, test } from "vitest";
import { openCore, toJson } from "../src/index.ts";
import * as leases from "../src/leases/sql.ts";
import { bind } from "../src/statement.ts";
import { local, newGrant, operationNamed, untilBlocked, useDatabase } from "./support/database.ts";

const db = useDatabase();

test("a completed step comes back bit for bit, and its events are numbered without gap", async () => {
  const lease = await db.begun();
  const output = {
    ["__proto__"]: { a: 1 },
    text: "\u0000 \ud800 ü",
    list: [null, -0.5, { deep: true }],
  };
  await db.call("steps.complete", {
    items: [
      { ...lease, name: "a", output },
      { ...lease, name: "b", output: 2 },
    ],
  });
  const { runId, grantId } = lease;
  const again = await db.call("runs.begin", { runId, grantId });
  expect(again["journal"]).toEqual([
    { name: "a", key: "", output },
    { name: "b", key: "", output: 2 },
  ]);
  const { events } = await db.call("events.list", { runId: lease.runId });
  expect(
    (events as { seq: number; type: string }[]).map(({ seq, type }) => `${seq} ${type}`),
  ).toEqual(["1 run.created", "2 run.begun", "3 step.completed", "4 step.completed"]);
});

test("items of one batch keep their own outcomes", async () => {
  const [mine, lost] = [await db.begun(), { ...(await db.begun()), grantId: newGrant() }];
  const step = (lease: object, name: string) => ({ ...lease, name, output: null });
  const { results } = await db.call("steps.complete", {
    items: [step(mine, "a"), step(lost, "a"), step(mine, "b")],
  });
  expect(results).toEqual([
    { outcome: "completed" },
    { outcome: "lease_lost" },
    { outcome: "completed" },
  ]);
});

test("a step that comes twice in one batch costs the others nothing, and is recorded once", async () => {
  const lease = await db.begun();
  const items = ["a", "twice", "twice", "b"].map((name) => ({ ...lease, name, output: 1 }));
  const { results } = await db.call("steps.complete", { items });
  expect(results).toEqual(Array.from({ length: 4 }, () => ({ outcome: "completed" })));
  const { events } = await db.call("events.list", { runId: lease.runId });
  expect(events).toHaveLength(2 + 3);
});

test("an output larger than the store takes is told so, alone, and its step is not recorded", async () => {
  const lease = await db.begun();
  const large = { ...lease, name: "large", output: "x".repeat(1_100_000) };
  const { results } = await db.call("steps.complete", {
    items: [large, { ...lease, name: "small", output: 1 }],
  });
  expect(results).toEqual([
    { outcome: "output_too_large", limitBytes: 1_048_576 },
    { outcome: "completed" },
  ]);
});

test.each([
  [{}, "failed_retryable"],
  [{ sideEffects: ["read"] }, "failed_retryable"],
  [{ sideEffects: ["payment"] }, "manual_review"],
  [{ sideEffects: ["payment"], idempotencyKey: "k" }, "failed_retryable"],
  [{ sideEffects: ["payment"], replay: "auto" }, "failed_retryable"],
  [{ replay: "manual", idempotencyKey: "k" }, "manual_review"],
  [{ replay: "never", idempotencyKey: "k" }, "failed"],
])("a final failure under the contract %j makes the step %s", async (contract, outcome) => {
  const lease = await db.begun();
  const failure = { ...lease, name: "s", contract, error: { message: "no" }, message: "no" };
  for (let n = 0; n < 2; n++)
    expect((await db.call("steps.fail", { items: [failure] }))["results"]).toEqual([{ outcome }]);
  const { events } = await db.call("events.list", { runId: lease.runId, types: ["step.failed"] });
  expect(events).toMatchObject([{ data: { name: "s", becomes: outcome } }]);
});

test("a failed attempt that will be tried again keeps its count and its delay for whoever goes on", async () => {
  const lease = await db.begun();
  const attempt = (n: number) => ({
    ...lease,
    name: "flaky",
    attempt: n,
    error: {},
    message: "503",
  });
  for (const n of [1, 2])
    await db.call("steps.fail", { items: [{ ...attempt(n), retryInMs: 90_000 }] });
  await db.advance("2 minutes");
  const { unfinished } = await db.call("runs.begin", { runId: lease.runId, grantId: newGrant() });
  expect(unfinished).toEqual([
    { name: "flaky", key: "", status: "failed_retryable", attempt: 2, failures: 2, retryInMs: 0 },
  ]);
});

test("a step whose author retries it may be begun again after a recorded failure, by the same worker only", async () => {
  const lease = await db.begun();
  const step = { ...lease, name: "charge", contract: { sideEffects: ["payment"] } };
  const begin = async (attempt: number) =>
    (
      (await db.call("steps.begin", { items: [{ ...step, attempt }] }))["results"] as {
        outcome: string;
      }[]
    )[0]?.outcome;
  expect(await begin(1)).toBe("execute");
  expect(await begin(1)).toBe("execute");
  expect(await begin(2)).toBe("manual_review_required");
  await db.call("steps.fail", { items: [{ ...step, error: {}, message: "x", retryInMs: 10 }] });
  expect(await begin(2)).toBe("execute");
});

test("a begun that arrives after the completion, or from an older epoch, changes nothing", async () => {
  const lease = await db.begun();
  await db.call("steps.complete", { items: [{ ...lease, name: "s", output: 7 }] });
  expect(
    (await db.call("steps.begin", { items: [{ ...lease, name: "s", attempt: 2 }] }))["results"],
  ).toEqual([{ outcome: "replayed", output: 7 }]);
  await db.advance("2 minutes");
  await db.call("runs.begin", { runId: lease.runId, grantId: newGrant() });
  expect(
    (await db.call("steps.begin", { items: [{ ...lease, name: "late" }] }))["results"],
  ).toEqual([{ outcome: "lease_lost" }]);
});

test("a run takes as many steps as it may have, and says so", async () => {
  const short = openCore({ databaseUrl: db.url, sweeps: false, limits: { steps: 3 } });
  const call = async (name: string, input: object) =>
    JSON.parse(toJson(await short.execute(operationNamed(name), input, local)));
  const { runId } = await call("runs.create", { workflow: "w" });
  const grantId = newGrant();
  const { epoch } = await call("runs.begin", { runId, grantId });
  const complete = async (...names: string[]) =>
    (
      await call("steps.complete", {
        items: names.map((name) => ({ runId, epoch, grantId, name, output: 1 })),
      })
    ).results.map(({ outcome }: { outcome: string }) => outcome);
  expect(await complete("a", "b", "c", "d")).toEqual([
    "completed",
    "completed",
    "completed",
    "run_too_long",
  ]);
  expect(await complete("a", "e")).toEqual(["completed", "run_too_long"]);
  await short.close();
});

test("a repeated completion keeps the first output", async () => {
  const lease = await db.begun();
  for (const output of ["first", "second"]) {
    const { results } = await db.call("steps.complete", {
      items: [{ ...lease, name: "a", output }],
    });
    expect(results).toEqual([{ outcome: "completed" }]);
  }
  expect((await db.call("steps.journal", { runId: lease.runId }))["journal"]).toMatchObject([
    { output: "first" },
  ]);
});

test("a step begun and never finished, whose effect is unknown, waits for a review", async () => {
  const lease = await db.begun();
  const item = { ...lease, name: "charge", contract: { sideEffects: ["payment"] } };
  expect((await db.call("steps.begin", { items: [item] }))["results"]).toEqual([
    { outcome: "execute" },
  ]);
  await db.advance("2 minutes");
  const { verdict } = await db.call("runs.get", { runId: lease.runId });
  expect(verdict).toMatchObject({ answer: "needs_review" });
  const grantId = newGrant();
  const { epoch } = await db.call("runs.begin", { runId: lease.runId, grantId });
  const next = { ...item, grantId, epoch, attempt: 2 };
  expect((await db.call("steps.begin", { items: [next] }))["results"]).toEqual([
    { outcome: "manual_review_required" },
  ]);
});

test("a begun step that was completed replays, with another input it is a mismatch", async () => {
  const lease = await db.begun();
  await db.call("steps.complete", {
    items: [{ ...lease, name: "a", inputHash: "v1:1", output: [1] }],
  });
  const begin = (inputHash: string) =>
    db.call("steps.begin", { items: [{ ...lease, name: "a", inputHash }] });
  expect((await begin("v1:1"))["results"]).toEqual([{ outcome: "replayed", output: [1] }]);
  expect((await begin("v1:2"))["results"]).toEqual([
    { outcome: "input_mismatch", inputHash: "v1:1" },
  ]);
  expect((await begin("v2:2"))["results"]).toEqual([{ outcome: "replayed", output: [1] }]);
});

test("completions that waited behind a takeover are lease_lost", async () => {
  const zombie = await db.begun();
  await db.advance("2 minutes");
  const rival = await db.pool.connect();
  await rival.query("begin");
  await rival.query(
    leases.begin.text,
    bind(leases.begin.parameters, { runId: zombie.runId, grantId: newGrant(), leaseMs: 1000 }),
  );
  const items = ["charge", "mail"].map((name) => ({ ...zombie, name, output: "zombie" }));
  const late = db.call("steps.complete", { items });
  await untilBlocked(db.pool, "steps.complete");
  await rival.query("commit");
  rival.release();
  expect((await late)["results"]).toEqual([{ outcome: "lease_lost" }, { outcome: "lease_lost" }]);
  expect((await db.call("steps.journal", { runId: zombie.runId }))["journal"]).toEqual([]);
});

test("a journal of many megabytes comes in pages, each step once", async () => {
  const lease = await db.begun();
  const output = "x".repeat(700_000);
  const names = Array.from({ length: 14 }, (_, n) => `step ${String(n).padStart(2, "0")}`);
  await db.call("steps.complete", { items: names.map((name) => ({ ...lease, name, output })) });
  const seen: unknown[] = [];
  let after: Record<string, unknown> = { afterName: "", afterKey: "" };
  while (after["afterName"] !== null) {
    const { journal, ...next } = await db.call("steps.journal", { runId: lease.runId, ...after });
    seen.push(...(journal as { name: string }[]).map(({ name }) => name));
    after = next;
  }
  expect(seen.sort()).toEqual(names);
});

const effect = { contract: { sideEffects: ["payment"] } };
const settled: Record<string, () => Promise<Record<string, unknown>>> = {
  completed: async () => ({ ...(await db.begun()), name: "s" }),
  "completed, again": async () => {
    const item = { ...(await db.begun()), name: "s", output: 0 };
    await db.call("steps.complete", { items: [item] });
    return item;
  },
  "completed, begun before": async () => {
    const item = { ...(await db.begun()), name: "s", ...effect };
    await db.call("steps.begin", { items: [item] });
    return item;
  },
  manual_review_required: async () => {
    const item = { ...(await db.begun()), name: "s", ...effect };
    await db.call("steps.fail", { items: [{ ...item, error: {}, message: "x" }] });
    return item;
  },
  step_failed: async () => {
    const item = { ...(await db.begun()), name: "s", contract: { replay: "never" } };
    await db.call("steps.fail", { items: [{ ...item, error: {}, message: "x" }] });
    return item;
  },
  lease_lost: async () => ({ ...(await db.begun()), grantId: newGrant(), name: "s" }),
  run_not_found: async () => ({
    ...(await db.begun()),
    runId: "run_00000000-0000-7000-8000-000000000000",
    name: "s",
  }),
  run_cancelled: async () => {
    const lease = await db.begun();
    await db.cancel(lease.runId);
    return { ...lease, name: "s" };
  },
};

test.each(Object.keys(settled))(
  "a completion is answered alike alone and in company: %s",
  async (kind) => {
    for (const company of [[], [{ ...(await db.begun()), name: "other", output: 1 }]]) {
      const item = { output: 1, ...(await settled[kind]?.()) };
      const { results } = await db.call("steps.complete", { items: [item, ...company] });
      expect((results as unknown[])[0]).toEqual({ outcome: kind.split(",")[0] });
    }
  },
);
