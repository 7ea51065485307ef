import { newRunId, type Run } from "@tidebase/sdk";
import { Webhook } from "standardwebhooks";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { coalesce } from "../src/transport/coalesce.ts";
import { deferred, useServer } from "./support.ts";

const server = useServer();
const unhandled: unknown[] = [];
const hear = (reason: unknown) => void unhandled.push(reason);
beforeAll(() => void process.on("unhandledRejection", hear));
afterAll(() => void process.off("unhandledRejection", hear));
afterEach(() => void unhandled.splice(0));

/** None of what was rejected meanwhile would have ended the process. */
async function expectNoneUnhandled(): Promise<void> {
  await new Promise(setImmediate); // Node tells after the turn of the rejection
  expect(unhandled).toEqual([]);
}

const aborted = (signal: AbortSignal) =>
  new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));

test("a step that nobody listens to yet does not end the process with its run", async () => {
  const runId = newRunId();
  const begun = [deferred(), deferred()] as const;
  const attempt = server.client({ leaseMs: 600 }).run("w", { runId }, async ({ step }) => {
    const slow = step("slow", ({ signal }) => {
      begun[0].resolve();
      return aborted(signal);
    });
    await step("first", ({ signal }) => {
      begun[1].resolve();
      return aborted(signal);
    });
    return slow;
  });
  const ended = attempt.catch((error: unknown) => error);
  await Promise.all(begun.map(({ promise }) => promise));
  await server.db.cancel(runId);
  expect(await ended).toMatchObject({ code: "run_cancelled" });
  await expectNoneUnhandled();
});

test("neither does what a run has asked, when the answer is a refusal", async () => {
  const asking = (run: Run<unknown>): (() => Promise<unknown>)[] => [
    () => run.usage.record({ kind: "llm", quantity: 1 }),
    () => run.state.get(),
    () => run.state.at(1),
    () => run.state.read(),
    () => run.state.versions(),
    () => run.state.diff(1, 2),
    () => run.state.restore(1),
    () => run.gates.get("seen"),
    () => run.gates.open("seen", { prompt: "Well?" }),
  ];
  let refused = 0;
  const refusal = { status: 400, code: "input_invalid", detail: "Not that." };
  server.meddle = async (path, answer) => {
    if (!/state|usage|gate/.test(path)) return answer();
    refused += 1;
    return new Response(JSON.stringify(refusal), {
      status: 400,
      headers: { "content-type": "application/problem+json" },
    });
  };
  await server.tidebase.run("w", async (run) => {
    const asked = asking(run);
    for (const ask of asked) void ask();
    await expect.poll(() => refused).toBe(asked.length);
  });
  await expectNoneUnhandled();
});

test("a listener that fails, at once or later, is heard by nobody, and the worker goes on", async () => {
  const tidebase = server.client({
    log: () => {
      throw new Error("no console");
    },
  });
  tidebase.workflow("odd", () => {
    throw Object.create(null);
  });
  const fine = tidebase.workflow("fine", () => "done");
  const worker = tidebase.work({
    queues: ["listening"],
    onError: async () => {
      throw new Error("nobody there");
    },
  });
  const options = { queue: "listening", maxAttempts: 1 };
  const odd = await tidebase.enqueue("odd", options);
  const failure = tidebase.runs.attach(odd.runId).result();
  await expect(failure).rejects.toMatchObject({ code: "run_failed" });
  const { runId } = await tidebase.enqueue(fine, options);
  expect(await tidebase.runs.attach(runId).result()).toBe("done");
  await worker.stop();
  await expectNoneUnhandled();
});

test("a webhook's workflow may throw what nobody can read", async () => {
  const { tidebase } = server;
  const secret = `whsec_${Buffer.from("s".repeat(32)).toString("base64")}`;
  tidebase.workflow("unreadable", () => {
    throw Object.create(null);
  });
  const errors: unknown[] = [];
  const handle = tidebase.webhook({ secret, onError: (error) => void errors.push(error) });
  const { runId } = await tidebase.runs.create("unreadable");
  const data = { runId, workflow: "unreadable" };
  const at = new Date();
  const body = JSON.stringify({ type: "run.invoke", timestamp: at.toISOString(), data });
  const headers = {
    "webhook-id": "msg_unreadable",
    "webhook-timestamp": String(Math.floor(at.getTime() / 1000)),
    "webhook-signature": new Webhook(secret).sign("msg_unreadable", at, body),
  };
  const answer = await handle(new Request("http://here/hook", { method: "POST", headers, body }));
  expect(answer.status).toBe(202);
  await expect.poll(() => errors.length).toBe(1);
  await expectNoneUnhandled();
});

test("an answer with fewer results than items is an error for each of them", async () => {
  const send = coalesce<number>(async () => []);
  const reason = expect.objectContaining({ code: "server_answer_invalid" });
  const rejected = { status: "rejected", reason };
  expect(await Promise.allSettled([send("1"), send("2")])).toEqual([rejected, rejected]);
});
