import { newRunId, type WebhookMessage, type WebhookOptions } from "@tidebase/sdk";
import { Webhook } from "standardwebhooks";
import { expect, onTestFinished, test, vi } from "vitest";
import { decide, openGate, statusOf, suspension } from "./deciding.ts";
import { deferred, useServer } from "./support.ts";

const server = useServer();
const secretOf = (letter: string) => `whsec_${Buffer.from(letter.repeat(32)).toString("base64")}`;
const secret = secretOf("a");

interface Sent {
  readonly id?: string;
  readonly at?: Date;
  readonly secret?: string;
  readonly body?: string;
  /** What arrives in place of what was signed. */
  readonly arrives?: { readonly id?: string; readonly timestamp?: string; readonly body?: string };
}

function message(type: string, data: object = {}): string {
  return JSON.stringify({ type, timestamp: new Date().toISOString(), data });
}

/** A delivery as Tidebase sends it, or as somebody has changed it on the way. */
function delivery({ id = newRunId(), at = new Date(), arrives = {}, ...sent }: Sent): Request {
  const body = sent.body ?? message("gate.opened");
  const signature = new Webhook(sent.secret ?? secret).sign(id, at, body);
  const headers = {
    "webhook-id": arrives.id ?? id,
    "webhook-timestamp": arrives.timestamp ?? String(Math.floor(at.getTime() / 1000)),
    "webhook-signature": signature,
  };
  const request = { method: "POST", headers, body: arrives.body ?? body };
  return new Request("http://here/hook", request);
}

/** An endpoint that keeps what it is told. */
function endpoint(options: Partial<WebhookOptions> = {}) {
  const [told, errors, work]: [WebhookMessage[], unknown[], Promise<void>[]] = [[], [], []];
  const handle = server.tidebase.webhook({
    secret,
    onEvent: (one) => void told.push(one),
    onError: (error) => void errors.push(error),
    waitUntil: (promise) => void work.push(promise),
    ...options,
  });
  return { told, errors, work, handle };
}

test("a message is handed on once, and answered at once when it comes again", async () => {
  const { told, handle } = endpoint();
  const sent = { id: "msg_1", body: message("gate.opened", { gateId: "g" }) };
  expect((await handle(delivery(sent))).status).toBe(204);
  expect((await handle(delivery(sent))).status).toBe(200);
  expect(told).toMatchObject([{ type: "gate.opened", data: { gateId: "g" } }]);
});

test("what is not signed as it arrived is refused", async () => {
  const { told, handle } = endpoint();
  const body = message("x", { a: 1, b: 2 });
  const minutes = (n: number) => new Date(Date.now() + n * 60_000);
  const now = String(Math.floor(Date.now() / 1000));
  const forged: Sent[] = [
    { arrives: { id: "msg_other" } },
    { at: minutes(-2), arrives: { timestamp: now } },
    { body, arrives: { body: body.replace("1", "2") } },
    { body, arrives: { body: JSON.stringify(JSON.parse(body), null, 1) } },
    { body, arrives: { body: `\uFEFF${body}` } },
    { at: minutes(-6) },
    { at: minutes(6) },
    { arrives: { timestamp: `${now}.5` } },
    { secret: secretOf("b") },
  ];
  for (const sent of forged) {
    const answer = await handle(delivery(sent));
    expect(answer.status, JSON.stringify(sent)).toBe(401);
    expect(await answer.json()).toMatchObject({ code: "webhook_signature_invalid" });
  }
  expect(told).toEqual([]);
});

test("what is no delivery at all is refused with what it should be", async () => {
  const { handle } = endpoint();
  const get = await handle(new Request("http://here/hook"));
  expect([get.status, get.headers.get("allow")]).toEqual([405, "POST"]);
  expect(get.headers.get("content-type")).toBe("application/problem+json");
  expect(await get.json()).toEqual({
    status: 405,
    code: "method_not_allowed",
    detail: "Send POST.",
  });
  const unsigned = new Request("http://here/hook", { method: "POST", body: message("x") });
  expect((await handle(unsigned)).status).toBe(400);
  const bodies = ["", "[]", "null", "{", '{"type":1}', message("run.invoke", { runId: 1 })];
  for (const body of bodies) expect((await handle(delivery({ body }))).status, body).toBe(400);
  const large = JSON.stringify({ type: "x", timestamp: "", data: { text: "x".repeat(1_048_576) } });
  expect((await handle(delivery({ body: large }))).status).toBe(413);
  const headers = delivery({}).headers;
  const bytes = new Request("http://here/hook", {
    ...{ method: "POST", headers, body: new Uint8Array([0xff, 0xfe]) },
  });
  expect((await handle(bytes)).status).toBe(400);
});

test("while a secret is replaced, both are good", async () => {
  const { handle } = endpoint({ secret: [secretOf("b"), secret] });
  expect((await handle(delivery({}))).status).toBe(204);
  expect((await handle(delivery({ secret: secretOf("b") }))).status).toBe(204);
  expect((await handle(delivery({ secret: secretOf("c") }))).status).toBe(401);
});

