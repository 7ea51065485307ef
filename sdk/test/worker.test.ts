import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { FatalError, type Run, type WorkedRun, type WorkOptions } from "@tidebase/sdk";
import { Webhook } from "standardwebhooks";
import { expect, onTestFinished, test } from "vitest";
import { end, untilPrinted } from "../../test/support/process.ts";
import { deferred, useServer } from "./support.ts";

const server = useServer();
const runOf = async (runId: string) => (await server.tidebase.runs.get(runId)).run;
const statusOf = async (runId: string) => (await runOf(runId)).status;

/** A client with a worker of its own queue, and what it was told. */
function working(queue: string, options: WorkOptions = {}) {
  const tidebase = server.client();
  const errors: { error: unknown; run: WorkedRun }[] = [];
  const onError = (error: unknown, run: WorkedRun) => void errors.push({ error, run });
  const work = (more: WorkOptions = {}) => {
    const worker = tidebase.work({ queues: [queue], onError, ...options, ...more });
    onTestFinished(() => worker.stop({ drainMs: 0 }));
    return worker;
  };
  return { tidebase, errors, work };
}

test("a worker works on what is enqueued, before and after it began, and gives the results", async () => {
  const { tidebase, work } = working("first");
  const sum = tidebase.workflow("sum", ({ input, step }: Run<number[]>) =>
    step("add", () => input.reduce((a, b) => a + b, 0)),
  );
  const before = await tidebase.enqueue(sum, { queue: "first", input: [1, 2] });
  const worker = work();
  expect(await tidebase.runs.attach(before.runId).result()).toBe(3);
  const after = await tidebase.enqueue(sum, { queue: "first", input: [3, 4] });
  expect(await tidebase.runs.attach(after.runId).result()).toBe(7);
  const { workers } = await tidebase.queues.get("first");
  expect(workers.map(({ workerId }) => workerId)).toEqual([worker.workerId]);
  await worker.stop();
  await worker.done;
});

test("short runs cost a claim and their end: no heartbeat, no watch", async () => {
  const { tidebase, work } = working("short", { concurrency: 1 });
  const nothing = tidebase.workflow("nothing", () => null);
  const { runId } = await tidebase.enqueue(nothing, { queue: "short" });
  const worker = work();
  await expect.poll(() => statusOf(runId)).toBe("completed");
  await worker.stop();
  const asked = server.requests.filter((path) => /heartbeat|watch|journal|begin/.test(path));
  expect(asked).toEqual([]);
});

test("never more runs than its number are worked on, and all of them are in the end", async () => {
  const { tidebase, work } = working("many", { concurrency: 3 });
  let [now, most] = [0, 0];
  tidebase.workflow("counted", async ({ step }) => {
    now += 1;
    most = Math.max(most, now);
    await step("s", () => new Promise((resolve) => setImmediate(resolve)));
    now -= 1;
  });
  await tidebase.enqueueMany("counted", Array(20).fill({ queue: "many" }));
  const worker = work();
  const completed = async () =>
    (await tidebase.runs.list({ queue: "many", status: ["completed"] })).runs.length;
  await expect.poll(completed).toBe(20);
  expect(most).toBe(3);
  expect(worker.active).toBe(0);
});

test("a run that somebody holds locked keeps the others of its worker waiting for nothing", async () => {
  const { tidebase, work } = working("locked", { concurrency: 3 });
  const [begun, mayEnd] = [deferred<string>(), deferred()];
  let ended = 0;
  tidebase.workflow("nap", async (run) => {
    if (run.input === "locked") {
      begun.resolve(run.runId);
      await mayEnd.promise;
    }
    ended += 1;
  });
  await tidebase.enqueue("nap", { queue: "locked", input: "locked", priority: 1 });
  const worker = work();
  const letGo = await server.db.hold(await begun.promise);
  mayEnd.resolve();
  const others = await tidebase.enqueueMany(
    "nap",
    Array.from({ length: 40 }, () => ({ queue: "locked" })),
  );
  const completed = async () => {
    const ids = others.map(({ runId }) => runId?.slice(4));
    const text = "select from tidebase.runs where run_id = any ($1) and status = 'completed'";
    return (await server.db.pool.query(text, [ids])).rowCount;
  };
  await expect.poll(completed, { timeout: 10_000 }).toBe(40);
  await letGo();
  await worker.stop();
  expect(ended).toBe(41);
});

