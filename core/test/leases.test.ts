import { expect, test } from "vitest";
import * as leases from "../src/leases/sql.ts";
import { bind, bindItems } from "../src/statement.ts";
import { newGrant, untilBlocked, useDatabase } from "./support/database.ts";

const db = useDatabase();
const status = async (runId: string) =>
  ((await db.call("runs.get", { runId }))["run"] as { status: string }).status;

test("of sixteen begins at once one is granted, and the others learn how long to wait", async () => {
  const runId = await db.pending();
  const begins = await Promise.allSettled(
    Array.from({ length: 16 }, () => db.call("runs.begin", { runId, grantId: newGrant() })),
  );
  const refused = begins
    .filter((begin) => begin.status === "rejected")
    .map((begin) => begin.reason);
  expect(refused).toHaveLength(15);
  expect(refused[0]).toMatchObject({
    code: "run_leased",
    data: { leaseLeftMs: expect.any(Number), epoch: 1 },
  });
});

test("a begin that is sent again finds its own grant", async () => {
  const { runId, epoch, grantId } = await db.begun();
  expect(await db.call("runs.begin", { runId, grantId })).toMatchObject({
    outcome: "begun",
    epoch,
  });
});

test("a heartbeat keeps the lease from being taken over, and appends no event", async () => {
  const lease = await db.begun();
  await db.advance("40 seconds");
  expect((await db.call("runs.heartbeat", { items: [lease] }))["results"]).toEqual([
    { outcome: "held" },
  ]);
  await db.advance("40 seconds");
  const rival = db.call("runs.begin", { runId: lease.runId, grantId: newGrant() });
  await expect(rival).rejects.toMatchObject({ code: "run_leased" });
  expect(await db.call("events.list", { runId: lease.runId })).toMatchObject({ lastSeq: 2 });
});

test("a lapsed lease is kept until somebody ends it: a late heartbeat and a late completion count", async () => {
  const lease = await db.begun();
  await db.advance("1 hour");
  const { results } = await db.call("steps.complete", {
    items: [{ ...lease, name: "late", output: 1 }],
  });
  expect(results).toEqual([{ outcome: "completed" }]);
  await db.advance("1 hour");
  expect(await db.complete(lease, { result: "late" })).toEqual({ outcome: "completed" });
});

test("a takeover costs an attempt and is told by the event, with the code version of each begin", async () => {
  const runId = await db.pending();
  await db.call("runs.begin", { runId, grantId: newGrant(), version: "a1" });
  await db.advance("2 minutes");
  const second = await db.call("runs.begin", { runId, grantId: newGrant(), version: "b2" });
  expect(second).toMatchObject({ epoch: 2, attempts: 1, previousVersion: "a1" });
  const { events } = await db.call("events.list", { runId, types: ["run.begun"] });
  expect(events).toMatchObject([
    { data: { epoch: 1, version: "a1" } },
    { data: { epoch: 2, version: "b2", takeover: "lease_over" } },
  ]);
});

test("a holder that is proven gone is taken over at once, by the epoch that was seen and no other", async () => {
  const runId = await db.pending();
  const holder = { host: "laptop", pid: 4711 };
  await db.call("runs.begin", { runId, grantId: newGrant(), holder });
  const refused = db.call("runs.begin", { runId, grantId: newGrant(), goneEpoch: 0 });
  await expect(refused).rejects.toMatchObject({ code: "run_leased", data: { epoch: 1 } });
  const again = await db.call("runs.begin", { runId, grantId: newGrant(), goneEpoch: 1 });
  expect(again).toMatchObject({ outcome: "begun", epoch: 2 });
  const { events } = await db.call("events.list", { runId, afterSeq: 2 });
  expect(events).toMatchObject([{ type: "run.begun", data: { takeover: "holder_gone" } }]);
});

test("a begin that waited for another begin is not shown the holder before it", async () => {
  const runId = await db.pending();
  await db.call("runs.begin", { runId, grantId: newGrant(), holder: { host: "old", pid: 1 } });
  await db.advance("2 minutes");
  const rival = await db.pool.connect();
  await rival.query("begin");
  const given = { runId, grantId: newGrant(), leaseMs: 60_000, holder: { host: "new", pid: 2 } };
  await rival.query(leases.begin.text, bind(leases.begin.parameters, given));
  const late = db
    .call("runs.begin", { runId, grantId: newGrant() })
    .catch((error: unknown) => error);
  await untilBlocked(db.pool, "runs.begin");
  await rival.query("commit");
  rival.release();
  expect(await late).toMatchObject({ code: "run_leased", data: { epoch: 2, holder: null } });
});

test("a begin that waited for the completion answers with the result", async () => {
  const lease = await db.begun();
  const worker = await db.pool.connect();
  await worker.query("begin");
  await worker.query(
    leases.complete.text,
    bindItems(leases.complete.parameters, [{ ...lease, result: { total: 3 } }]),
  );
  const second = db.call("runs.begin", { runId: lease.runId, grantId: newGrant() });
  await untilBlocked(db.pool, "runs.begin");
  await worker.query("commit");
  worker.release();
  expect(await second).toMatchObject({ outcome: "completed", result: { total: 3 } });
});

test("a result and what the SDK says of it share one limit, and the run stays as it was", async () => {
  const lease = await db.begun();
  const half = "x".repeat(600_000);
  await expect(db.complete(lease, { result: half, resultMeta: half })).rejects.toMatchObject({
    code: "result_too_large",
    data: { limitBytes: 1_048_576 },
  });
  expect(await status(lease.runId)).toBe("running");
});