test("without a proper secret there is no handler", () => {
  const bad: unknown[] = [undefined, "", " ", "whsec_", [], [secret, ""], "whsec_short", null];
  bad.push("whsec_not base64 at all, but long enough to be one!");
  for (const one of bad)
    expect(() => server.tidebase.webhook({ secret: one as string }), String(one)).toThrow(
      expect.objectContaining({ code: "config_invalid" }),
    );
});

test("a message that could not be handled may come again, and is told meanwhile only once", async () => {
  const outcomes = [() => Promise.reject(new Error("down")), () => Promise.resolve()];
  const { errors, handle } = endpoint({ onEvent: () => outcomes.shift()?.() });
  const both = await Promise.all([1, 2].map(() => handle(delivery({ id: "msg" }))));
  expect(both.map(({ status }) => status)).toEqual([500, 500]);
  expect(errors).toMatchObject([{ message: "down" }]);
  expect((await handle(delivery({ id: "msg" }))).status).toBe(204);
  expect(outcomes).toHaveLength(0);
});

test("what goes wrong is said in the client's log when nobody else is told", async () => {
  const handle = server.tidebase.webhook({
    secret,
    onEvent: () => {
      throw new Error("out of order");
    },
  });
  await handle(delivery({}));
  expect(server.said).toEqual([expect.stringContaining("out of order")]);
});

test("ids are forgotten after ten minutes, when their signatures are long too old", async () => {
  const { told, handle } = endpoint();
  await handle(delivery({ id: "msg" }));
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 601_000 });
  onTestFinished(() => void vi.useRealTimers());
  expect((await handle(delivery({ id: "msg" }))).status).toBe(204);
  expect(told).toHaveLength(2);
});

/** A registered workflow that waits at a gate, and one of its runs that was decided meanwhile. */
async function decidedRun(name: string) {
  const runId = newRunId();
  const begun = deferred();
  const rest = deferred();
  let executions = 0;
  const workflow = server.tidebase.workflow(name, async ({ gate, step }) => {
    executions += 1;
    await gate("ask", { prompt: "Well?" });
    begun.resolve();
    return step("after", () => rest.promise);
  });
  await suspension(workflow.run({ runId }));
  const gateId = await openGate(server, runId, "ask");
  const data = { runId, workflow: name, status: "pending", reason: "run.woken", seq: 4 };
  const body = message("run.invoke", data);
  return { runId, gateId, body, begun, rest, executions: () => executions };
}

test("an invocation is answered at once, and the run goes on in the background", async () => {
  const run = await decidedRun("background");
  await decide(server, run.gateId);
  const { errors, work, handle } = endpoint();
  const sent = { id: "msg", body: run.body };
  expect((await handle(delivery(sent))).status).toBe(202);
  await run.begun.promise;
  expect((await handle(delivery(sent))).status).toBe(200);
  expect((await handle(delivery({ ...sent, id: "another" }))).status).toBe(202);
  await work[1];
  run.rest.resolve();
  await work[0];
  expect(await statusOf(server, run.runId)).toBe("completed");
  expect((await handle(delivery({ ...sent, id: "late" }))).status).toBe(202);
  await work[2];
  expect([errors, work.length, run.executions()]).toEqual([[], 3, 2]);
});

test("a run that is suspended again, or was cancelled, is no error", async () => {
  const run = await decidedRun("again");
  const { errors, work, handle } = endpoint();
  await handle(delivery({ body: run.body }));
  await work[0];
  expect(await statusOf(server, run.runId)).toBe("waiting");
  await server.db.cancel(run.runId);
  await handle(delivery({ body: run.body }));
  await work[1];
  expect(errors).toEqual([]);
});

test("an invocation whose run could not be begun is not remembered", async () => {
  const run = await decidedRun("not begun");
  await decide(server, run.gateId);
  run.rest.resolve();
  const { errors, work, handle } = endpoint();
  server.meddle = async (path, answer) =>
    path.endsWith("/begin") ? new Response("no", { status: 418 }) : answer();
  const sent = { id: "msg", body: run.body };
  expect((await handle(delivery(sent))).status).toBe(202);
  await work[0];
  expect(errors).toMatchObject([{ code: "server_answer_invalid" }]);
  server.meddle = undefined;
  expect((await handle(delivery(sent))).status).toBe(202);
  await work[1];
  expect(await statusOf(server, run.runId)).toBe("completed");
});

test("an invocation of a workflow that this process does not know is refused", async () => {
  const { handle } = endpoint();
  const body = message("run.invoke", { runId: newRunId(), workflow: "unknown" });
  const answer = await handle(delivery({ body }));
  expect(answer.status).toBe(404);
  expect(await answer.json()).toMatchObject({ code: "workflow_not_registered" });
});
