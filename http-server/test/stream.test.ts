import { connect } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openCore } from "../../core/src/index.ts";
import { newGrant, useDatabase } from "../../core/test/support/database.ts";
import { openLog, type RunningServer, startServer } from "../src/index.ts";
import { streamEvents } from "../src/stream.ts";
import { json, readStream, send } from "./support.ts";

const db = useDatabase();
const HEARTBEAT_MS = 50;
let one: RunningServer;
let two: RunningServer;
const other = openCore({ databaseUrl: db.url, sweeps: false });

beforeAll(async () => {
  one = await startServer({ core: db.core, port: 0, heartbeatMs: HEARTBEAT_MS });
  two = await startServer({ core: other, port: 0, heartbeatMs: HEARTBEAT_MS });
});
afterAll(async () => {
  await Promise.all([one.close(), two.close()]);
  await other.close();
});

const address = (server: RunningServer, runId: string) =>
  `${server.url}/v1/runs/${runId}/events/stream`;

test("a reader gets every event once and in order, then a comment, then the end", async () => {
  const run = await db.begun();
  const reading = readStream(address(one, run.runId));
  await db.complete(run);
  const { events, text } = await reading;
  const known = await json(fetch(`${one.url}/v1/runs/${run.runId}/events`));
  expect(events.map(({ data }) => data)).toEqual(known["events"]);
  expect(events.map(({ id }) => id)).toEqual(events.map((_, index) => index + 1));
  expect(events.at(-1)).toMatchObject({ event: "run.completed" });
  expect(text).toMatch(/: the run has ended\n\n$/);
});

test("events committed through another server arrive too, while the reader waits", async () => {
  const runId = await db.pending();
  const waiting = readStream(address(two, runId));
  const grantId = newGrant();
  const begun = await fetch(`${one.url}/v1/runs/${runId}/begin`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ grantId }),
  });
  const { epoch } = (await begun.json()) as { epoch: number };
  await db.complete({ runId, epoch, grantId });
  const { events } = await waiting;
  expect(events.map(({ event }) => event)).toEqual(["run.created", "run.begun", "run.completed"]);
});

test("Last-Event-ID goes on where the reader left off, on any server, and wins over ?after=", async () => {
  const run = await db.begun();
  const first = await readStream(address(one, run.runId), {}, (events) => events.length >= 1);
  const last = String(first.events[0]?.id);
  await db.complete(run);
  const rest = await readStream(`${address(two, run.runId)}?after=0`, { "last-event-id": last });
  expect(rest.events.map(({ id }) => id)).toEqual([2, 3]);
  const byQuery = await readStream(`${address(two, run.runId)}?after=2`);
  expect(byQuery.events.map(({ id }) => id)).toEqual([3]);
});

test("who has seen the end is told not to come back", async () => {
  const run = await db.begun();
  await db.complete(run);
  expect((await readStream(`${address(one, run.runId)}?after=3`)).status).toBe(204);
});

test.each(["abc", "-1", "1.5", "", "99999999999999999999", "1 2"])(
  "the position %j is refused",
  async (after) => {
    const runId = await db.pending();
    const answer = await fetch(`${address(one, runId)}?after=${encodeURIComponent(after)}`);
    expect(await json(answer)).toMatchObject({
      status: 400,
      code: "input_invalid",
      issues: [{ path: "after" }],
    });
    if (after.trim() === "") return;
    const byHeader = await fetch(address(one, runId), { headers: { "last-event-id": after } });
    expect(await json(byHeader)).toMatchObject({
      status: 400,
      issues: [{ path: "last-event-id" }],
    });
  },
);

test("an unknown run is a problem before any stream begins", async () => {
  const unknown = "run_00000000-0000-7000-8000-000000000000";
  const answer = await fetch(address(one, unknown));
  expect(answer.headers.get("content-type")).toBe("application/problem+json");
  expect(await json(answer)).toMatchObject({ status: 404, code: "run_not_found" });
  expect((await fetch(address(one, "run_x"))).status).toBe(400);
  expect((await fetch(address(one, unknown), { method: "POST" })).status).toBe(405);
});

