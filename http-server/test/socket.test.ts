import { afterAll, beforeAll, expect, test } from "vitest";
import { useDatabase } from "../../core/test/support/database.ts";
import { ListenError, type RunningServer, startServer } from "../src/index.ts";
import { parseRaw, raw, send } from "./support.ts";

const db = useDatabase();
let server: RunningServer;
const failures: unknown[] = [];

beforeAll(async () => {
  server = await startServer({
    core: db.core,
    port: 0,
    headersTimeoutMs: 300,
    onInternal: (_, error) => failures.push(error),
  });
});
afterAll(async () => {
  await server.close();
  expect(failures).toEqual([]);
});

const HOST = "host: localhost\r\n";
const JSON_POST = `POST /v1/runs HTTP/1.1\r\n${HOST}content-type: application/json\r\n`;

test.each([
  ["a garbage request line", "GARBAGE\r\n\r\n", 400, "request_malformed"],
  [
    "TLS on a plain port",
    Uint8Array.from([0x16, 3, 1, 0, 0xc8, 1, 0, 0, 0xc4, 3, 3]),
    400,
    "request_malformed",
  ],
  ["a method nobody knows", `BREW /v1/runs HTTP/1.1\r\n${HOST}\r\n`, 400, "request_malformed"],
  ["a NUL in a header", `GET / HTTP/1.1\r\n${HOST}x: a\0b\r\n\r\n`, 400, "request_malformed"],
  [
    "two lengths",
    `${JSON_POST}content-length: 1\r\ncontent-length: 2\r\n\r\n{}`,
    400,
    "request_malformed",
  ],
  [
    "a length and chunks at once",
    `${JSON_POST}content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`,
    400,
    "request_malformed",
  ],
  [
    "a chunk size that is none",
    `${JSON_POST}transfer-encoding: chunked\r\n\r\nzz\r\n`,
    400,
    "request_malformed",
  ],
  [
    "headers of 100 KB",
    `GET / HTTP/1.1\r\n${HOST}x: ${"a".repeat(100_000)}\r\n\r\n`,
    431,
    "headers_too_large",
  ],
  [
    "an address of 100 KB",
    `GET /${"a".repeat(100_000)} HTTP/1.1\r\n${HOST}\r\n`,
    431,
    "headers_too_large",
  ],
  ["half a request line", "GET /v1/ru", 408, "request_timeout"],
  ["half the headers", `GET / HTTP/1.1\r\n${HOST}`, 408, "request_timeout"],
  ["CONNECT", `CONNECT example.com:443 HTTP/1.1\r\n${HOST}\r\n`, 400, "request_malformed"],
])("%s is answered with a problem, and the socket closed", async (_, bytes, status, code) => {
  const answer = parseRaw(await raw(server.url, bytes));
  expect(answer.status).toBe(status);
  expect(answer.head).toContain("content-type: application/problem+json");
  expect(JSON.parse(answer.body)).toMatchObject({
    status,
    code,
    requestId: expect.stringMatching(/^req_/),
  });
});

test.each([
  ["no Host", "GET /v1/runs HTTP/1.1\r\nconnection: close\r\n\r\n", 400],
  ["a Host that is none", "GET /v1/runs HTTP/1.1\r\nhost: a b@c\r\nconnection: close\r\n\r\n", 400],
  [
    "another machine's Host",
    "GET /v1/runs HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n",
    403,
  ],
  [
    "an absolute address of another host",
    `GET http://evil.example/v1/runs HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n`,
    403,
  ],
  ["OPTIONS of everything", `OPTIONS * HTTP/1.1\r\n${HOST}connection: close\r\n\r\n`, 400],
  ["a backslash in the path", `GET /v1\\runs HTTP/1.1\r\n${HOST}connection: close\r\n\r\n`, 400],
  [
    "percent signs that encode nothing",
    `GET /v1/runs/%zz HTTP/1.1\r\n${HOST}connection: close\r\n\r\n`,
    400,
  ],
  [
    "an expectation nobody meets",
    `GET / HTTP/1.1\r\n${HOST}expect: miracles\r\nconnection: close\r\n\r\n`,
    200,
  ],
  [
    "an upgrade",
    `GET / HTTP/1.1\r\n${HOST}connection: upgrade, close\r\nupgrade: websocket\r\n\r\n`,
    200,
  ],
])("a request with %s gets an answer", async (_, bytes, status) => {
  const answer = parseRaw(await raw(server.url, bytes));
  expect(answer.status).toBe(status);
  expect(answer.head).toMatch(/content-type: application\/(?:problem\+)?json/);
});

