import { expect, test } from "vitest";
import { openCore } from "../src/index.ts";
import { ada, newGrant, signedIn, useDatabase } from "./support/database.ts";

const db = useDatabase();
type Lease = { runId: string; epoch: number; grantId: string };
type Gate = { gateId: string; digest: string };

const decide = ({ gateId, digest }: Gate, decision: string, who = "ada") =>
  db.call("gates.resolve", { gateId, digest, decision }, signedIn(who));
const status = async ({ gateId }: Gate) =>
  ((await db.call("gates.get", { gateId }))["gate"] as { status: string }).status;
const outcome = (work: Promise<Record<string, unknown>>) =>
  work.then(
    ({ gate, ...rest }) =>
      (gate as { status: string } | undefined)?.status ?? String(rest["outcome"]),
    (error: { code?: string }) => error.code ?? String(error),
  );
const count = async ({ runId }: Lease, type: string) => {
  const { events } = (await db.call("events.list", { runId, types: [type] })) as { events: [] };
  return events.length;
};

/** Both wait for the run's row, the second with a snapshot older than what the first does. */
async function atOnce(
  runId: string,
  first: () => Promise<Record<string, unknown>>,
  second: () => Promise<Record<string, unknown>>,
): Promise<string[]> {
  const release = await db.hold(runId);
  const one = outcome(first());
  await db.blocked(1);
  const two = outcome(second());
  await db.blocked(2);
  await release();
  return Promise.all([one, two]);
}

test("approve and reject at once: the first is the decision, the second is told of it", async () => {
  for (const [first, second] of [
    ["approved", "rejected"],
    ["rejected", "approved"],
  ] as const) {
    const lease = await db.begun();
    const gate = await db.gate(lease);
    const [a, b] = await atOnce(
      lease.runId,
      () => decide(gate, first, "one"),
      () => decide(gate, second, "two"),
    );
    expect([a, b]).toEqual([first, "gate_already_resolved"]);
    expect(await count(lease, "gate.resolved")).toBe(1);
  }
});

test("the same decision twice at once is one decision and one event", async () => {
  const lease = await db.begun();
  const gate = await db.gate(lease);
  const approve = () => decide(gate, "approved");
  expect(await atOnce(lease.runId, approve, approve)).toEqual(["approved", "approved"]);
  expect(await count(lease, "gate.resolved")).toBe(1);
});

test("a decision that waited for the question to change decides nothing", async () => {
  const lease = await db.begun();
  const gate = await db.gate(lease);
  const question = { ...lease, name: "send", prompt: "Send it to everybody?" };
  const [opened, decided] = await atOnce(
    lease.runId,
    () => db.call("gates.open", question),
    () => decide(gate, "approved"),
  );
  expect([opened, decided]).toEqual(["open", "gate_changed"]);
});

test("a question that waited for its decision is told of it, or that it asks something else", async () => {
  const lease = await db.begun();
  const gate = await db.gate(lease);
  const same = { ...lease, name: "send", prompt: "Send the report?" };
  expect(
    await atOnce(
      lease.runId,
      () => decide(gate, "rejected"),
      () => db.call("gates.open", same),
    ),
  ).toEqual(["rejected", "rejected"]);
  const other = await db.gate(lease, { key: "2" });
  expect(
    await atOnce(
      lease.runId,
      () => decide(other, "approved"),
      () => db.call("gates.open", { ...same, key: "2", prompt: "Send more?" }),
    ),
  ).toEqual(["approved", "gate_mismatch"]);
});

test("the end of a run and a decision at once: the first of them stands", async () => {
  const lease = await db.begun();
  const gate = await db.gate(lease);
  expect(
    await atOnce(
      lease.runId,
      () => db.complete(lease),
      () => decide(gate, "approved"),
    ),
  ).toEqual(["completed", "gate_already_resolved"]);
  expect(await status(gate)).toBe("closed");
  const next = await db.begun();
  const late = await db.gate(next);
  await atOnce(
    next.runId,
    () => decide(late, "approved"),
    () => db.complete(next),
  );
  expect(await status(late)).toBe("approved");
});

test("two votes at once are counted both, and the last one needed decides", async () => {
  const lease = await db.begun();
  const gate = await db.gate(lease, { approvals: 2 });
  const votes = await atOnce(
    lease.runId,
    () => decide(gate, "approved", "one"),
    () => decide(gate, "approved", "two"),
  );
  expect(votes[1]).toBe("approved");
  expect(await status(gate)).toBe("approved");
  expect(await count(lease, "gate.voted")).toBe(2);
  expect(await count(lease, "gate.resolved")).toBe(1);
});

test("a code that two couriers bring at once is spent once", async () => {
  const lease = await db.begun();
  const gate = await db.gate(lease, { approvals: 2, risk: "high" });
  const { gateId, digest } = gate;
  const { code } = await db.call("gates.code", { gateId, decision: "approved" }, ada);
  const proof = { kind: "code", secret: code };
  const redeem = () => db.call("gates.redeem", { gateId, digest, decision: "approved", proof });
  expect(await atOnce(lease.runId, redeem, redeem)).toEqual(["open", "open"]);
  expect(await count(lease, "gate.voted")).toBe(1);
});

test("expiring and deciding at once never both happen", async () => {
  for (const first of ["sweep", "decide"]) {
    const lease = await db.begun();
    const gate = await db.gate(lease, { expiresInMs: 1000 });
    if (first === "decide") await decide(gate, "approved");
    await db.advance("2 seconds");
    const core = openCore({ databaseUrl: db.url, sweepEveryMs: 10 });
    if (first === "sweep") await expect.poll(() => status(gate)).toBe("expired");
    const late = await outcome(decide(gate, "rejected"));
    expect(late).toBe("gate_already_resolved");
    expect(await status(gate)).toBe(first === "sweep" ? "expired" : "approved");
    await core.close();
  }
});

test("a worker that begins while the gate is decided finds the decision", async () => {
  const lease = await db.begun();
  const gate = await db.gate(lease);
  await db.call("runs.suspend", { ...lease, waits: { gates: [gate.gateId] } });
  const { runId } = lease;
  const grantId = newGrant();
  expect(
    await atOnce(
      runId,
      () => decide(gate, "approved"),
      () => db.call("runs.begin", { runId, grantId }),
    ),
  ).toEqual(["approved", "begun"]);
  expect(await count(lease, "run.woken")).toBe(1);
});
