import { randomUUID } from "node:crypto";
import { Agent, request } from "node:http";
import { remote } from "@tidebase/core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { newGrant, operationNamed, useDatabase } from "../../core/test/support/database.ts";
import { openLog, type RunningServer, startServer } from "../src/index.ts";
import { json } from "./support.ts";

const db = useDatabase();
const lines: string[] = [];
const log = openLog("debug", { write: (line: string) => void lines.push(line) });
let server: RunningServer;

beforeAll(async () => {
  server = await startServer({ core: db.core, port: 0, log });
});
afterAll(() => server.close());

const WAIT_MS = 30_000;
const headers = { "content-type": "application/json" };

function post(path: string, body: object, init: RequestInit = {}, url = server.url) {
  return fetch(url + path, { method: "POST", headers, body: JSON.stringify(body), ...init });
}

function claim(queue: string, more: object = {}) {
  return { queue, grantId: newGrant(), waitMs: WAIT_MS, ...more };
}

async function enqueue(queue: string): Promise<string> {
  const { results } = await db.call("runs.enqueue", { items: [{ workflow: "w", queue }] });
  return (results as { runId: string }[])[0]?.runId ?? "";
}

/** Waits until a claim has looked into the queue, and so waits there. */
async function untilAsked(queue: string): Promise<void> {
  await expect
    .poll(async () => (await db.call("queues.get", { queue }))["workers"])
    .toHaveLength(1);
}

/** A claim that waits at the server's queue. */
function waiting(queue: string, init: RequestInit = {}, url = server.url): Promise<Response> {
  const { queue: _, ...body } = claim(queue, { workerId: `worker_${randomUUID()}` });
  return post(`/v1/queues/${queue}/claim`, body, init, url);
}

const answered = (route: string) => lines.filter((line) => line.includes(`"route":"${route}"`));

test("a claim that waits is answered as soon as there is a run", async () => {
  const answer = waiting("woken");
  await untilAsked("woken");
  const runId = await enqueue("woken");
  expect(await json(answer)).toMatchObject({ runs: [{ runId, epoch: 1 }] });
});

test("a caller that leaves takes no run along", async () => {
  const leaving = new AbortController();
  const before = answered("/v1/queues/:queue/claim").length;
  const left = waiting("left", { signal: leaving.signal });
  await untilAsked("left");
  leaving.abort();
  await expect(left).rejects.toThrow("abort");
  await expect.poll(() => answered("/v1/queues/:queue/claim").length).toBe(before + 1);
  const runId = await enqueue("left");
  const { runs } = await db.call("queues.claim", claim("left"));
  expect(runs).toMatchObject([{ runId, epoch: 1 }]);
});

test("whoever watches its leases hears of a cancellation at once, and over the same socket again", async () => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const watch = (items: object[]) =>
    new Promise<{ reused: boolean; text: string }>((resolve, reject) => {
      const call = request(`${server.url}/v1/runs/watch`, { method: "POST", headers, agent });
      call.on("error", reject).on("response", (answer) => {
        let text = "";
        answer.setEncoding("utf8").on("data", (part: string) => {
          text += part;
        });
        answer.on("end", () => resolve({ reused: call.reusedSocket, text }));
      });
      call.end(JSON.stringify({ items, waitMs: WAIT_MS }));
    });
  const [one, other] = [await db.begun(), await db.begun()];
  const heard = watch([one, other]);
  await db.call("runs.cancel", { runId: other.runId });
  const results = [{ outcome: "held" }, { outcome: "run_cancelled" }];
  expect(JSON.parse((await heard).text)).toEqual({ results });
  expect(await watch([other])).toMatchObject({ reused: true });
  agent.destroy();
});

test("a server that stops answers whoever waits at once, and takes no more over that socket", async () => {
  const own = await startServer({ core: db.core, port: 0 });
  const lease = await db.begun();
  const watching = post("/v1/runs/watch", { items: [lease], waitMs: WAIT_MS }, {}, own.url);
  const claiming = waiting("stopping", {}, own.url);
  await untilAsked("stopping");
  const began = performance.now();
  await own.close();
  expect(performance.now() - began).toBeLessThan(5000);
  const claimed = await claiming;
  expect(claimed.headers.get("connection")).toBe("close");
  expect(await json(claimed)).toEqual({ runs: [] });
  expect(await json(watching)).toEqual({ results: [{ outcome: "held" }] });
});

test.each([
  "a/b",
  "50%",
  "%2F",
  "..%2f..",
  "?x=1",
  "#1",
  "a+b&c",
  "Wörter-日本𝄞",
  "'\"\\",
  ":queue",
])("the queue %s is found under its name", async (queue) => {
  const far = remote({ url: server.url });
  const runId = await enqueue(queue);
  expect(await far.execute(operationNamed("queues.get"), { queue })).toMatchObject({
    queue: { queue, ready: 1 },
  });
  const grant = { queue, grantId: newGrant() };
  expect(await far.execute(operationNamed("queues.claim"), grant)).toMatchObject({
    runs: [{ runId }],
  });
});
