import { serve } from "@hono/node-server";
import { afterAll, describe, expect, test } from "vitest";
import { newGrant, useDatabase } from "../../core/test/support/database.ts";
import { createApp } from "../../http-server/src/app.ts";
import { TOOLSETS } from "../src/tool.ts";
import { type Answer, useAgent } from "./support.ts";

const db = useDatabase();
const server = serve({ fetch: createApp(db.core).fetch, hostname: "127.0.0.1", port: 0 });
afterAll(() => new Promise((resolve) => server.close(resolve)));

const backends = {
  database: () => ({ TIDEBASE_DATABASE_URL: db.url }),
  server() {
    const address = server.address();
    const port = typeof address === "object" ? address?.port : undefined;
    return { TIDEBASE_URL: `http://127.0.0.1:${port}` };
  },
};

/** Runs in the queue. */
async function enqueue(queue: string, count = 1, more: object = {}): Promise<string[]> {
  const items = Array.from({ length: count }, () => ({ workflow: "report", queue, ...more }));
  const { results } = await db.call("runs.enqueue", { items });
  return (results as { runId: string }[]).map(({ runId }) => runId);
}

/** A run of the queue that failed for good. */
async function deadLetter(queue: string): Promise<string> {
  await enqueue(queue, 1, { maxAttempts: 1 });
  const grantId = newGrant();
  const { runs } = await db.call("queues.claim", { queue, grantId });
  const [{ runId, epoch }] = runs as [{ runId: string; epoch: number }];
  const error = { name: "Error", message: "The printer is on fire" };
  await db.call("runs.fail", { runId, epoch, grantId, error });
  return runId;
}