test("garbage after a good request is answered in its turn", async () => {
  const text = await raw(server.url, `GET /health HTTP/1.1\r\n${HOST}\r\nGARBAGE\r\n\r\n`);
  expect(text).toMatch(/^HTTP\/1\.1 (?:200|400) /);
});

test("a body announced over the limit is refused before it is sent", async () => {
  const head = `${JSON_POST}content-length: 99999999999\r\n\r\n`;
  expect(parseRaw(await raw(server.url, head)).status).toBe(413);
});

test("a body of 60 MiB that is sent in spite of its length is refused, and the answer arrives", async () => {
  const length = 60 * 1_048_576;
  const head = `${JSON_POST}content-length: ${length}\r\n\r\n`;
  const text = await raw(server.url, `${head}${" ".repeat(length)}`);
  expect(parseRaw(text).status).toBe(413);
  expect(text).toContain('"code":"body_too_large"');
});

test("a chunked body over the limit is refused when it passes it", async () => {
  const small = await startServer({ core: db.core, port: 0, bodyLimitBytes: 10_000 });
  const chunk = `4000\r\n${"x".repeat(0x4000)}\r\n`;
  const text = await raw(small.url, `${JSON_POST}transfer-encoding: chunked\r\n\r\n${chunk}`);
  expect(parseRaw(text)).toMatchObject({ status: 413 });
  expect(text).toContain('"limitBytes":10000');
  await small.close();
});

test("a client that leaves in the middle of its body harms nobody", async () => {
  const { port } = new URL(server.url);
  const { connect } = await import("node:net");
  const socket = connect(Number(port), "127.0.0.1");
  await new Promise((resolve) => socket.once("connect", resolve));
  socket.write(`${JSON_POST}content-length: 1000\r\n\r\n{"workflow":`);
  socket.destroy();
  expect((await send(`${server.url}/health`)).status).toBe(200);
});

test("Node's own sockets carry a body in pieces as one", async () => {
  const { request } = await import("node:http");
  const status = await new Promise<number | undefined>((resolve) => {
    const headers = { "content-type": "application/json" };
    const call = request(`${server.url}/v1/runs`, { method: "POST", headers }, (answer) => {
      answer.resume();
      resolve(answer.statusCode);
    });
    call.write('{"workflow":');
    setImmediate(() => call.end('"pieces"}'));
  });
  expect(status).toBe(200);
});

test("a taken port and an open address are refused with what to do", async () => {
  const taken = startServer({ core: db.core, port: server.port });
  await expect(taken).rejects.toThrow(ListenError);
  await expect(taken).rejects.toThrow(`Port ${server.port} on 127.0.0.1 is taken.`);
  await expect(startServer({ core: db.core, port: 0, host: "0.0.0.0" })).rejects.toMatchObject({
    fix: expect.stringContaining("tidebase keys create"),
  });
});

test("closing finishes what is under way and refuses what comes later", async () => {
  const own = await startServer({ core: db.core, port: 0 });
  const blocker = await db.pool.connect();
  const { runId, epoch, grantId } = await db.begun();
  await blocker.query("begin");
  await blocker.query("select from tidebase.runs where run_id = $1 for update", [runId.slice(4)]);
  const body = JSON.stringify({ items: [{ runId, epoch, grantId }] });
  const headers = { "content-type": "application/json" };
  const underWay = send(`${own.url}/v1/runs/complete`, { method: "POST", headers, body });
  await expect
    .poll(
      async () =>
        (
          await db.pool.query(
            "select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()",
          )
        ).rowCount,
    )
    .toBe(1);
  const closing = own.close();
  await expect
    .poll(() => send(`${own.url}/health`).catch((error: Error) => error.message))
    .toMatch(/ECONNREFUSED/);
  await blocker.query("commit");
  blocker.release();
  expect((await underWay).status).toBe(200);
  await closing;
});
