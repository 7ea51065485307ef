import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterEach, expect, test } from "vitest";
import { clusterStatus, stopCluster } from "../../core/src/embedded/cluster.ts";
import { useDatabase } from "../../core/test/support/database.ts";
import { program, startAgent } from "./support.ts";

const db = useDatabase();
const started: ChildProcessWithoutNullStreams[] = [];
afterEach(() => {
  for (const child of started.splice(0)) child.kill("SIGKILL");
});

interface Message {
  readonly jsonrpc: string;
  readonly id?: number;
  readonly result?: Record<string, unknown>;
}

/** The program with its raw lines. */
function start(env: Record<string, string>, options: string[] = [], cwd?: string) {
  const child = spawn(process.execPath, program(...options), {
    env: { PATH: process.env["PATH"] ?? "", ...env },
    cwd,
  });
  started.push(child);
  const lines: string[] = [];
  const waiting = new Map<number, (message: Message) => void>();
  createInterface(child.stdout).on("line", (line) => {
    lines.push(line);
    const message = JSON.parse(line) as Message;
    if (message.id !== undefined) waiting.get(message.id)?.(message);
  });
  const send = (text: string): boolean => child.stdin.write(`${text}\n`);
  const ask = (id: number, method: string, params: object = {}): Promise<Message> =>
    new Promise((resolve, reject) => {
      waiting.set(id, resolve);
      child.once("exit", () => reject(new Error(`It ended before it answered ${method}.`)));
      send(JSON.stringify({ jsonrpc: "2.0", id, method, params }));
    });
  const exited = new Promise<number | null>((resolve) => child.once("exit", resolve));
  return { child, lines, send, ask, exited };
}

const HELLO = {
  protocolVersion: "2025-11-25",
  capabilities: {},
  clientInfo: { name: "test", version: "0" },
};

test("the handshake and the list are answered before the database is touched", async () => {
  let touched = 0;
  const hole = createServer((socket) => {
    touched += 1;
    socket.on("error", () => {}); // accepts, and never says a word
  });
  await new Promise<void>((resolve) => hole.listen(0, "127.0.0.1", resolve));
  const address = hole.address();
  const port = typeof address === "object" ? address?.port : undefined;
  const { ask, child, exited } = start({
    TIDEBASE_DATABASE_URL: `postgres://x@127.0.0.1:${port}/x`,
  });
  const hello = await ask(1, "initialize", HELLO);
  expect(hello.result).toMatchObject({
    serverInfo: { name: "tidebase" },
    protocolVersion: "2025-11-25",
  });
  expect(await ask(2, "tools/list")).toMatchObject({ result: { tools: expect.any(Array) } });
  expect(touched).toBe(0);
  ask(3, "tools/call", { name: "tidebase_overview" }).catch(() => {});
  await expect.poll(() => touched).toBeGreaterThan(0);
  child.kill("SIGKILL");
  await exited;
  hole.close();
});

test("standard output carries the protocol and nothing else, whatever is sent", async () => {
  const { ask, send, lines, child, exited } = start({
    TIDEBASE_DATABASE_URL: db.url,
    DEBUG: "*",
    NODE_DEBUG: "net,http",
    NODE_OPTIONS: "--trace-warnings --trace-deprecation",
  });
  await ask(1, "initialize", HELLO);
  send("this is no JSON");
  send('{"jsonrpc":"2.0","method":"notifications/unknown"}');
  await ask(2, "tools/list");
  await ask(3, "tools/call", { name: "tidebase_overview", arguments: {} });
  await ask(4, "tools/call", { name: "tidebase_nothing", arguments: {} });
  await ask(5, "no/such/method");
  child.stdin.end();
  expect(await exited).toBe(0);
  expect(lines.length).toBeGreaterThanOrEqual(5);
  for (const line of lines) expect(JSON.parse(line)).toMatchObject({ jsonrpc: "2.0" });
});

test("calls sent before the input ends are answered", async () => {
  const { ask, child, exited } = start({ TIDEBASE_DATABASE_URL: db.url });
  const answers = [
    ask(1, "initialize", HELLO),
    ask(2, "tools/call", { name: "tidebase_overview" }),
  ];
  child.stdin.end();
  expect(await exited).toBe(0);
  expect((await answers[1])?.result).toMatchObject({ structuredContent: { access: "read_write" } });
});

test.each(["SIGTERM", "SIGINT"] as const)("%s ends it, and its connections", async (signal) => {
  const before = await backends();
  const { ask, child, exited } = start({ TIDEBASE_DATABASE_URL: db.url });
  await ask(1, "initialize", HELLO);
  await ask(2, "tools/call", { name: "tidebase_overview" });
  const opened = (await backends()).filter((pid) => !before.includes(pid));
  expect(opened).not.toEqual([]);
  child.kill(signal);
  expect(await exited).toBe(0);
  await expect
    .poll(async () => (await backends()).filter((pid) => opened.includes(pid)))
    .toEqual([]);
});

/** The processes that serve this database's clients. */
async function backends(): Promise<number[]> {
  const text = "select pid from pg_stat_activity where datname = current_database()";
  return (await db.pool.query<{ pid: number }>(text)).rows.map(({ pid }) => pid);
}

test("with nothing configured it starts the embedded Postgres, and stops it when it leaves", async () => {
  const home = await mkdtemp(join(tmpdir(), "tidebase-mcp-"));
  try {
    const { ask, child, exited } = start({ TIDEBASE_HOME: home }, [], "/");
    await ask(1, "initialize", HELLO);
    const { result } = await ask(2, "tools/call", { name: "tidebase_overview" });
    const store = { foundBy: "embedded", description: expect.stringContaining("embedded") };
    expect(result).toMatchObject({ structuredContent: { access: "read_write", store } });
    child.stdin.end();
    expect(await exited).toBe(0);
    expect((await clusterStatus({ home })).state).toBe("stopped");
  } finally {
    await stopCluster({ home });
    await rm(home, { recursive: true, force: true });
  }
}, 60_000);

test("a real client works over stdio, and starts runs where that was asked for", async () => {
  const started = program("--toolsets", "runs,start");
  const agent = await startAgent({ TIDEBASE_DATABASE_URL: db.url }, started);
  const { runId } = await agent.call("tidebase_enqueue_run", { workflow: "report" });
  const { run } = await agent.call("tidebase_get_run", { runId });
  expect(run).toMatchObject({ runId, status: "queued" });
  expect(await agent.refused("tidebase_list_gates")).toMatchObject({ code: "tool_not_found" });
  await agent.close();
});

test("options that print do so, and an unknown one is refused", async () => {
  const printed = (options: string[]): Promise<[string, number | null]> =>
    new Promise((resolve) => {
      const child = spawn(process.execPath, program(...options));
      started.push(child);
      let text = "";
      child.stdout.setEncoding("utf8").on("data", (part) => {
        text += part;
      });
      child.once("close", (code) => resolve([text, code]));
    });
  expect(await printed(["--help"])).toEqual([expect.stringContaining("--read-only"), 0]);
  expect(await printed(["--version"])).toEqual([expect.stringMatching(/^\d+\.\d+\.\d+/), 0]);
  expect(await printed(["--databse"])).toEqual(["", 2]);
});
