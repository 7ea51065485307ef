import { isTidebaseError, newRunId, type Run } from "@tidebase/sdk";
import { expect, onTestFinished, test } from "vitest";
import { newGrant } from "../../core/test/support/database.ts";
import { deferred, useServer } from "./support.ts";

const server = useServer();
const statusOf = async (runId: string) => (await server.tidebase.runs.get(runId)).run.status;

async function eventsOf(runId: string, ...types: string[]) {
  const { events } = await server.tidebase.call("events.list", { runId, types });
  return events.map(({ type, data }) => ({ type, data }));
}

/** A run in a step that lasts until its signal is aborted. */
function stepping(prepare: (run: Run<undefined>) => void = () => {}) {
  const runId = newRunId();
  const begun = deferred();
  const aborted = deferred<{ reason: unknown; at: number }>();
  const ended = server.tidebase
    .run("stepping", { runId }, async (run) => {
      prepare(run);
      await run.step("long", async ({ signal }) => {
        begun.resolve();
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
        aborted.resolve({ reason: signal.reason, at: performance.now() });
        throw signal.reason;
      });
    })
    .catch((error: unknown) => error);
  return { runId, begun, aborted, ended };
}

test("a cancellation aborts the step's signal within two seconds, and the hooks run once, the latest first", async () => {
  const order: string[] = [];
  const run = stepping(({ onCancel }) => {
    onCancel(async ({ signal }) => void order.push(`first ${signal.aborted}`));
    onCancel(() => void order.push("second"));
    onCancel(() => void order.push("taken out"))();
  });
  await run.begun.promise;
  const cancelledAt = performance.now();
  const told = await server.tidebase.cancel(run.runId, { reason: "no longer needed" });
  expect(told).toMatchObject({ status: "cancelled", descendants: 0 });
  const { reason, at } = await run.aborted.promise;
  expect(at - cancelledAt).toBeLessThan(2000);
  expect(reason).toMatchObject({ code: "run_cancelled", data: { runId: run.runId } });
  expect(await run.ended).toMatchObject({ code: "run_cancelled" });
  expect(order).toEqual(["second", "first false"]);
  const events = await eventsOf(run.runId, "run.cancelled", "cleanup.begun", "cleanup.ended");
  expect(events).toMatchObject([
    { type: "run.cancelled", data: { reason: "no longer needed" } },
    { type: "cleanup.begun" },
    { type: "cleanup.ended" },
  ]);
});

test("a worker's run is cancelled the same way, and the worker goes on", async () => {
  const tidebase = server.client();
  const begun = deferred();
  let cleaned = 0;
  const held = tidebase.workflow("held", async ({ onCancel, step }) => {
    onCancel(() => void cleaned++);
    await step("long", ({ signal }) => {
      begun.resolve();
      return new Promise((_, reject) =>
        signal.addEventListener("abort", () => reject(signal.reason)),
      );
    });
  });
  tidebase.workflow("next", () => "next");
  const worker = tidebase.work({ concurrency: 1 });
  onTestFinished(() => worker.stop({ drainMs: 0 }));
  const { runId } = await tidebase.enqueue(held);
  await begun.promise;
  const next = await tidebase.enqueue("next");
  await tidebase.runs.attach(runId).cancel();
  expect(await tidebase.runs.attach(next.runId).result()).toBe("next");
  expect([cleaned, server.said]).toEqual([1, []]);
});

test("a clean-up that fails is recorded with its message, and the other hooks run all the same", async () => {
  let others = 0;
  const run = stepping(({ onCancel }) => {
    onCancel(() => void others++);
    onCancel(() => Promise.reject(new Error("the bucket is gone")));
  });
  await run.begun.promise;
  await server.tidebase.runs.cancel(run.runId);
  await run.ended;
  const [ended] = await eventsOf(run.runId, "cleanup.ended");
  expect([ended?.data, others]).toEqual([{ message: "the bucket is gone" }, 1]);
  expect(server.said).toEqual([expect.stringContaining("the bucket is gone")]);
});

