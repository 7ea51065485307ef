import { createServer as createHttpServer, type Server } from "node:http";
import { type Core, openCore } from "@tidebase/core";
import { startServer } from "@tidebase/server";
import { afterEach, expect, test } from "vitest";
import { newGrant, useDatabase } from "../../core/test/support/database.ts";
import { freePort } from "../../test/support/free-port.ts";
import { type Serving, serveWhenFree } from "../src/api/serving.ts";

const db = useDatabase();
const ends: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

/** Begins to serve this file's database under a name. */
function serve(port: number | string, description = "this one"): Serving & { log: string[] } {
  const log: string[] = [];
  const opened: Core[] = [];
  const serving = serveWhenFree({
    env: { TIDEBASE_PORT: String(port), PORT: "1" },
    description,
    openCore(options) {
      const core = openCore({ databaseUrl: db.url, sweeps: false, ...options });
      opened.push(core);
      return core;
    },
    log: (line) => log.push(line),
  });
  ends.push(async () => {
    await serving.close();
    await Promise.all(opened.map((core) => core.close()));
  });
  return { ...serving, log };
}

/** Another program, which answers every request alike. */
async function listen(port: number): Promise<Server> {
  const other = createHttpServer((_, answer) => answer.end("hello"));
  await new Promise<void>((resolve) => other.listen(port, "127.0.0.1", resolve));
  return other;
}

test("a free port is served with the store's API, and PORT is not ours to take", async () => {
  const port = await freePort();
  const { url, note, log } = serve(port);
  await expect.poll(url).toBe(`http://127.0.0.1:${port}`);
  expect(note()).toContain(`http://127.0.0.1:${port}`);
  expect(log).toEqual([expect.stringContaining(`served on http://127.0.0.1:${port}`)]);
  const answer = await fetch(`${url()}/ready`);
  expect(await answer.json()).toMatchObject({ ready: true, store: "this one" });
});

test("another program on the port is told of once, and replaced when it leaves", async () => {
  const port = await freePort();
  const other = await listen(port);
  const { url, note, log } = serve(port);
  await expect.poll(note).toContain(`Port ${port} is held by another program`);
  expect(url()).toBeUndefined();
  other.closeAllConnections();
  await new Promise((resolve) => other.close(resolve));
  const since = performance.now();
  await expect.poll(url, { interval: 10 }).toBe(`http://127.0.0.1:${port}`);
  expect(performance.now() - since).toBeLessThan(1000);
  expect(log.filter((line) => line.includes("held by"))).toHaveLength(1);
});

test("a server of another store on the port is told apart", async () => {
  const port = await freePort();
  const server = await startServer({ core: db.core, port, store: "another" });
  ends.push(server.close);
  const { url, note } = serve(port);
  await expect.poll(note).toContain("held by a Tidebase server of another store");
  expect(url()).toBeUndefined();
});

test("of two that serve one store the second names the first, and follows it within a second", async () => {
  const port = await freePort();
  const first = serve(port);
  await expect.poll(first.url).toBeDefined();
  const second = serve(port);
  await expect.poll(second.note).toContain(`SDK programs reach it at http://127.0.0.1:${port}.`);
  expect(second.log).toEqual([]);
  await first.close();
  const since = performance.now();
  await expect.poll(() => second.log.length, { interval: 10 }).toBe(1);
  expect(performance.now() - since).toBeLessThan(1000);
  // a connection kept alive to the first may still be taken for one to the second
  const status = () => fetch(`${second.url()}/ready`).then((answer) => answer.status, String);
  await expect.poll(status).toBe(200);
});

test("closing cuts short what is under way: streams, long polls and a blocked write", async () => {
  const { url, close } = serve(await freePort());
  await expect.poll(url).toBeDefined();
  const { runId, epoch, grantId } = await db.begun();
  const stream = await fetch(`${url()}/v1/runs/${runId}/events/stream`);
  const post = (path: string, body: object) =>
    fetch(`${url()}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    }).then(
      ({ status }) => status,
      () => "cut",
    );
  const polling = post("/v1/queues/default/claim", { grantId: newGrant(), waitMs: 30_000 });
  const release = await db.hold(runId);
  const blocked = post("/v1/runs/complete", { items: [{ runId, epoch, grantId }] });
  await db.blocked(1);
  const since = performance.now();
  await close();
  expect(performance.now() - since).toBeLessThan(500);
  expect(await polling).toBe(200);
  expect(await stream.text()).toMatch(/retry: \d+\n\n$/);
  await release();
  expect(["cut", 200]).toContain(await blocked);
});

test.each(["http", "65536", ""])(
  "TIDEBASE_PORT=%j is named, and nothing is served",
  async (port) => {
    const { url, note, log } = serve(port);
    await expect.poll(() => log).toEqual([expect.stringContaining("TIDEBASE_PORT is ")]);
    expect([url(), note()]).toEqual([undefined, undefined]);
  },
);