describe.each(["database", "server"] as const)("next to a %s", (kind) => {
  const agent = useAgent(backends[kind], { toolsets: TOOLSETS });
  const [jobs, dead, paused] = [`jobs-${kind}`, `dead-${kind}`, `paused-${kind}`];

  test("a queue's depth, limits and workers are told", async () => {
    await enqueue(jobs, 3);
    const workerId = "worker_00000000-0000-7000-8000-000000000001";
    const holder = { host: "blue", pid: 7 };
    const claim = { queue: jobs, grantId: newGrant(), workerId, version: "v3", holder };
    const { runs } = await db.call("queues.claim", claim);
    expect(runs).toHaveLength(1);
    const answer = await agent.call("tidebase_list_queues", { queue: jobs });
    expect(answer).toMatchObject({
      queues: [{ n: 1, paused: false, ready: 2, running: 1, failed: 0, workers: 1 }],
      workers: [{ workerId, age: expect.any(String) }],
    });
    expect(answer.untrusted.data).toMatchObject({
      queues: [{ n: 1, queue: jobs }],
      workers: [{ workerId, version: "v3", holder: expect.stringContaining("blue") }],
    });
    const typo = await agent.call("tidebase_list_queues", { queue: "jbos" });
    expect(typo.hints).toEqual([expect.stringContaining("Nothing is known")]);
  });

  test("a queue is paused, limited and resumed, each after a dry run", async () => {
    const pause = { queue: paused, action: "pause" };
    await enqueue(paused);
    const dry = await agent.call("tidebase_manage_queue", pause);
    expect(dry).toMatchObject({ dryRun: true, applied: false, ready: 1 });
    expect([dry.before, dry.after]).toEqual([{ paused: false }, { paused: true }]);
    expect((await agent.call("tidebase_list_queues", { queue: paused })).queues[0].paused).toBe(
      false,
    );
    const done = await agent.call("tidebase_manage_queue", { ...pause, dryRun: false });
    expect(done).toMatchObject({ applied: true, after: { paused: true } });
    const overview = await agent.call("tidebase_overview");
    const found = overview.untrusted.data.queues.find(({ queue }: Answer) => queue === paused);
    expect(overview.queues.worst[found.n - 1]).toMatchObject({ paused: true, ready: 1 });
    const limits = { queue: paused, action: "limits", dryRun: false };
    const limited = { ...limits, concurrency: 2, ratePerMinute: 10 };
    expect((await agent.call("tidebase_manage_queue", limited)).after).toEqual({
      paused: true,
      concurrency: 2,
      ratePerMinute: 10,
    });
    const lifted = await agent.call("tidebase_manage_queue", { ...limits, concurrency: 0 });
    expect(lifted.after).toEqual({ paused: true, ratePerMinute: 10 });
    const resume = { queue: paused, action: "resume", dryRun: false };
    expect((await agent.call("tidebase_manage_queue", resume)).after.paused).toBe(false);
  });

  test("dead letters are found, and redriven as the dry run counted them", async () => {
    const runId = await deadLetter(dead);
    expect((await agent.call("tidebase_overview")).hints).toContainEqual(
      expect.stringContaining("Dead letters"),
    );
    const redrive = { queue: dead, action: "redrive", search: "printer" };
    const dry = await agent.call("tidebase_manage_queue", redrive);
    expect(dry).toMatchObject({ dryRun: true, matching: 1, redriven: 0, more: false });
    const early = await agent.refused("tidebase_manage_queue", { ...redrive, dryRun: false });
    expect(early).toMatchObject({
      code: "input_invalid",
      message: expect.stringContaining("until"),
    });
    const later = await deadLetter(dead);
    const act = { ...redrive, dryRun: false, until: dry.until };
    expect(await agent.call("tidebase_manage_queue", act)).toMatchObject({
      applied: true,
      redriven: 1,
    });
    const { run } = await agent.call("tidebase_get_run", { runId });
    expect(run.status).toBe("queued");
    const failed = await agent.call("tidebase_list_runs", { queue: dead, status: ["failed"] });
    expect(failed.runs.map((row: Answer) => row.runId)).toEqual([later]);
    expect(failed.untrusted.data.runs[0].queue).toBe(dead);
  });

  test("a run is put into a queue once, and its place in it is told", async () => {
    const queue = `new-${kind}`;
    const input = JSON.parse('{"customer":7,"__proto__":1}');
    const given = { workflow: "bill", queue, input, idempotencyKey: `bill-${kind}` };
    const made = await agent.call("tidebase_enqueue_run", given);
    expect(made).toMatchObject({ status: "queued", outcome: "created" });
    expect(made.hints).toContainEqual(expect.stringContaining("No worker"));
    const again = await agent.call("tidebase_enqueue_run", given);
    expect(again).toMatchObject({ runId: made.runId, outcome: "existing" });
    const other = await agent.refused("tidebase_enqueue_run", { ...given, input: {} });
    expect(other).toMatchObject({ code: "idempotency_conflict", runId: made.runId });
    expect(other.differs).toEqual(["input"]);
    const { runId } = made;
    const answer = await agent.call("tidebase_get_run", { runId, include: ["input"] });
    expect(answer).toMatchObject({
      run: { status: "queued", runAt: expect.any(String), readyAge: expect.any(String) },
      untrusted: { data: { workflow: "bill", queue, input: '{"customer":7,"__proto__":1}' } },
    });
    const late = { workflow: "bill", queue, delayMs: 3_600_000 };
    const delayed = await agent.call("tidebase_enqueue_run", late);
    const { run } = await agent.call("tidebase_get_run", { runId: delayed.runId });
    expect(run).not.toHaveProperty("readyAge");
  });

  test("a run is cancelled with its children after a dry run that counts them", async () => {
    const lease = await db.begun();
    const { runId } = lease;
    const children = ["a", "b"].map((key) => ({ name: "part", key, workflow: "part" }));
    await db.call("children.create", { ...lease, children });
    await db.call("runs.deadline", { runId, deadlineMs: 3_600_000 });
    const before = await agent.call("tidebase_get_run", { runId });
    expect(before.run.deadlineAt).toEqual(expect.any(String));
    expect(before.children).toEqual({ total: 2, counts: [{ status: "pending", count: 2 }] });
    const dry = await agent.call("tidebase_cancel_run", { runId });
    expect(dry).toMatchObject({ dryRun: true, status: "running", descendants: 2 });
    const act = { runId, dryRun: false, asOf: dry.seq, reason: "asked by \u202eBob" };
    const moved = await agent.refused("tidebase_cancel_run", { ...act, asOf: dry.seq - 1 });
    expect(moved).toMatchObject({ code: "run_changed", seq: dry.seq });
    const done = await agent.call("tidebase_cancel_run", act);
    expect(done).toMatchObject({ applied: true, status: "cancelled", descendants: 2 });
    const late = await agent.call("tidebase_cancel_run", { ...act, asOf: 999 });
    expect(late).toMatchObject({ applied: false, status: "cancelled", seq: done.seq });
    expect(late.hints).toEqual([expect.stringContaining("cancelled already")]);
    const after = await agent.call("tidebase_get_run", { runId });
    expect(after.children.counts).toEqual([{ status: "cancelled", count: 2 }]);
    expect(after.untrusted.data).toMatchObject({
      cancelReason: "asked by \\u{202e}Bob",
      cancelledBy: "local",
    });
    const { runs } = await agent.call("tidebase_list_runs", { status: ["cancelled"] });
    expect(runs.filter((row: Answer) => row.parentRunId === runId)).toHaveLength(2);
  });
});

describe("a server that was not told to start runs", () => {
  const ops = useAgent(backends.database);

  test("does not offer it", async () => {
    expect(await ops.refused("tidebase_enqueue_run", { workflow: "x" })).toMatchObject({
      code: "tool_not_found",
    });
  });

  test.each([
    [{ action: "pause", concurrency: 3 }, "concurrency"],
    [{ action: "limits" }, "No limit"],
    [{ action: "limits", concurrency: 1, search: "mail" }, "search"],
    [{ action: "redrive", concurrency: 1 }, "concurrency"],
  ])("%j is refused before anything is done", async (given, said) => {
    const error = await ops.refused("tidebase_manage_queue", { queue: "jobs", ...given });
    expect(error).toMatchObject({ code: "input_invalid", message: expect.stringContaining(said) });
  });
});