test.each([60_000, 1000])(
  "a workflow that does not listen to its signal does not keep its clean-up waiting (lease of %i ms)",
  async (leaseMs) => {
    const [begun, cleaned, rest] = [deferred(), deferred(), deferred()];
    const runId = newRunId();
    const run = server.tidebase.run("deaf", { runId, leaseMs }, async ({ onCancel }) => {
      onCancel(() => cleaned.resolve());
      begun.resolve();
      await rest.promise;
    });
    const failure = run.catch((error: unknown) => error);
    await begun.promise;
    await server.tidebase.cancel(runId);
    await cleaned.promise;
    rest.resolve();
    expect(await failure).toMatchObject({ code: "run_cancelled" });
    expect(await eventsOf(runId, "cleanup.begun")).toHaveLength(1);
  },
);

test("a lease that is merely lost is told as soon, and nothing is cleaned up", async () => {
  let cleaned = 0;
  const run = stepping(({ onCancel }) => void onCancel(() => void cleaned++));
  await run.begun.promise;
  await server.db.advance("2 minutes");
  await server.db.call("runs.begin", { runId: run.runId, grantId: newGrant() });
  expect(await run.ended).toMatchObject({ code: "lease_lost" });
  expect([cleaned, await eventsOf(run.runId, "cleanup.begun")]).toEqual([0, []]);
});

test("one request watches all runs of a process, and none when they are short", async () => {
  const watches = () => server.requests.filter((path) => path === "/v1/runs/watch").length;
  await Promise.all(Array.from({ length: 5 }, () => server.tidebase.run("short", () => 1)));
  expect(watches()).toBe(0);
  const runs = Array.from({ length: 5 }, () => stepping());
  await Promise.all(runs.map(({ begun }) => begun.promise));
  await expect.poll(watches).toBeGreaterThan(0);
  expect(watches()).toBeLessThan(3);
  for (const { runId } of runs) await server.tidebase.cancel(runId);
  await Promise.all(runs.map(({ ended }) => ended));
});

test("a server that does not know how to watch is asked once", async () => {
  const problem = JSON.stringify({ code: "route_not_found", title: "No.", detail: "No." });
  let asked = 0;
  server.meddle = async (path, answer) => {
    if (path !== "/v1/runs/watch") return answer();
    asked += 1;
    return new Response(problem, { status: 404 });
  };
  const client = server.client();
  const done = deferred();
  const run = client.run("w", { leaseMs: 900 }, () => done.promise);
  const beats = () => server.requests.filter((path) => path === "/v1/runs/heartbeat").length;
  await expect.poll(beats).toBeGreaterThan(3);
  done.resolve();
  await run;
  expect([asked, server.said]).toEqual([1, []]);
});

test("a dry run cancels nothing, and what is completed stays completed", async () => {
  const { runs } = server.tidebase;
  const { runId } = await runs.create("w");
  expect(await runs.cancel(runId, { dryRun: true })).toMatchObject({
    dryRun: true,
    status: "pending",
  });
  expect(await statusOf(runId)).toBe("pending");
  await server.tidebase.run("w", { runId }, () => 1);
  await expect(runs.cancel(runId)).rejects.toMatchObject({ code: "run_completed" });
  const failure = await runs.cancel("run_x").catch((error: unknown) => error);
  expect(isTidebaseError(failure, "input_invalid")).toBe(true);
});

test("a deadline is set with the run and extended under its lease", async () => {
  const runId = newRunId();
  const deadlines = async () => (await server.tidebase.runs.get(runId)).run.deadlineAt;
  await server.tidebase.run("w", { runId, deadline: "1h" }, async ({ extendDeadline }) => {
    const first = Date.parse((await deadlines()) ?? "");
    expect(first - Date.now()).toBeGreaterThan(3_500_000);
    const later = await extendDeadline("2h");
    expect(later.toISOString()).toBe(await deadlines());
    expect(later.getTime() - first).toBeGreaterThan(3_500_000);
  });
});