test("two queues take turns, however much the first one holds", async () => {
  const { tidebase } = working("");
  const order: string[] = [];
  tidebase.workflow("ordered", ({ input }: { input: string }) => void order.push(input));
  const queued = (queue: string, n: number) =>
    tidebase.enqueueMany("ordered", Array(n).fill({ queue, input: queue }));
  await queued("fair-a", 30);
  await queued("fair-b", 5);
  const worker = tidebase.work({ queues: ["fair-a", "fair-b"], concurrency: 2 });
  onTestFinished(() => worker.stop({ drainMs: 0 }));
  await expect.poll(() => order.length).toBe(35);
  expect(order.lastIndexOf("fair-b")).toBeLessThan(20);
});

test("with one slot for two queues, work in either is found", async () => {
  const { tidebase } = working("");
  tidebase.workflow("either", () => 1);
  const worker = tidebase.work({ queues: ["slot-a", "slot-b"], concurrency: 1 });
  onTestFinished(() => worker.stop({ drainMs: 0 }));
  for (const queue of ["slot-b", "slot-a", "slot-b"]) {
    const { runId } = await tidebase.enqueue("either", { queue });
    expect(await tidebase.runs.attach(runId).result()).toBe(1);
  }
});

test("a failed run rests, is tried again, and in the end is a dead letter that can be redriven", async () => {
  const { tidebase, errors, work } = working("failing");
  let isBroken = true;
  const failing = tidebase.workflow("failing", async ({ step }) => {
    await step("kept", () => 1);
    if (isBroken) throw new Error("model overloaded");
    return "mended";
  });
  work();
  const backoff = { minMs: 1, factor: 1, maxMs: 2 };
  const queued = { queue: "failing", maxAttempts: 3, backoff };
  const { runId } = await tidebase.enqueue(failing, queued);
  await expect.poll(() => statusOf(runId)).toBe("failed");
  expect(await runOf(runId)).toMatchObject({ failureClass: "max_attempts", attempts: 3 });
  expect(errors.map(({ run }) => run)).toEqual(
    Array(3).fill({ runId, workflow: "failing", queue: "failing" }),
  );
  isBroken = false;
  expect(await tidebase.queues.redrive("failing", { dryRun: false })).toMatchObject({
    redriven: 1,
  });
  await expect.poll(() => statusOf(runId)).toBe("completed");
  const { steps } = await tidebase.runs.steps(runId);
  expect(steps).toMatchObject([{ name: "kept", attempt: 1 }]);
});

test("a fatal error, and any error that says it is not retryable, is not tried again", async () => {
  const { tidebase, work } = working("fatal");
  const errors = [
    new FatalError("no such model"),
    Object.assign(new Error("no"), { retryable: false }),
  ];
  const fatal = tidebase.workflow("fatal", ({ input }: { input: number }) => {
    throw errors[input];
  });
  work();
  for (const input of [0, 1]) {
    const { runId } = await tidebase.enqueue(fatal, { queue: "fatal", input });
    await expect.poll(() => statusOf(runId)).toBe("failed");
    expect(await runOf(runId)).toMatchObject({ failureClass: "workflow_error", attempts: 1 });
  }
});

test("a step that throws a fatal error is not tried again either", async () => {
  const run = server.tidebase.run("w", ({ step }) =>
    step("s", { retry: { maxAttempts: 5, minMs: 1 } }, ({ attempt }) => {
      throw new FatalError(`attempt ${attempt}`);
    }),
  );
  await expect(run).rejects.toThrow("attempt 1");
});

test("a pushed run is taken over by the endpoint it was sent to; one that came back too late is no error", async () => {
  const { tidebase } = server;
  tidebase.workflow("pushed", () => "by a push");
  const { runId } = await tidebase.enqueue("pushed", { queue: "push" });
  const secret = `whsec_${Buffer.from("p".repeat(32)).toString("base64")}`;
  const [work, errors]: [Promise<void>[], unknown[]] = [[], []];
  const handle = tidebase.webhook({
    secret,
    waitUntil: (promise) => void work.push(promise),
    onError: (error) => void errors.push(error),
  });
  const invoke = async (id: string) => {
    const at = new Date();
    const data = { runId, workflow: "pushed" };
    const body = JSON.stringify({ type: "run.invoke", timestamp: at.toISOString(), data });
    const headers = {
      "webhook-id": id,
      "webhook-timestamp": String(Math.floor(at.getTime() / 1000)),
      "webhook-signature": new Webhook(secret).sign(id, at, body),
    };
    const answer = await handle(new Request("http://here", { method: "POST", headers, body }));
    expect(answer.status).toBe(202);
    await Promise.all(work);
  };
  await invoke("too late");
  expect([errors, await statusOf(runId)]).toEqual([[], "queued"]);
  await server.db.pool.query(
    "select from tidebase.claim('push', gen_random_uuid(), 1, 60000, null, true)",
  );
  await invoke("in time");
  expect([errors, await statusOf(runId)]).toEqual([[], "completed"]);
});

