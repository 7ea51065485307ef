import { request as httpRequest } from "node:http";
import { connect } from "node:net";
import type { App } from "../src/index.ts";

type Json = Record<string, unknown>;

/** The answer's JSON; each test says what it expects of it. */
export async function json(answer: Response | Promise<Response>): Promise<Json> {
  return JSON.parse(await (await answer).text()) as Json;
}

/** Sends a body as JSON, or text as it stands, to an app that listens nowhere. */
export function poster(app: App) {
  return async (path: string, body: unknown, headers: Record<string, string> = {}) =>
    app.request(path, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: typeof body === "string" ? body : JSON.stringify(body),
    });
}

/** The status and the problem's code, or `undefined` where there was none. */
export async function verdict(
  answer: Response | Promise<Response>,
): Promise<{ status: number; code: unknown }> {
  const { status } = await answer;
  return { status, code: (await json(answer))["code"] };
}

/** Writes bytes to a socket and answers everything that comes back until the server closes it. */
export function raw(url: string, bytes: string | Uint8Array): Promise<string> {
  const { port } = new URL(url);
  return new Promise((resolve) => {
    const socket = connect(Number(port), "127.0.0.1");
    const chunks: Buffer[] = [];
    socket.on("data", (chunk) => chunks.push(chunk));
    socket.on("error", () => {}); // the close that follows tells the same
    socket.on("close", () => resolve(chunks.map(String).join("")));
    socket.on("connect", () => socket.write(bytes));
  });
}

/** Status, headers and body of an answer as `raw` read it. */
export function parseRaw(text: string): { status: number; head: string; body: string } {
  const [head = "", body = ""] = text.split("\r\n\r\n", 2);
  return { status: Number(/^HTTP\/1\.1 (\d{3})/.exec(head)?.[1]), head: head.toLowerCase(), body };
}

/** A request over a real socket, with any headers: fetch would not send a foreign Host. */
export function send(
  url: string,
  {
    method = "GET",
    headers = {},
    body,
  }: { method?: string; headers?: Record<string, string>; body?: string } = {},
): Promise<{ status: number; headers: NodeJS.Dict<string | string[]>; text: string }> {
  return new Promise((resolve, reject) => {
    const call = httpRequest(url, { method, headers }, (answer) => {
      let text = "";
      answer.setEncoding("utf8").on("data", (part: string) => {
        text += part;
      });
      answer.on("end", () =>
        resolve({ status: answer.statusCode ?? 0, headers: answer.headers, text }),
      );
      answer.on("error", reject);
    });
    call.on("error", reject).end(body);
  });
}

export interface SseEvent {
  readonly id: number;
  readonly event: string;
  readonly data: Json;
}

/** What a reader of an event stream saw until it closed, or until `enough` said so. */
export async function readStream(
  url: string,
  headers: Record<string, string> = {},
  enough: (events: SseEvent[], text: string) => boolean = () => false,
): Promise<{ status: number; events: SseEvent[]; text: string }> {
  const stop = new AbortController();
  const answer = await fetch(url, { headers, signal: stop.signal });
  const decoder = new TextDecoder();
  let text = "";
  try {
    for await (const chunk of answer.body ?? []) {
      text += decoder.decode(chunk as Uint8Array, { stream: true });
      if (enough(events(text), text)) break;
    }
  } finally {
    stop.abort();
  }
  return { status: answer.status, events: events(text), text };
}

function events(text: string): SseEvent[] {
  const blocks = text.split("\n\n").slice(0, -1);
  return blocks
    .filter((block) => block.startsWith("id: "))
    .map((block) => {
      const [, id = "", event = "", data = ""] =
        /^id: (.*)\nevent: (.*)\ndata: (.*)$/.exec(block) ?? [];
      return { id: Number(id), event, data: JSON.parse(data) as Json };
    });
}
