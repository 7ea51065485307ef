import { expect, test } from "vitest";
import { openCore } from "../src/index.ts";
import { newGrant, signedIn, useDatabase } from "./support/database.ts";

const db = useDatabase();
type Lease = { runId: string; epoch: number; grantId: string };

const suspend = (lease: Lease, waits: object) => db.call("runs.suspend", { ...lease, waits });
const refusal = (work: Promise<unknown>) =>
  work.then(
    () => "no refusal",
    (error: { code?: string }) => error.code ?? String(error),
  );
const run = async ({ runId }: Lease) =>
  (await db.call("runs.get", { runId }))["run"] as Record<string, unknown>;
const types = async ({ runId }: Lease) => {
  const { events } = (await db.call("events.list", { runId })) as { events: { type: string }[] };
  return events.map(({ type }) => type);
};
const timer = { name: "nap", key: "" };
const again = (lease: Lease) => db.call("runs.begin", { runId: lease.runId, grantId: newGrant() });
const approve = (gate: { gateId: string; digest: string }) =>
  db.call(
    "gates.resolve",
    { gateId: gate.gateId, digest: gate.digest, decision: "approved" },
    signedIn("ada"),
  );

test("a suspended run holds no lease, costs no attempt, and says what it waits for", async () => {
  const lease = await db.begun();
  const gate = await db.gate(lease);
  await db.call("timers.set", { ...lease, ...timer, ms: 3_600_000 });
  const waits = { gates: [gate.gateId], timers: [timer], signals: ["paid"] };
  const { outcome, wakeAt } = await suspend(lease, waits);
  expect(outcome).toBe("waiting");
  expect(await run(lease)).toMatchObject({
    ...{ status: "waiting", attempts: 0, leaseExpiresAt: null, wakeAt },
    waits: [gate.gateId, "timer", "signal_paid"],
  });
  expect(await suspend(lease, waits), "a repeated suspend").toMatchObject({ outcome: "waiting" });
  expect(await db.call("runs.verdict", { runId: lease.runId })).toMatchObject({
    answer: "waiting_on_human",
    next: { action: "resolve_gate", gates: [gate.gateId], signals: ["paid"], until: wakeAt },
  });
  expect(await refusal(db.complete(lease))).toBe("lease_lost");
  expect(await refusal(db.call("runs.recover", { runId: lease.runId }))).toBe("run_waiting");
});

test("the first thing to happen wakes the run, once, and the lost answer of its suspend is repeated", async () => {
  const lease = await db.begun();
  const [one, two] = [await db.gate(lease, { key: "1" }), await db.gate(lease, { key: "2" })];
  await suspend(lease, { gates: [one.gateId, two.gateId], signals: ["go"] });
  await approve(two);
  expect(await run(lease)).toMatchObject({ status: "pending", attempts: 0, waits: null });
  expect(await suspend(lease, { gates: [one.gateId] })).toMatchObject({ outcome: "waiting" });
  await approve(one);
  await db.call("signals.send", { runId: lease.runId, name: "go" });
  expect((await types(lease)).filter((type) => type === "run.woken")).toHaveLength(1);
  expect(await again(lease)).toMatchObject({ outcome: "begun", epoch: 2 });
});

test("what it does not wait for leaves it suspended", async () => {
  const lease = await db.begun();
  const [waited, other] = [await db.gate(lease, { key: "1" }), await db.gate(lease, { key: "2" })];
  await suspend(lease, { gates: [waited.gateId] });
  await approve(other);
  await db.call("signals.send", { runId: lease.runId, name: "news" });
  expect(await run(lease)).toMatchObject({ status: "waiting" });
  await approve(waited);
  expect(await run(lease)).toMatchObject({ status: "pending" });
});

test("what has happened already is resumeNow, and the lease is kept", async () => {
  const lease = await db.begun();
  const gate = await db.gate(lease);
  await approve(gate);
  expect(await suspend(lease, { gates: [gate.gateId] })).toMatchObject({ outcome: "resumeNow" });
  await db.call("signals.send", { runId: lease.runId, name: "go" });
  expect(await suspend(lease, { signals: ["go"] })).toMatchObject({ outcome: "resumeNow" });
  await db.call("timers.set", { ...lease, ...timer, ms: 0 });
  expect(await suspend(lease, { timers: [timer] })).toMatchObject({ outcome: "resumeNow" });
  const late = await db.gate(lease, { key: "late", expiresInMs: 1000 });
  await db.advance("2 seconds");
  expect(await suspend(lease, { gates: [late.gateId] })).toMatchObject({ outcome: "resumeNow" });
  expect(await run(lease)).toMatchObject({ status: "running" });
});

