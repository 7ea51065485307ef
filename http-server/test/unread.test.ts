import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { useDatabase } from "../../core/test/support/database.ts";
import { type RunningServer, startServer } from "../src/index.ts";
import { raw } from "./support.ts";

const db = useDatabase();
const LIMIT = 10_000;
let server: RunningServer;

beforeAll(async () => {
  server = await startServer({ core: db.core, port: 0, bodyLimitBytes: LIMIT });
});
afterAll(() => server.close());

const HOST = "host: localhost\r\n";
const JSON_TYPE = "content-type: application/json\r\n";
const TEXT = "content-type: text/plain\r\n";
const POST = `POST /v1/runs HTTP/1.1\r\n${HOST}${JSON_TYPE}`;
const RUN = '{"workflow":"late"}';
const NEXT = `${POST}content-length: ${RUN.length}\r\n\r\n${RUN}`;
const LAST = `GET /health HTTP/1.1\r\n${HOST}connection: close\r\n\r\n`;
const LONG = 8 * 1_048_576;
const CLOSES = /^connection: close\r$/im;

interface Talk {
  readonly socket: Socket;
  /** All that has come so far. */
  said(): string;
  /** Resolves when the server has ended its side, or the connection is gone. */
  readonly over: Promise<unknown>;
  readonly failures: Error[];
}

/** A client that goes on sending though the server has ended. */
async function talk(bytes: string, { port } = server): Promise<Talk> {
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  await once(socket, "connect");
  const failures: Error[] = [];
  let text = "";
  socket.setEncoding("latin1").on("data", (part) => {
    text += part;
  });
  socket.on("error", (error) => failures.push(error));
  const over = Promise.race([once(socket, "end"), once(socket, "close")]);
  socket.write(bytes);
  return { socket, said: () => text, over, failures };
}

const statusesOf = (text: string) =>
  [...text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, status]) => Number(status));

test.each([
  ["a body over the limit", `${POST}content-length: ${LONG}\r\n\r\n{`, 413],
  [
    "chunks over the limit",
    `${POST}transfer-encoding: chunked\r\n\r\n4000\r\n${"x".repeat(0x4000)}\r\n`,
    413,
  ],
  ["another type", `POST /v1/runs HTTP/1.1\r\n${HOST}${TEXT}content-length: 99\r\n\r\n{`, 415],
  ["another path", `POST /v1/no HTTP/1.1\r\n${HOST}content-length: 99\r\n\r\n{`, 404],
  ["a body where none is read", `GET /health HTTP/1.1\r\n${HOST}content-length: 99\r\n\r\n{`, 200],
  ["another's host", "POST / HTTP/1.1\r\nhost: evil.example\r\ncontent-length: 99\r\n\r\n{", 403],
  ["a host that is none", "POST / HTTP/1.1\r\nhost: a b@c\r\ncontent-length: 99\r\n\r\n{", 400],
])(
  "%s is answered before it is there, and told that the connection ends",
  async (_, sent, status) => {
    const text = await raw(server.url, sent);
    expect(statusesOf(text)).toEqual([status]);
    expect(text).toMatch(CLOSES);
  },
);

test("what was refused may still be sent, and the next request is not taken", async () => {
  const { socket, said, over, failures } = await talk(`${POST}content-length: ${LONG}\r\n\r\n{`);
  await over;
  expect(statusesOf(said())).toEqual([413]);
  expect(said()).toMatch(CLOSES);
  socket.end(`${" ".repeat(LONG - 1)}${NEXT}`);
  await once(socket, "close");
  expect(failures).toEqual([]); // no reset
  expect(statusesOf(said())).toEqual([413]);
  const { rows } = await db.pool.query("select from tidebase.runs where workflow = 'late'");
  expect(rows).toEqual([]);
});

test("a client that reads only when it has sent all of it reads the answer", async () => {
  const { socket, said, over, failures } = await talk(`${POST}content-length: ${LONG}\r\n\r\n`);
  socket.pause();
  for (let sent = 0; sent < LONG; sent += 65_536)
    if (!socket.write(" ".repeat(65_536))) await once(socket, "drain");
  socket.end();
  socket.resume();
  await over;
  expect(failures).toEqual([]);
  expect(said()).toContain('"code":"body_too_large"');
});

test("a request that was refused when it had come in full leaves the connection open", async () => {
  const refused = [
    `POST /v1/no HTTP/1.1\r\n${HOST}content-length: 2\r\n\r\n{}`,
    "POST / HTTP/1.1\r\nhost: evil.example\r\ncontent-length: 2\r\n\r\n{}",
    `POST /v1/runs HTTP/1.1\r\n${HOST}${TEXT}content-length: 2\r\n\r\n{}`,
    `${POST}content-length: 2\r\n\r\n{}`,
  ];
  const text = await raw(server.url, `${refused.join("")}${LAST}`);
  expect(statusesOf(text)).toEqual([404, 403, 415, 400, 200]);
});

test.each([
  ["what was refused", 99_999_999, "{"],
  ["a request after what was refused", LONG, `${"x".repeat(LONG)}${NEXT}`],
])("a server that stops does not wait for %s", async (_, length, body) => {
  const own = await startServer({ core: db.core, port: 0, bodyLimitBytes: LIMIT });
  const { over, socket } = await talk(`${POST}content-length: ${length}\r\n\r\n`, own);
  await over;
  await new Promise((resolve) => socket.write(body, resolve));
  const since = performance.now();
  await own.close();
  expect(performance.now() - since).toBeLessThan(4500);
  socket.destroy();
});
