import type { Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import type { HttpClient } from "./client.ts";
import type { RawCaller } from "./raw-cases.ts";
import { open, speak, statusesOf } from "./raw-sockets.ts";
import type { Ledger } from "./rows.ts";

/** How long the server gives a head, and a whole request, with a margin for a busy machine. */
const HEAD_MS = 10_000;
const REQUEST_MS = 60_000;
const MARGIN_MS = 8000;

/**
 * A client that never comes to an end is answered 408, not before its time and not long after. Bodies take a
 * minute: they are tried when there is time for it.
 */
export async function slowRequests(
  url: string,
  caller: RawCaller,
  ledger: Ledger,
  bodies: boolean,
): Promise<void> {
  const host = `host: localhost\r\nauthorization: ${caller.authorization}\r\n`;
  const json = `POST /v1/runs HTTP/1.1\r\n${host}content-type: application/json\r\n`;
  const tries: [string, string, number][] = [
    ["half a request line", "GET /v1/ru", HEAD_MS],
    ["half a head", `GET /v1/overview HTTP/1.1\r\n${host}`, HEAD_MS],
    ["no body", `${json}content-length: 100\r\n\r\n`, REQUEST_MS],
    ["half a body", `${json}content-length: 100\r\n\r\n{"workflow":`, REQUEST_MS],
    ["half the chunks", `${json}transfer-encoding: chunked\r\n\r\n4\r\n{"wo\r\n`, REQUEST_MS],
  ];
  await Promise.all([
    ...tries
      .filter(([, , limit]) => bodies || limit < REQUEST_MS)
      .map(async ([title, bytes, limit]) => {
        const said = await speak(url, bytes, { patienceMs: limit + MARGIN_MS });
        const [status = 0] = statusesOf(said.text);
        const right = status === 408 && said.closed && said.ms > limit - 2000;
        ledger.tried(
          "B19",
          right ? undefined : `${title}: ${status} after ${Math.round(said.ms)} ms`,
        );
      }),
    dripping(url, host, ledger),
  ]);
  if (!bodies) ledger.note("B19", "slow bodies are tried when the stage has a minute");
}

/** A byte of a head each second does not hold a socket longer. */
async function dripping(url: string, host: string, ledger: Ledger): Promise<void> {
  const socket = await open(url);
  let text = "";
  let closed = false;
  socket.on("data", (part) => {
    text += part.toString("latin1");
  });
  socket.once("close", () => {
    closed = true;
  });
  socket.write(`GET /v1/overview HTTP/1.1\r\n${host}x: `);
  const until = performance.now() + HEAD_MS + MARGIN_MS;
  while (!closed && performance.now() < until) {
    if (!socket.writableEnded && text === "") socket.write("a");
    await delay(500);
  }
  socket.destroy();
  const [status = 0] = statusesOf(text);
  ledger.tried(
    "B19",
    status === 408 && closed ? undefined : `a dripped head: ${status}, closed ${closed}`,
  );
}

/** More than a server takes of a body that it has refused. */
const LATE_MS = 900;

/**
 * A body that is refused by its length, whose rest comes late: the answer says that the connection is over, or
 * the next request on it is answered. Anything else loses a request of a client that did nothing wrong.
 */
export async function lateBody(url: string, caller: RawCaller, ledger: Ledger): Promise<void> {
  const host = `host: localhost\r\nauthorization: ${caller.authorization}\r\n`;
  const socket = await open(url);
  let text = "";
  let closed = false;
  socket.setEncoding("latin1").on("data", (part) => {
    text += part;
  });
  socket.once("close", () => {
    closed = true;
  });
  const until = async (done: () => boolean) => {
    for (const late = performance.now() + MARGIN_MS; !done() && performance.now() < late; )
      await delay(10);
  };
  const length = 17 * 1_048_576;
  socket.write(`POST /v1/runs HTTP/1.1\r\n${host}content-type: application/json\r\n`);
  socket.write(`content-length: ${length}\r\n\r\n{`);
  await until(() => text.includes("body_too_large") || closed);
  const isOver = /^connection: close/im.test(text);
  await delay(LATE_MS);
  if (!closed) socket.write(" ".repeat(length - 1));
  if (!closed) socket.write(`GET /health HTTP/1.1\r\n${host}\r\n`);
  await until(() => statusesOf(text).length > 1 || closed);
  socket.destroy();
  const statuses = statusesOf(text);
  const right = statuses[0] === 413 && (isOver || statuses[1] === 200);
  const said = `${statuses.join(", ")}, ${isOver ? "" : "not "}told that it is over`;
  ledger.tried("B3", right ? undefined : `a refused body whose rest comes late: ${said}`);
}

const IDLE = 1000;
const READERS = 100;

/** Sockets that say nothing, and readers of event streams that never read, keep nobody else waiting. */
export async function idleClients(
  url: string,
  { authorization, runId }: RawCaller,
  client: HttpClient,
  ledger: Ledger,
): Promise<void> {
  const sockets: Socket[] = [];
  try {
    for (let n = 0; n < IDLE; n++) sockets.push(await open(url));
    const head = `GET /v1/runs/${runId}/events/stream HTTP/1.1\r\nhost: localhost\r\nauthorization: ${authorization}\r\n\r\n`;
    for (let n = 0; n < READERS; n++) {
      const socket = await open(url);
      socket.pause().write(head);
      sockets.push(socket);
    }
    for (let n = 0; n < 50; n++) {
      const since = performance.now();
      const { status } = await client.get("/v1/overview");
      const ms = performance.now() - since;
      const right = status === 200 && ms < 1000;
      ledger.tried(
        "B19",
        right ? undefined : `beside idle clients: ${status} after ${Math.round(ms)} ms`,
      );
    }
  } catch (error) {
    ledger.tried("B19", `${sockets.length} idle clients: ${String(error)}`);
  } finally {
    for (const socket of sockets) socket.destroy();
  }
}