test("nobody waits for what does not exist", async () => {
  const lease = await db.begun();
  const foreign = await db.gate(await db.begun());
  expect(await refusal(suspend(lease, { gates: [foreign.gateId] }))).toBe("wait_not_found");
  expect(await refusal(suspend(lease, { timers: [timer] }))).toBe("wait_not_found");
  expect(await refusal(suspend(lease, { retries: [timer] }))).toBe("wait_not_found");
  expect(await refusal(suspend(lease, {}))).toBe("input_invalid");
  expect(await run(lease)).toMatchObject({ status: "running" });
});

test("a timer is set once; when it is due the sweep makes the run ready", async () => {
  const lease = await db.begun();
  const { dueAt } = await db.call("timers.set", { ...lease, ...timer, ms: 60_000 });
  await db.advance("10 seconds");
  const later = await db.call("timers.set", { ...lease, ...timer, ms: 60_000 });
  expect(later["dueAt"]).toBe(dueAt);
  expect(Number(later["leftMs"])).toBeLessThanOrEqual(50_000);
  await suspend(lease, { timers: [timer] });
  const core = openCore({ databaseUrl: db.url, sweepEveryMs: 20 });
  await db.advance("51 seconds");
  await expect.poll(async () => (await run(lease))["status"]).toBe("pending");
  await core.close();
  expect((await types(lease)).slice(-2)).toEqual(["timer.fired", "run.woken"]);
});

test("a failed step's backoff can be slept through", async () => {
  const lease = await db.begun();
  const step = { ...lease, name: "call", error: {}, message: "no", retryInMs: 600_000 };
  await db.call("steps.fail", { items: [step] });
  const waits = { retries: [{ name: "call", key: "" }] };
  const { wakeAt } = await suspend(lease, waits);
  expect(wakeAt).toEqual(expect.any(String));
  const core = openCore({ databaseUrl: db.url, sweepEveryMs: 20 });
  await db.advance("11 minutes");
  await expect.poll(async () => (await run(lease))["status"]).toBe("pending");
  await core.close();
});

test("signals are taken in the order they were sent, each once, as the output of its step", async () => {
  const lease = await db.begun();
  const { runId } = lease;
  for (const payload of [{ n: 1 }, "two", null])
    await db.call("signals.send", { runId, name: "paid", payload });
  const take = (key: string, held: Lease = lease) =>
    db.call("signals.take", { ...held, name: "wait", key, signal: "paid" });
  expect(await take("a")).toEqual({ outcome: "taken", output: { payload: { n: 1 } } });
  expect(await take("b")).toEqual({ outcome: "taken", output: { payload: "two" } });
  expect(await take("a"), "a repeated request").toEqual({
    ...{ outcome: "taken", output: { payload: { n: 1 } } },
  });
  expect(await take("c")).toEqual({ outcome: "taken", output: { payload: null } });
  expect(await take("d")).toEqual({ outcome: "waiting" });
  const { journal } = (await db.call("steps.journal", { runId })) as { journal: object[] };
  expect(journal).toHaveLength(3);
});

test("the timeout of a wait is its output when it comes first, for ever", async () => {
  const lease = await db.begun();
  const { runId } = lease;
  await db.call("timers.set", { ...lease, name: "wait", key: "", ms: 1000 });
  const take = () => db.call("signals.take", { ...lease, name: "wait", signal: "paid" });
  expect(await take()).toEqual({ outcome: "waiting" });
  await db.advance("2 seconds");
  expect(await take()).toEqual({ outcome: "taken", output: { timedOut: true } });
  await db.call("signals.send", { runId, name: "paid", payload: 1 });
  expect(await take()).toEqual({ outcome: "taken", output: { timedOut: true } });
});

test("a signal with a key is sent once; a run that is over takes none", async () => {
  const lease = await db.begun();
  const { runId } = lease;
  const send = (payload: number) =>
    db.call("signals.send", { runId, name: "paid", key: "k", payload });
  const { seq } = await send(1);
  expect(await send(2)).toEqual({ runId, seq, recorded: true });
  await db.complete(lease);
  expect(await refusal(db.call("signals.send", { runId, name: "paid" }))).toBe("run_completed");
  expect(await send(3), "what was sent before is answered").toMatchObject({ recorded: true });
});

test("somebody may begin a suspended run by its id, and it waits for nothing then", async () => {
  const lease = await db.begun();
  const gate = await db.gate(lease);
  await suspend(lease, { gates: [gate.gateId] });
  expect(await again(lease)).toMatchObject({ outcome: "begun", attempts: 0 });
  expect(await run(lease)).toMatchObject({ status: "running", waits: null, wakeAt: null });
  await approve(gate);
  expect(await run(lease)).toMatchObject({ status: "running" });
});
