import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Webhook } from "standardwebhooks";
import { type Delivered, now } from "../history/evidence.ts";

/** An endpoint of a webhook. */
export interface Receiver {
  readonly name: string;
  readonly url: string;
  /** What messages to it are signed with, once its webhook has been created. */
  secret: string | undefined;
}

/** Endpoints on loopback, the good ones and the bad, and all that reached them. */
export interface Receivers {
  readonly good: readonly Receiver[];
  readonly bad: readonly Receiver[];
  readonly delivered: readonly Delivered[];
  close(): Promise<void>;
}

/** Answers a request that has been read, and says with which status; 0 when it does not answer. */
type Answer = (response: ServerResponse, tries: number) => number;

const DRIP_MS = 400;
const CHUNK = Buffer.alloc(1024 * 1024, "x");
const CHUNKS = 50;
const LARGEST = 4 * 1024 * 1024;

const GOOD = ["good-a", "good-b", "good-c"];

/** What goes wrong at endpoints of other people. */
const BAD: Readonly<Record<string, Answer>> = {
  "bad-hang": () => 0,
  "bad-500": (response) => plain(response, 500),
  "bad-302": (response) => plain(response, 302, { location: "/good-a" }),
  "bad-429": (response) => plain(response, 429, { "retry-after": "2" }),
  "bad-drip": drip,
  "bad-flood": flood,
  "bad-reset": (response) => {
    response.socket?.resetAndDestroy();
    return 0;
  },
  "bad-twice": (response, tries) => plain(response, tries <= 2 ? 503 : 204),
};

/** Opens them on a port of their own. */
export async function openReceivers(): Promise<Receivers> {
  const delivered: Delivered[] = [];
  const receivers = new Map<string, Receiver>();
  const tries = new Map<string, number>();
  const server = createServer((request, response) => {
    void take(request, response).catch(() => response.destroy()); // the sender has broken off
  });

  async function take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const name = request.url?.slice(1) ?? "";
    const body = await read(request);
    const id = header(request, "webhook-id");
    const nth = (tries.get(`${name} ${id}`) ?? 0) + 1;
    tries.set(`${name} ${id}`, nth);
    const signed = isSigned(request, body, receivers.get(name)?.secret);
    const { type, runId } = told(body);
    const at = now();
    const answer = BAD[name] ?? ((one: ServerResponse) => plain(one, 204));
    const status = answer(response, nth);
    delivered.push({ at, receiver: name, id, type, runId, signed, status });
  }

  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  const all = [...GOOD, ...Object.keys(BAD)].map((name): Receiver => {
    const receiver = { name, url: `http://127.0.0.1:${port}/${name}`, secret: undefined };
    receivers.set(name, receiver);
    return receiver;
  });
  const isGood = ({ name }: Receiver) => GOOD.includes(name);
  const good = all.filter(isGood);
  const bad = all.filter((receiver) => !isGood(receiver));
  return { good, bad, delivered, close: () => closed(server) };
}

async function closed(server: Server): Promise<void> {
  const ended = once(server, "close");
  server.close();
  server.closeAllConnections();
  await ended;
}

async function read(request: IncomingMessage): Promise<string> {
  let body = "";
  for await (const text of request.setEncoding("utf8")) {
    body += text;
    if (body.length > LARGEST) throw new Error("No message is so long.");
  }
  return body;
}

function header({ headers }: IncomingMessage, name: string): string {
  return String(headers[name] ?? "");
}

/** The signature alone: how old the message may be is not asked, for the clocks here are tampered with. */
function isSigned(request: IncomingMessage, body: string, secret: string | undefined): boolean {
  if (secret === undefined) return false;
  const sentAt = new Date(Number(header(request, "webhook-timestamp")) * 1000);
  if (Number.isNaN(sentAt.getTime())) return false;
  const signature = new Webhook(secret).sign(header(request, "webhook-id"), sentAt, body);
  return header(request, "webhook-signature").split(" ").includes(signature);
}

function told(body: string): { type: string; runId: string } {
  try {
    const { type, data } = JSON.parse(body) as { type?: unknown; data?: { runId?: unknown } };
    return { type: String(type), runId: String(data?.runId) };
  } catch {
    return { type: "", runId: "" };
  }
}

function plain(response: ServerResponse, status: number, headers: Record<string, string> = {}) {
  response.writeHead(status, headers).end();
  return status;
}

/** A status line that comes letter by letter and never ends. */
function drip({ socket }: ServerResponse): number {
  const line = [..."HTTP/1.1 200 O"];
  const letters = setInterval(() => {
    if (socket === null || socket.destroyed) clearInterval(letters);
    else socket.write(line.shift() ?? "K");
  }, DRIP_MS);
  socket?.on("error", () => {});
  return 0;
}

/** Nobody has to read it to its end. */
function flood(response: ServerResponse): number {
  response.writeHead(200, { "content-length": CHUNK.length * CHUNKS }).on("error", () => {});
  let left = CHUNKS;
  const pour = () => {
    while (left > 0 && !response.destroyed) {
      left -= 1;
      if (!response.write(CHUNK)) return;
    }
    response.end();
  };
  response.on("drain", pour);
  pour();
  return 200;
}
