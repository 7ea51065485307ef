import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { end } from "../../test/support/process.ts";
import type { HttpClient } from "./client.ts";
import { type WatchedLog, watchLog } from "./log-watch.ts";
import { ROOT, SOURCE } from "./serving.ts";

/** A message of JSON-RPC, as it came. */
export interface RpcAnswer {
  readonly id?: unknown;
  readonly result?: Readonly<Record<string, unknown>>;
  readonly error?: { readonly code?: unknown; readonly message?: unknown; readonly data?: unknown };
}

/** Somebody who speaks MCP with the server. */
export interface McpClient {
  /** Asks under a new id. Throws when there is no answer. */
  ask(method: string, params?: unknown): Promise<RpcAnswer>;
  close(): Promise<void>;
}

/** The same on standard input and output, where any line can be sent. */
export interface StdioClient extends McpClient {
  readonly child: ChildProcess;
  readonly log: WatchedLog;
  /** Lines on standard output that are no message. */
  readonly strays: readonly string[];
  raw(bytes: string): void;
}

const HELLO = {
  protocolVersion: "2025-11-25",
  capabilities: {},
  clientInfo: { name: "chaos", version: "0" },
};
const ANSWER_MS = 60_000;

/** Starts the program for one client, its standard error in the folder, and shakes hands. */
export async function startStdioClient(
  folder: string,
  variables: Readonly<Record<string, string>>,
): Promise<StdioClient> {
  const args = ["mcp-server/src/main.ts", "--toolsets", "runs,gates,ops,start"];
  const log = watchLog(join(folder, "stdio.log"));
  const child = spawn(process.execPath, [...SOURCE, ...args], {
    ...{ cwd: ROOT, env: { ...variables } },
    stdio: ["pipe", "pipe", log.fd],
  });
  const { stdin, stdout } = child;
  if (stdin === null || stdout === null) throw new Error("The program has no pipes.");
  const strays: string[] = [];
  const waiting = new Map<unknown, (message: RpcAnswer) => void>();
  createInterface(stdout).on("line", (line) => {
    const message = messageOf(line);
    if (message === undefined) strays.push(line.slice(0, 300));
    else waiting.get(message.id)?.(message);
  });
  stdin.on("error", () => {}); // it is gone; who waits is told by the time limit
  let id = 0;
  const raw = (bytes: string): void => void stdin.write(bytes);
  function ask(method: string, params?: unknown): Promise<RpcAnswer> {
    const mine = ++id;
    return new Promise<RpcAnswer>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`No answer to ${method}.`)), ANSWER_MS);
      waiting.set(mine, (message) => {
        clearTimeout(timer);
        waiting.delete(mine);
        resolve(message);
      });
      raw(`${JSON.stringify({ jsonrpc: "2.0", id: mine, method, params })}\n`);
    });
  }
  await ask("initialize", HELLO);
  raw(`${JSON.stringify({ jsonrpc: "2.0", method: "notifications/initialized" })}\n`);
  const close = async () => {
    await end(child, "SIGTERM");
    log.close();
  };
  return { child, log, strays, raw, ask, close };
}

function messageOf(line: string): RpcAnswer | undefined {
  try {
    const value: unknown = JSON.parse(line);
    const isMessage = typeof value === "object" && value !== null;
    return isMessage && Reflect.get(value, "jsonrpc") === "2.0" ? (value as RpcAnswer) : undefined;
  } catch {
    return undefined;
  }
}

/** What a message over HTTP carries besides its key. */
export const MCP_HEADERS: Readonly<Record<string, string>> = {
  "content-type": "application/json",
  accept: "application/json, text/event-stream",
};

/** Begins a session at `/mcp` in the name of the HTTP client's key. */
export async function startHttpClient(
  client: HttpClient,
): Promise<McpClient & { readonly sessionHeaders: Readonly<Record<string, string>> }> {
  const hello = { jsonrpc: "2.0", id: 0, method: "initialize", params: HELLO };
  const begun = await client.exchange("POST", "/mcp", MCP_HEADERS, JSON.stringify(hello));
  const session = begun.headers["mcp-session-id"];
  if (begun.status !== 200 || session === undefined)
    throw new Error(`No session: ${begun.status} ${begun.text.slice(0, 300)}`);
  const sessionHeaders = { ...MCP_HEADERS, "mcp-session-id": session };
  let id = 0;
  return {
    sessionHeaders,
    async ask(method, params) {
      const message = { jsonrpc: "2.0", id: ++id, method, params };
      const { status, text } = await client.exchange(
        "POST",
        "/mcp",
        sessionHeaders,
        JSON.stringify(message),
      );
      const answer = messageOf(/^data: (.*)$/m.exec(text)?.[1] ?? text);
      if (answer === undefined || status >= 500)
        throw new Error(`No message but ${status} ${text.slice(0, 300)}`);
      return answer;
    },
    close: async () => void (await client.exchange("DELETE", "/mcp", sessionHeaders)),
  };
}
