import { serve } from "@hono/node-server";
import { type Backend, localBackend, remote, toJson } from "@tidebase/core";
import { createApp } from "@tidebase/server";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  ada,
  local,
  newGrant,
  operationNamed,
  useDatabase,
} from "../core/test/support/database.ts";

const db = useDatabase();
let far: Backend;
let server: ReturnType<typeof serve>;

beforeAll(async () => {
  const { fetch } = createApp(db.core, { authenticate: () => local });
  const port = await new Promise<number>((resolve) => {
    server = serve({ fetch, hostname: "127.0.0.1", port: 0 }, (info) => resolve(info.port));
  });
  far = remote({ url: `http://127.0.0.1:${port}` });
});
afterAll(async () => {
  await new Promise((resolve) => server.close(resolve));
});

/** What an operation answers or refuses, on either backend, as the wire shows it. */
async function answer(backend: Backend, name: string, input: object): Promise<unknown> {
  try {
    const { now: _, ...rest } = JSON.parse(
      toJson(await backend.execute(operationNamed(name), input)),
    );
    return rest; // the clock goes on between the two
  } catch (error) {
    const { code, data } = error as { code: string; data: object };
    return { code, data: JSON.parse(JSON.stringify({ ...data, requestId: undefined })) };
  }
}

async function both(name: string, input: object): Promise<unknown> {
  const near = await answer(localBackend(db.core, local), name, input);
  expect(await answer(far, name, input), name).toEqual(near);
  return near;
}

test("every read and every refusal is the same next to a database and over HTTP", async () => {
  const lease = await db.begun();
  const { runId } = lease;
  const step = { ...lease, name: "s", key: "1", output: { z: 1, a: [null] } };
  await db.call("steps.complete", { items: [step] });
  await db.call("state.write", { ...lease, kind: "set", value: { a: 1 }, label: "first" });
  await db.call("state.write", { ...lease, kind: "patch", value: { a: null, b: [2] } });
  const spent = { kind: "llm", inputTokens: 3, costUsd: "0.10", metadata: { z: [null] } };
  await db.call("usage.record", { ...lease, ...spent, writeKey: "k" });
  const { gateId, digest } = await db.gate(lease, { data: { to: "all" }, risk: "high" });
  await db.call("runs.fail", { ...lease, error: { message: "stop" } });
  await both("gates.get", { gateId });
  await both("gates.list", { runId, limit: 5 });
  await both("gates.list", { cursor: "nonsense" });
  await both("gates.resolve", { gateId, digest, decision: "approved" });
  await both("gates.code", { gateId, decision: "approved" });
  await both("gates.form", { gateId });
  await db.call("gates.resolve", { gateId, digest, decision: "approved" }, ada);
  expect(await both("gates.resolve", { gateId, digest, decision: "rejected" })).toMatchObject({
    ...{ code: "gate_already_resolved", data: { gateStatus: "approved" } },
  });
  const review = { name: "s", key: "1", decision: "retry", reason: "looked" };
  expect(await both("steps.review", { runId, ...review })).toMatchObject({
    ...{ code: "step_not_in_review", data: { stepStatus: "completed" } },
  });
  await both("runs.get", { runId, include: ["input", "result"] });
  await both("runs.list", { status: ["failed", "pending"], limit: 5 });
  await both("runs.list", { cursor: "nonsense" });
  await both("runs.verdict", { runId });
  await both("runs.recover", { runId });
  await both("runs.fork", { runId, from: { name: "s", key: "1" } });
  await both("runs.overview", {});
  await both("steps.journal", { runId });
  await both("steps.list", { runId, limit: 1 });
  await both("steps.get", { runId, name: "s", key: "1" });
  await both("steps.get", { runId, name: "none" });
  await both("state.read", { runId, version: 1, path: "/a" });
  await both("state.read", { runId, version: 9 });
  await both("state.versions", { runId, labeled: "true" });
  await both("state.diff", { runId, from: 1, to: 2 });
  await both("state.streams", { runId });
  await both("usage.list", { runId, limit: 1 });
  await both("usage.list", { runId, afterSeq: 9 });
  await both("usage.totals", { runId, tree: "true", by: "day", until: "2030-01-01" });
  await both("usage.totals", { workflow: "test", limit: 1 });
  await both("usage.totals", { tree: "true" });
  await both("usage.record", { ...lease, ...spent });
  await both("usage.record", { ...lease, kind: "llm", costUsd: "-1" });
  await both("events.list", { runId, afterSeq: 1, types: ["state.set", "run.failed"] });
  await both("webhooks.list", {});
  await both("webhooks.create", { name: "w", url: "https://127.0.0.1/" });
  await both("webhooks.rotate", { webhookId: "webhook_00000000-0000-7000-8000-000000000000" });
  await both("deliveries.list", { runId, status: "pending" });
  await both("deliveries.redeliver", {});
  await both("audit.list", { limit: 1 });
  await both("runs.get", { runId: "run_00000000-0000-7000-8000-000000000000" });
  await both("runs.get", { runId: "7" });
  await both("runs.complete", { items: [{ ...lease, result: 1 }] });
  await both("steps.begin", { items: [{ ...lease, name: "late" }] });
});