test("a run of a workflow that the worker does not know stays queued", async () => {
  const { tidebase, work } = working("unknown");
  tidebase.workflow("known", () => 1);
  tidebase.workflow("not chosen", () => 1);
  const unknown = await tidebase.enqueue("unknown", { queue: "unknown" });
  const other = await tidebase.enqueue("not chosen", { queue: "unknown" });
  const known = await tidebase.enqueue("known", { queue: "unknown" });
  work({ workflows: ["known"] });
  await expect.poll(() => statusOf(known.runId)).toBe("completed");
  for (const { runId } of [unknown, other])
    expect(await runOf(runId)).toMatchObject({ status: "queued", attempts: 0, epoch: 0 });
  expect(() => work({ workflows: ["missing"] })).toThrow(/not registered|Register its code/);
  expect(() => tidebase.work({ concurrency: 0 })).toThrow(/concurrency/);
  expect(() => server.client().work()).toThrow(/knows no workflow/);
});

test("a suspended run frees its slot and goes on in whichever worker claims it", async () => {
  const { tidebase, errors, work } = working("waiting", { concurrency: 1 });
  const waiting = tidebase.workflow("waiting", async ({ waitFor }) => {
    const outcome = await waitFor<string>("go");
    return outcome;
  });
  tidebase.workflow("quick", () => "done");
  const worker = work();
  const { runId } = await tidebase.enqueue(waiting, { queue: "waiting" });
  await expect.poll(() => statusOf(runId)).toBe("waiting");
  const quick = await tidebase.enqueue("quick", { queue: "waiting" });
  expect(await tidebase.runs.attach(quick.runId).result()).toBe("done");
  await worker.stop();
  work();
  await tidebase.signal(runId, "go", "now");
  await expect.poll(() => statusOf(runId)).toBe("completed");
  expect([errors, (await runOf(runId)).attempts]).toEqual([[], 0]);
});

test("a stopped worker lets what it works on end, claims no more, and hands the rest back", async () => {
  const { tidebase, work } = working("stop", { concurrency: 2 });
  const ends = { short: deferred<string>(), long: deferred<string>() };
  tidebase.workflow("held", ({ input, step }: Run<"short" | "long">) =>
    step("s", () => ends[input].promise),
  );
  const worker = work();
  const ids: string[] = [];
  for (const input of ["short", "long", "late"])
    ids.push((await tidebase.enqueue("held", { queue: "stop", input })).runId);
  await expect.poll(() => worker.active).toBe(2);
  const stopping = worker.stop({ drainMs: 60_000 });
  ends.short.resolve("in time");
  await expect.poll(() => statusOf(ids[0] ?? "")).toBe("completed");
  await worker.stop({ drainMs: 0 });
  await stopping;
  const after = await Promise.all(ids.map(runOf));
  expect(after.map(({ status, attempts }) => [status, attempts])).toEqual([
    ["completed", 0],
    ["queued", 0],
    ["queued", 0],
  ]);
});

test("a claim that is answered while the worker stops is handed back", async () => {
  const { tidebase, work } = working("under-way");
  tidebase.workflow("w", () => expect.unreachable());
  const [claimed, go] = [deferred(), deferred()];
  server.meddle = async (path, answer) => {
    const answered = await answer();
    if (!path.endsWith("/claim")) return answered;
    claimed.resolve();
    await go.promise;
    return answered;
  };
  const { runId } = await tidebase.enqueue("w", { queue: "under-way" });
  const worker = work();
  await claimed.promise;
  const stopping = worker.stop();
  go.resolve();
  await stopping;
  expect(await runOf(runId)).toMatchObject({ status: "queued", attempts: 0, epoch: 1 });
});

