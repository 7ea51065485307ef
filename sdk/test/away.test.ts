import { newRunId } from "@tidebase/sdk";
import { expect, test } from "vitest";
import { deferred, useServer } from "./support.ts";

const server = useServer();

const badGateway = () => new Response("bad gateway", { status: 502 });

async function statuses(runId: string): Promise<[string, string][]> {
  const { steps } = await server.tidebase.runs.steps(runId);
  return steps.map(({ name, status }) => [name, status]);
}

test("a step that finished while the server was away is recorded when it is back, and not repeated", async () => {
  const runId = newRunId();
  let calls = 0;
  const finished = deferred();
  const run = server.client().run("w", { runId }, async ({ step }) => {
    const first = await step("pay", { sideEffects: ["payment"] }, async () => {
      await server.stop();
      calls += 1;
      finished.resolve();
      return "paid";
    });
    return [first, await step("next", () => 2)];
  });
  await finished.promise;
  const failing = server.client().runs.get(runId);
  await expect(failing).rejects.toMatchObject({ code: "server_unreachable" });
  await server.start();
  expect(await run).toEqual(["paid", 2]);
  expect(calls).toBe(1);
  expect(await statuses(runId)).toEqual([
    ["next", "completed"],
    ["pay", "completed"],
  ]);
});

test("lost answers are asked for again, and change nothing a second time", async () => {
  const lost = new Set<string>();
  server.meddle = async (path, answer) => {
    const given = await answer();
    if (lost.has(path)) return given;
    lost.add(path);
    return badGateway();
  };
  const runId = newRunId();
  let calls = 0;
  const result = await server.tidebase.run("w", { runId }, async ({ step, state }) => {
    await state.set({ n: 1 });
    await state.save("one");
    return step("s", { sideEffects: ["mail"] }, () => ++calls);
  });
  expect(result).toBe(1);
  expect(calls).toBe(1);
  expect(lost.size).toBeGreaterThan(6);
  const { events } = await server.tidebase.call("events.list", { runId });
  expect(events.map(({ type }) => type)).toEqual([
    ...["run.created", "run.begun", "state.set", "state.labeled", "step.begun", "step.completed"],
    "run.completed",
  ]);
});

test("every SDK call sent twice gives the same answer and has one effect", async () => {
  const differing: string[] = [];
  const twice: typeof fetch = async (input, init) => {
    const first = await fetch(input, init);
    const second = await fetch(input, init);
    const texts = [await first.clone().text(), await second.text()].map(timeless);
    if (first.status !== second.status || texts[0] !== texts[1])
      differing.push(`${String(input)}: ${texts.join(" ≠ ")}`);
    return first;
  };
  const tidebase = server.client({ fetch: twice });
  const runId = newRunId();
  const calls: string[] = [];
  const work = (fails: boolean) =>
    tidebase.run("w", { runId, input: 1, idempotencyKey: "twice" }, async ({ step, state }) => {
      await step("plain", () => calls.push("plain"));
      await step("pay", { sideEffects: ["payment"] }, () => calls.push("pay"));
      await step("flaky", { retry: { maxAttempts: 2, minMs: 1 } }, ({ attempt }) => {
        calls.push(`flaky ${attempt}`);
        if (attempt === 1) throw new Error("once");
      });
      await state.set({ a: 1 });
      await state.patch({ b: 2 });
      await state.save("both");
      await step("inside", () => state.patch({ c: 3 }));
      if (fails) throw new Error("the worker fails here");
      return state.get();
    });
  await expect(work(true)).rejects.toThrow("the worker fails here");
  expect(await work(false)).toEqual({ a: 1, b: 2, c: 3 });
  expect(calls).toEqual(["plain", "pay", "flaky 1", "flaky 2"]);
  const types = (await tidebase.call("events.list", { runId })).events.map(({ type }) => type);
  const count = (type: string) => types.filter((one) => one === type).length;
  expect(["run.begun", "run.failed", "run.completed"].map(count)).toEqual([2, 1, 1]);
  expect(["step.completed", "step.failed"].map(count)).toEqual([4, 1]);
  expect(["state.set", "state.patched", "state.labeled"].map(count)).toEqual([1, 2, 1]);
  expect(differing.filter(isSurprise)).toEqual([]);
});

/** Ids of requests, and what tells that a write was found rather than made, may differ. */
function timeless(text: string): string {
  return text
    .replace(/"(requestId)":"[^"]*"/g, "")
    .replace(/"(recorded|created)":(true|false)/g, "")
    .replace(/"leaseLeftMs":\d+/g, "");
}

/**
 * Two answers depend on when they are given: the status of a run that is created again, and the
 * announcement of a slow step, in the background, which may arrive when the step or the run has ended.
 */
function isSurprise(difference: string): boolean {
  return !/"status":/.test(difference) && !/steps\/begin.*(?:lease_lost|replayed)/.test(difference);
}

test("one bad item of a request fails alone", async () => {
  const runId = newRunId();
  server.meddle = async (path, answer) => {
    if (path !== "/v1/steps/complete" || server.requests.filter((p) => p === path).length !== 1)
      return answer();
    const problem = { code: "input_invalid", title: "One item is bad.", detail: "Correct it." };
    return Response.json(problem, { status: 400 });
  };
  const work = server.tidebase.run("w", { runId }, ({ step }) =>
    Promise.all(["a", "b", "c"].map((key) => step("s", { key }, () => key))),
  );
  expect(await work).toEqual(["a", "b", "c"]);
  expect(server.requests.filter((path) => path === "/v1/steps/complete")).toHaveLength(4);
});

test("an answer that asks to wait is waited for", async () => {
  let refused = 0;
  server.meddle = async (path, answer) => {
    if (path !== "/v1/runs" || refused > 0) return answer();
    refused = performance.now();
    return new Response("busy", { status: 503, headers: { "retry-after": "1" } });
  };
  await server.tidebase.runs.create("w");
  expect(performance.now() - refused).toBeGreaterThan(950);
});

test("a program that is no Tidebase server is recognised", async () => {
  server.meddle = async () => new Response("<html>", { status: 404 });
  const created = server.tidebase.runs.create("w");
  await expect(created).rejects.toMatchObject({ code: "server_answer_invalid" });
});

test("a completion that finds the server for good away is given up after its time, and says so", async () => {
  const runId = newRunId();
  const impatient = server.client({ giveUpAfterMs: 200 });
  server.meddle = async (path, answer) => (path.startsWith("/v1/steps/") ? badGateway() : answer());
  const run = impatient.run("w", { runId }, ({ step }) => step("s", () => 1));
  await expect(run).rejects.toMatchObject({ code: "server_answer_invalid" });
  const { run: recorded } = await server.tidebase.runs.get(runId);
  expect(recorded).toMatchObject({ status: "failed", failureClass: "workflow_error" });
});