test("queues, children, cancellation and schedules answer alike next to a database and over HTTP", async () => {
  const queue = "a/b %2F?";
  const lease = await db.begun();
  const { runId } = lease;
  await both("queues.update", { queue, concurrency: 2, keyConcurrency: null, paused: true });
  await both("queues.update", { queue, webhook: "none" });
  await both("queues.get", { queue });
  await both("queues.list", { limit: 1, after: "a" });
  await both("queues.claim", { queue, grantId: newGrant(), waitMs: 20, workflows: ["w"] });
  await both("queues.redrive", {
    queue,
    until: "2030-01-01T00:00:00Z",
    failureClass: "worker_lost",
  });
  await both("runs.watch", { items: [lease, { ...lease, epoch: 9 }], waitMs: 20 });
  const children = [{ name: "page", key: "1", workflow: "page", queue }];
  await answer(far, "children.create", { ...lease, children });
  await both("children.create", { ...lease, children });
  await both("children.list", { runId, name: "page", limit: 1, include: ["result"] });
  await both("runs.list", { queue, parentRunId: runId });
  await both("runs.deadline", { ...lease, deadlineMs: null });
  await both("runs.deadline", { ...lease, epoch: 9, deadlineMs: 1 });
  await both("cleanups.begin", lease);
  await both("runs.cancel", { runId, dryRun: true });
  await answer(far, "runs.cancel", { runId, reason: "enough" });
  expect(await both("runs.cancel", { runId })).toMatchObject({ status: "cancelled" });
  await both("runs.erase", { runId, tree: true, reason: 7 });
  await answer(far, "cleanups.begin", lease);
  await answer(far, "cleanups.end", lease);
  await both("cleanups.end", lease);
  await answer(far, "runs.erase", { runId });
  expect(await both("runs.erase", { runId })).toMatchObject({ already: true, erased: 0 });
  await both("runs.begin", { runId, grantId: newGrant() });
  await both("runs.get", { runId });
  const name = "50%/day ?";
  const schedule = { name, cron: "0 3 * * *", workflow: "w", input: [1], tags: ["b", "a"] };
  await answer(far, "schedules.put", schedule);
  expect(await both("schedules.put", schedule)).toMatchObject({ outcome: "unchanged" });
  await both("schedules.put", { ...schedule, cron: "61 * * * *" });
  await answer(far, "schedules.trigger", { name, idempotencyKey: "manual" });
  await both("schedules.trigger", { name, idempotencyKey: "manual" });
  await both("schedules.update", { name, paused: false });
  await both("schedules.get", { name });
  await both("schedules.list", { limit: 1 });
  await both("schedules.fires", { name, limit: 1 });
  await answer(far, "schedules.delete", { name });
  expect(await both("schedules.delete", { name })).toMatchObject({ code: "schedule_not_found" });
});

test("a write that is repeated over the other backend finds what the first recorded", async () => {
  const created = await both("runs.create", {
    workflow: "w",
    idempotencyKey: "k",
    input: [1],
  }).catch(() => undefined);
  expect(created).toBeUndefined(); // the first created it, the second found it
  const { runId } = (await answer(far, "runs.create", {
    workflow: "w",
    idempotencyKey: "k",
    input: [1],
  })) as { runId: string };
  const items = [{ workflow: "w", queue: "twice", idempotencyKey: "k2", dedupeKey: "d" }];
  await answer(far, "runs.enqueue", { items });
  await both("runs.enqueue", { items });
  const claim = { queue: "twice", grantId: newGrant(), leaseMs: 60_000 };
  const { runs } = (await answer(far, "queues.claim", claim)) as { runs: object[] };
  expect(await both("queues.claim", claim)).toEqual({ runs });
  const begin = { runId, grantId: newGrant(), leaseMs: 60_000 };
  expect(await answer(far, "runs.begin", begin)).toMatchObject({ outcome: "begun", epoch: 1 });
  const lease = { runId, epoch: 1, grantId: begin.grantId };
  await both("steps.complete", { items: [{ ...lease, name: "s", output: 1 }] });
  await both("steps.begin", { items: [{ ...lease, name: "s" }] });
  await both("timers.set", { ...lease, name: "nap", until: "2020-01-01T00:00:00Z" });
  const { seq } = (await db.call("signals.send", { runId, name: "go", key: "k" })) as {
    seq: number;
  };
  expect(await both("signals.send", { runId, name: "go", key: "k" })).toMatchObject({ seq });
  await both("signals.take", { ...lease, name: "wait", signal: "go" });
  await both("gates.open", { ...lease, name: "g", prompt: "Go on?" });
  await both("runs.suspend", { ...lease, waits: { timers: [{ name: "nap" }] } });
  await both("runs.suspend", { ...lease, waits: { signals: ["never sent"] } });
  const next = { runId, grantId: newGrant() };
  expect(await answer(far, "runs.begin", next)).toMatchObject({ outcome: "begun", epoch: 2 });
  await both("runs.complete", { items: [{ ...next, epoch: 2, result: { done: true } }] });
});

test.each([
  ["credentials in the address", { url: "http://name:word@127.0.0.1:1/" }],
  ["a port that no client uses", { url: "http://127.0.0.1:9/" }],
  ["a key that no header can hold", { url: "http://127.0.0.1:59999/", apiKey: "tb_\n" }],
])("a call that was never sent, for %s, is not said to be of unknown outcome", async (_, where) => {
  expect(await answer(remote(where), "runs.list", {})).toMatchObject({ code: "store_unavailable" });
});