test("a result that is on its way when the worker is hurried is recorded: its run is not handed back", async () => {
  const { tidebase, work } = working("returned");
  tidebase.workflow("w", () => "done");
  const [sent, go] = [deferred(), deferred()];
  server.meddle = async (path, answer) => {
    if (path !== "/v1/runs/complete") return answer();
    sent.resolve();
    await go.promise;
    return answer();
  };
  const { runId } = await tidebase.enqueue("w", { queue: "returned" });
  const worker = work();
  await sent.promise;
  const stopping = worker.stop({ drainMs: 0 });
  await statusOf(runId); // a hand-back would have arrived before it
  go.resolve();
  await stopping;
  expect(await runOf(runId)).toMatchObject({ status: "completed", epoch: 1 });
  expect(server.requests.filter((path) => path.endsWith("/release"))).toEqual([]);
});

test("a claim whose answer is lost is sent again and finds its own run", async () => {
  const { tidebase, work } = working("lost-answer", { concurrency: 1 });
  tidebase.workflow("w", () => "found");
  let lost = 0;
  server.meddle = async (path, answer) => {
    const answered = await answer();
    if (!path.endsWith("/claim") || lost++ > 0) return answered;
    return new Response("bad gateway", { status: 502 });
  };
  const { runId } = await tidebase.enqueue("w", { queue: "lost-answer" });
  work();
  expect(await tidebase.runs.attach(runId).result()).toBe("found");
  expect((await runOf(runId)).epoch).toBe(1);
});

test("a worker outlives its server: it says once that nobody answers, and once that it is back", async () => {
  const { tidebase, work } = working("restart");
  tidebase.workflow("w", () => "after the restart");
  work();
  await expect.poll(() => server.requests.some((path) => path.endsWith("/claim"))).toBe(true);
  await server.stop();
  await expect.poll(() => server.said.length).toBe(1);
  expect(server.said[0]).toMatch(/cannot claim runs and tries again/);
  await server.start();
  const { runId } = await tidebase.enqueue("w", { queue: "restart" });
  expect(await tidebase.runs.attach(runId).result()).toBe("after the restart");
  expect(server.said).toEqual([expect.any(String), expect.stringMatching(/answers this worker/)]);
});

/** A worker in a process of its own, once it works on a run. */
async function startProcess(queue: string, restMs: number, drainMs: number) {
  const path = fileURLToPath(new URL("./queue-worker.ts", import.meta.url));
  const flags = ["--import", "tsx", "--conditions=tidebase-source"];
  const args = [...flags, path, server.url, queue, String(restMs), String(drainMs)];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  onTestFinished(() => void child.kill("SIGKILL"));
  await untilPrinted(child, /working on/);
  return child;
}

test("SIGTERM drains a worker, and another goes on without an attempt; after SIGKILL it costs one", async () => {
  const backoff = { minMs: 0 };
  const one = await server.tidebase.enqueue("resting", { queue: "drain" });
  const two = await server.tidebase.enqueue("resting", { queue: "kill", backoff });
  const [drained, killed] = await Promise.all([
    startProcess("drain", 60_000, 100),
    startProcess("kill", 60_000, 0),
  ]);
  const exit = once(drained, "exit");
  drained.kill("SIGTERM");
  await end(killed, "SIGKILL");
  expect(await exit).toEqual([null, "SIGTERM"]);
  expect(await runOf(one.runId)).toMatchObject({ status: "queued", attempts: 0 });
  const { tidebase, work } = working("drain");
  tidebase.workflow("resting", async ({ step }) => {
    const first = await step("first", () => process.pid);
    return [first, await step("second", () => process.pid)];
  });
  work({ queues: ["drain", "kill"] });
  await server.sweep();
  expect(await tidebase.runs.attach(one.runId).result()).toEqual([drained.pid, process.pid]);
  expect(await tidebase.runs.attach(two.runId).result()).toEqual([killed.pid, process.pid]);
  const attempts = [(await runOf(one.runId)).attempts, (await runOf(two.runId)).attempts];
  expect(attempts).toEqual([0, 1]);
});

test("a second signal does not wait for the drain", async () => {
  const { runId } = await server.tidebase.enqueue("resting", { queue: "twice" });
  const child = await startProcess("twice", 60_000, 60_000);
  const exit = once(child, "exit");
  child.kill("SIGTERM");
  child.kill("SIGINT");
  expect(await exit).toEqual([null, expect.stringMatching(/^SIG(TERM|INT)$/)]);
  expect(await runOf(runId)).toMatchObject({ status: "queued", attempts: 0 });
});
