import { isTidebaseError, newRunId, type Run, type Tidebase } from "@tidebase/sdk";
import { expect, test } from "vitest";
import { ada } from "../../core/test/support/database.ts";
import { useServer } from "./support.ts";

const server = useServer();
const suspended = (error: unknown) => {
  if (!isTidebaseError(error, "run_suspended")) throw error;
};

/** A registered workflow of three steps, and what they executed. */
function report(tidebase: Tidebase): string[] {
  const executed: string[] = [];
  tidebase.workflow("report", async ({ input, step, state }: Run<{ topic: unknown }>) => {
    const say = <Value>(name: string, value: Value) =>
      step(name, () => {
        executed.push(name);
        return value;
      });
    await state.set({ phase: 1 });
    const plan = await say("plan", `plan of ${input.topic}`);
    await state.set({ phase: 2 });
    const draft = await say("draft", { made: new Date(0), of: plan });
    const sent = await say("send", draft);
    await state.set({ phase: 3 });
    return { plan, draft, sent };
  });
  return executed;
}

async function made(tidebase: Tidebase): Promise<string> {
  const runId = newRunId();
  await tidebase.runs.create("report", { runId, input: { topic: "tides" } });
  await tidebase.resume(runId);
  return runId;
}

test("a fork replays what it keeps, gives its code the edited output, and executes the rest", async () => {
  const tidebase = server.client();
  const executed = report(tidebase);
  const source = await made(tidebase);
  executed.length = 0;
  const options = { from: "send", edit: { name: "draft", output: new Map([["made", 1n]]) } };
  const plan = await tidebase.fork(source, options);
  expect(plan).toMatchObject({ dryRun: true, runId: null, keptSteps: 2, runAgainSteps: 1 });
  const fork = await tidebase.fork(source, { ...options, dryRun: false, asOf: plan.seq });
  const result = await tidebase.resume(fork.runId);
  expect(executed).toEqual(["send"]);
  const edited = new Map([["made", 1n]]);
  expect(result).toEqual({ plan: "plan of tides", draft: edited, sent: edited });
  expect(await tidebase.call("state.read", { runId: fork.runId, stream: "state" })).toMatchObject({
    ...{ version: 3, value: { phase: 3 } }, // the writes before the moment were not made twice
  });
  const first = { made: new Date(0), of: "plan of tides" };
  const kept = { plan: "plan of tides", draft: first, sent: first };
  expect(await tidebase.runs.attach(source).result(), "the source").toEqual(kept);
});

test("a rerun does everything anew with the same input, or with another of any kind", async () => {
  const tidebase = server.client();
  const executed = report(tidebase);
  const source = await made(tidebase);
  executed.length = 0;
  const again = await tidebase.rerun(source, { dryRun: false });
  expect(await tidebase.resume(again.runId)).toMatchObject({ plan: "plan of tides" });
  expect(executed).toEqual(["plan", "draft", "send"]);
  const input = { topic: new Date(0) };
  const other = await tidebase.rerun(source, { dryRun: false, input });
  expect(await tidebase.resume(other.runId)).toMatchObject({ plan: `plan of ${new Date(0)}` });
  const { run } = await tidebase.runs.get(other.runId);
  expect(run.forkedFrom).toEqual({ runId: source, atSeq: 0 });
});

test("a kept step that declares its input says so when the fork's input gives it another", async () => {
  const work = (runId: string) =>
    server.tidebase.run<unknown, { n: number }>("square", { runId, input: { n: 2 } }, (run) =>
      run
        .step("square", { input: run.input.n }, () => run.input.n ** 2)
        .then(async (square) => {
          await run.step("after", () => 1);
          return square;
        }),
    );
  const source = newRunId();
  await work(source);
  const same = await server.tidebase.fork(source, { from: "after", dryRun: false });
  expect(await work(same.runId)).toBe(4);
  const input = { n: 3 };
  const kept = await server.tidebase.fork(source, { from: "after", dryRun: false, input });
  await expect(work(kept.runId)).rejects.toMatchObject({ code: "input_mismatch" });
  const anew = await server.tidebase.fork(source, { from: "square", dryRun: false, input });
  expect(await work(anew.runId)).toBe(9);
});

test("a fork asks a human again, keeps the sleep and the signal that were over, and makes its children anew", async () => {
  const tidebase = server.client();
  const slept: string[] = [];
  const work = (runId: string) =>
    tidebase
      .run("careful", { runId }, async (run) => {
        await run.sleep("nap", 1);
        const { approved } = await run.gate("publish", { prompt: "Publish?" });
        const paid = await run.waitFor<number>("paid");
        const kept = await run.child("kept", ({ step }) => step("made", () => slept.push("kept")));
        const open = await run.child("open", ({ step }) => step("made", () => slept.push("open")));
        return { approved, paid, kept, open };
      })
      .catch(suspended);
  const approve = async (runId: string) => {
    const { gates } = await tidebase.call("gates.list", { runId });
    const { gateId } = gates[0] as (typeof gates)[number];
    const { digest } = (await tidebase.call("gates.get", { gateId })).gate;
    await server.db.call("gates.resolve", { gateId, digest, decision: "approved" }, ada);
  };
  const source = newRunId();
  await work(source);
  await approve(source);
  await tidebase.signal(source, "paid", 7);
  expect(await work(source)).toEqual({
    ...{ approved: true, paid: { timedOut: false, payload: 7 }, kept: 1, open: 2 },
  });
  const plan = await tidebase.fork(source, {
    ...{ from: { name: "child:open" }, dryRun: false as const },
  });
  expect(plan).toMatchObject({
    kept: [{ name: "nap" }, { name: "paid" }, { name: "child:kept" }],
    gatesAskedAgain: [{ name: "publish", status: "approved" }],
    childrenAnew: [{ name: "open" }],
  });
  expect(await work(plan.runId), "it waits for the gate").toBeUndefined();
  await approve(plan.runId);
  expect(await work(plan.runId)).toEqual({
    ...{ approved: true, paid: { timedOut: false, payload: 7 }, kept: 1, open: 3 },
  });
  expect(slept).toEqual(["kept", "open", "open"]);
});

test("a fork in a queue is claimed by the workers of that queue", async () => {
  const tidebase = server.client();
  const executed = report(tidebase);
  const source = await made(tidebase);
  executed.length = 0;
  const worker = tidebase.work({ queues: ["forks"] });
  const { runId, status } = await tidebase.fork(source, {
    ...{ from: "draft", queue: "forks", dryRun: false },
  });
  expect(status).toBe("queued");
  expect(await tidebase.runs.attach(runId).result()).toMatchObject({ plan: "plan of tides" });
  expect(executed).toEqual(["draft", "send"]);
  await worker.stop();
});

test("a fork whose answer is lost is made once", async () => {
  const tidebase = server.client();
  report(tidebase);
  const source = await made(tidebase);
  let lost = 0;
  server.meddle = async (path, answer) => {
    const response = await answer();
    if (!path.endsWith("/fork") || lost++ > 0) return response;
    return new Response("lost", { status: 503 });
  };
  const { runId } = await tidebase.fork(source, { from: "send", dryRun: false });
  server.meddle = undefined;
  const { runs } = await tidebase.runs.list({ forkedFrom: source });
  expect([lost, runs.map((run) => run.runId)]).toEqual([2, [runId]]);
});

test("a rerun takes no moment: what would make it a fork is refused", async () => {
  const tidebase = server.client();
  report(tidebase);
  const source = await made(tidebase);
  const options: object = { from: "send" };
  await expect(tidebase.rerun(source, options)).rejects.toMatchObject({ code: "input_invalid" });
});