test("ends of many runs in one call: each has its own outcome, in the order of the items", async () => {
  const [first, foreign, large, last] = await Promise.all([1, 2, 3, 4].map(() => db.begun()));
  const items = [
    { ...first, result: "first" },
    { ...foreign, grantId: newGrant(), result: "foreign" },
    { ...large, result: "x".repeat(1_100_000) },
    { ...last, result: "last" },
  ];
  expect((await db.call("runs.complete", { items }))["results"]).toEqual([
    { outcome: "completed" },
    { outcome: "lease_lost" },
    { outcome: "result_too_large", limitBytes: 1_048_576 },
    { outcome: "completed" },
  ]);
  const { result } = await db.call("runs.get", { runId: last?.runId, include: ["result"] });
  expect(result).toBe("last");
  const left = [foreign, large].map((lease) => status(lease?.runId ?? ""));
  expect(await Promise.all(left)).toEqual(["running", "running"]);
});

test("a completed run stays completed: a repeat gets the same answer, the table refuses any other status", async () => {
  const lease = await db.begun();
  for (const result of [1, 2]) {
    expect(await db.complete(lease, { result })).toEqual({ outcome: "completed" });
  }
  expect(await db.call("runs.begin", { runId: lease.runId, grantId: newGrant() })).toMatchObject({
    result: 1,
  });
  await expect(
    db.call("runs.fail", { ...lease, error: { message: "late" } }),
  ).rejects.toMatchObject({
    code: "lease_lost",
  });
  const update = db.pool.query(
    "update tidebase.runs set status = 'pending', lease_expires_at = null where run_id = $1",
    [lease.runId.slice(4)],
  );
  await expect(update).rejects.toMatchObject({ code: "TB001" });
});

test("begin of a cancelled run is run_cancelled, of an unknown one run_not_found, of another workflow a mismatch", async () => {
  const { runId } = await db.begun();
  const other = db.call("runs.begin", { runId, grantId: newGrant(), workflow: "other" });
  await expect(other).rejects.toMatchObject({
    code: "workflow_mismatch",
    data: { workflow: "test" },
  });
  await db.cancel(runId);
  await expect(db.call("runs.begin", { runId, grantId: newGrant() })).rejects.toMatchObject({
    code: "run_cancelled",
  });
  const unknown = { runId: "run_00000000-0000-7000-8000-000000000000", grantId: newGrant() };
  await expect(db.call("runs.begin", unknown)).rejects.toMatchObject({ code: "run_not_found" });
});

test("a released run is pending without an attempt used, and the old lease writes nothing more", async () => {
  const lease = await db.begun();
  for (let n = 0; n < 2; n++)
    expect(await db.call("runs.release", { ...lease, reason: "shutdown" })).toEqual({
      outcome: "released",
    });
  expect(await status(lease.runId)).toBe("pending");
  const { results } = await db.call("steps.complete", {
    items: [{ ...lease, name: "s", output: 1 }],
  });
  expect(results).toEqual([{ outcome: "lease_lost" }]);
  const next = await db.call("runs.begin", { runId: lease.runId, grantId: newGrant() });
  expect(next).toMatchObject({ epoch: 2, attempts: 0 });
});

test("a failed run keeps the whole error, answers a repeat, and is begun again with its failure cleared", async () => {
  const lease = await db.begun();
  const error = {
    name: "TypeError",
    message: "no\u0000good \ud800",
    stack: "at x",
    cause: { message: "deep" },
  };
  for (let n = 0; n < 2; n++)
    expect(await db.call("runs.fail", { ...lease, error })).toEqual({
      outcome: "failed",
      status: "failed",
      failureClass: "workflow_error",
      attempts: 1,
      retryInMs: null,
    });
  expect(await db.call("runs.get", { runId: lease.runId })).toMatchObject({
    run: { status: "failed", failureClass: "workflow_error", error, errorMessage: "no good" },
  });
  await db.call("runs.begin", { runId: lease.runId, grantId: newGrant() });
  expect(await db.call("runs.get", { runId: lease.runId })).toMatchObject({
    run: { status: "running", failureClass: null },
  });
});

test("a failure with a step under review rests the run in manual_review, whatever the worker said", async () => {
  const lease = await db.begun();
  const step = { ...lease, name: "charge", contract: { sideEffects: ["payment"] } };
  await db.call("steps.begin", { items: [step] });
  const { results } = await db.call("steps.fail", {
    items: [{ ...step, error: {}, message: "timeout" }],
  });
  expect(results).toEqual([{ outcome: "manual_review" }]);
  expect(await db.call("runs.fail", { ...lease, error: { message: "x" } })).toMatchObject({
    failureClass: "manual_review",
  });
});

test("a failure that waited behind a step of its run looks again, and sees that step", async () => {
  const lease = await db.begun();
  const branch = await db.pool.connect();
  await branch.query("begin");
  const { begin } = await import("../src/steps/sql.ts");
  const step = {
    ...lease,
    name: "charge",
    key: "",
    attempt: 1,
    onUnknown: "manual_review" as const,
  };
  await branch.query(begin.text, bindItems(begin.parameters, [step]));
  const failing = db.call("runs.fail", { ...lease, error: { message: "other branch" } });
  await untilBlocked(db.pool, "runs.fail");
  await branch.query("commit");
  branch.release();
  expect(await failing).toMatchObject({ failureClass: "manual_review" });
});

test("steps of other code that nobody asked for are named by the final event and by the verdict", async () => {
  const lease = await db.begun();
  const orphanedSteps = [{ name: "old", key: "" }];
  await db.call("runs.fail", { ...lease, error: { message: "x" }, orphanedSteps });
  const { verdict } = await db.call("runs.get", { runId: lease.runId });
  expect(verdict).toMatchObject({ warnings: [expect.stringContaining("never asked for: 1")] });
});