test("a quiet stream sends comments, and its headers keep proxies from holding it back", async () => {
  const runId = await db.pending();
  const { text } = await readStream(
    address(one, runId),
    {},
    (_, all) => all.split(": \n\n").length > 3,
  );
  expect(text).toContain(": \n\n: \n\n");
  const head = await send(address(one, runId), { method: "HEAD" });
  expect(head).toMatchObject({ status: 200, text: "" });
  expect(head.headers).toMatchObject({
    "content-type": "text/event-stream",
    "cache-control": "no-store",
  });
});

test("a position beyond the end waits for the event after it", async () => {
  const run = await db.begun();
  const reading = readStream(`${address(one, run.runId)}?after=2`);
  await db.complete(run);
  expect((await reading).events.map(({ id }) => id)).toEqual([3]);
});

test("a reader that reads nothing is closed and told to come back, with little kept for it", async () => {
  const lines: string[] = [];
  const log = openLog("info", { write: (line: string) => void lines.push(line) });
  const own = await startServer({ core: db.core, port: 0, heartbeatMs: 300, log });
  const runId = await db.pending();
  const bulk = `insert into tidebase.events (run_id, seq, type, at, data)
    select $1, n, 'test.bulk', tidebase.now(), jsonb_build_object('text', repeat('x', 2000))
      from generate_series(2, 20001) n`;
  await db.pool.query(bulk, [runId.slice(4)]);
  const counter = "update tidebase.runs set last_seq = 20001 where run_id = $1";
  await db.pool.query(counter, [runId.slice(4)]);
  const socket = connect(own.port, "127.0.0.1");
  await new Promise((resolve) => socket.once("connect", resolve));
  socket.pause();
  socket.write(`GET /v1/runs/${runId}/events/stream HTTP/1.1\r\nhost: localhost\r\n\r\n`);
  await expect.poll(() => lines.join(""), { timeout: 5000 }).toContain("too slow");
  let text = "";
  socket.on("data", (chunk) => {
    text = (text + String(chunk)).slice(-300);
  });
  const left = new Promise((resolve) => socket.once("close", resolve));
  socket.resume();
  await expect.poll(() => text, { timeout: 5000 }).toContain("retry: 1000\n\n");
  expect(socket.bytesRead).toBeLessThan(20_000_000); // of 40 MB of events
  await own.close();
  await left;
});

test("a server that stops sends its readers away with a hint, and a broken reader leaves nothing behind", async () => {
  const own = await startServer({ core: db.core, port: 0 });
  const runId = await db.pending();
  const gone = await readStream(address(own, runId), {}, (events) => events.length > 0);
  expect(gone.events).toHaveLength(1);
  const reading = readStream(address(own, runId), {}, (_, text) => text.includes("retry:"));
  const kept = readStream(address(own, runId), {}, (events) => events.length > 0);
  await kept;
  await own.close();
  expect((await reading).text).toMatch(/retry: 1000\n\n$/);
});

test("a reader that leaves while events are being read for it is no lost stream", async () => {
  const { runId } = await db.begun();
  let leaves = () => {};
  const left = new Promise<void>((resolve) => {
    leaves = resolve;
  });
  let ended = () => {};
  const end = new Promise<void>((resolve) => {
    ended = resolve;
  });
  const lost: unknown[] = [];
  /** The store's own answer, which comes after the reader has left. */
  async function* late(...args: Parameters<typeof db.core.follow>) {
    try {
      for await (const batch of db.core.follow(...args)) {
        await left;
        yield batch;
      }
    } finally {
      ended();
    }
  }
  const answer = streamEvents(
    { ...db.core, follow: late },
    {
      ...{ runId, afterSeq: 0, heartbeatMs: HEARTBEAT_MS, stopping: undefined },
      ...{ outgoing: undefined, onSlow: () => {}, onLost: (error) => void lost.push(error) },
    },
  );
  await answer.body?.cancel();
  leaves();
  await end;
  await new Promise(setImmediate);
  expect(lost).toEqual([]);
});
