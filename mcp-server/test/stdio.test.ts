import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { clusterStatus, stopCluster } from "../../core/src/embedded/cluster.ts";
import { useDatabase } from "../../core/test/support/database.ts";
import { HELLO, type StdioProgram, startStdio } from "../../test/support/stdio-program.ts";
import { program, startAgent } from "./support.ts";

const db = useDatabase();
const started: StdioProgram[] = [];
afterEach(() => {
  for (const { child } of started.splice(0)) child.kill("SIGKILL");
});

/** The program from its source. */
function start(env: Record<string, string>, options: string[] = [], cwd?: string): StdioProgram {
  const running = startStdio(program(...options), env, cwd);
  started.push(running);
  return running;
}

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
  const { ask, send, raw, lines, child, exited } = start({
    TIDEBASE_DATABASE_URL: db.url,
    DEBUG: "*",
    NODE_DEBUG: "net,http,stream",
    NODE_OPTIONS: "--trace-warnings --trace-deprecation",
  });
  await ask(1, "initialize", HELLO);
  send("this is no JSON");
  send('{"jsonrpc":"2.0","method":"notifications/unknown"}');
  send('[{"jsonrpc":"2.0","id":90,"method":"ping"},{"jsonrpc":"2.0","id":91,"method":"ping"}]');
  send('{"jsonrpc":"1.0","id":92,"method":"ping"}');
  send('{"jsonrpc":"2.0","id":{},"method":"ping"}');
  send("");
  send("null");
  raw(Uint8Array.of(0xff, 0xfe, 0xc3, 0x28, 0x0a)); // no UTF-8
  raw('{"jsonrpc":"2.0",'); // a line comes in parts
  raw('"id":93,"method":"ping"}\r\n');
  await ask(2, "tools/list");
  await ask(3, "tools/call", { name: "tidebase_overview", arguments: {} });
  await ask(4, "tools/call", { name: "tidebase_nothing", arguments: {} });
  await ask(5, "no/such/method");
  expect(await ask(6, "tools/call", { name: 7 })).toMatchObject({ error: { code: -32_602 } });
  raw('{"jsonrpc":"2.0","id":94,'); // half a line is the last that comes
  child.stdin.end();
  expect(await exited).toBe(0);
  const messages = lines.map((line) => JSON.parse(line));
  for (const message of messages) expect(message).toMatchObject({ jsonrpc: "2.0" });
  const ids = messages.map(({ id }) => id);
  expect(ids).toEqual(expect.arrayContaining([1, 2, 3, 4, 5, 6, 93]));
});

test("arguments of 10 MB are refused in a short answer, longer ones too, and the next call works", async () => {
  const { ask, call, raw, lines } = start({ TIDEBASE_DATABASE_URL: db.url });
  await ask(1, "initialize", HELLO);
  const long = "x".repeat(10_000_000);
  const { error } = await call(2, "tidebase_list_runs", { [long]: 1 });
  expect(error).toMatchObject({ code: "input_invalid" });
  const refused = await call(3, "tidebase_get_run", { runId: long });
  expect(refused).toMatchObject({ error: { code: "input_invalid" } });
  const longer = { name: "tidebase_get_run", arguments: { runId: long.repeat(3) } };
  expect(await ask(4, "tools/call", longer)).toMatchObject({ error: { code: -32_600 } });
  raw(`{"params":"${long}${long}"`);
  raw(',"jsonrpc":"2.0","id":5}\n');
  await expect.poll(() => lines.at(-1)).toMatch(/"id":5,"error"/);
  raw(`${long}${long}\n`); // whose answer nobody could tell
  expect(await call(6, "tidebase_overview")).toMatchObject({ access: "read_write" });
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThan(20_000);
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

/** A home for an embedded Postgres, until the work is done. */
async function withHome(work: (home: string) => Promise<void>): Promise<void> {
  const home = await mkdtemp(join(tmpdir(), "tidebase-mcp-"));
  try {
    await work(home);
  } finally {
    await stopCluster({ home });
    await rm(home, { recursive: true, force: true });
  }
}

test("with nothing configured it starts the embedded Postgres, and stops it when it leaves", () =>
  withHome(async (home) => {
    const { ask, call, leave } = start({ TIDEBASE_HOME: home, TIDEBASE_PORT: "0" }, [], "/");
    await ask(1, "initialize", HELLO);
    const store = { foundBy: "embedded", description: expect.stringContaining("embedded") };
    expect(await call(2, "tidebase_overview")).toMatchObject({ access: "read_write", store });
    await leave();
    await expect.poll(async () => (await clusterStatus({ home })).state).toBe("stopped");
  }));

test.each<[string, Record<string, string>, string[]]>([
  ["--no-http", {}, ["--no-http"]],
  ["--read-only", {}, ["--read-only"]],
  ["TIDEBASE_READ_ONLY", { TIDEBASE_READ_ONLY: "1" }, []],
])("%s keeps the API of the embedded Postgres to itself", (_, env, options) =>
  withHome(async (home) => {
    const { ask, call, leave, stderr } = start(
      { TIDEBASE_HOME: home, TIDEBASE_PORT: "0", ...env },
      options,
      "/",
    );
    await ask(1, "initialize", HELLO);
    const { tools } = (await ask(2, "tools/list")).result as { tools: { name: string }[] };
    const writes = tools.some(({ name }) => name === "tidebase_cancel_run");
    const { access, accessReason } = await call(3, "tidebase_overview");
    expect([access, writes]).toEqual(
      options.includes("--no-http") ? ["read_write", true] : ["read_only", false],
    );
    expect(accessReason).not.toContain("http://");
    expect(stderr()).not.toContain("HTTP API");
    await leave(); // it would bring the Postgres back while its folder is taken away
  }),
);

test("a setting that the client did not fill in is named at every call, and the program stays", async () => {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: what such a client passes on
  const { ask, call, leave } = start({ TIDEBASE_DATABASE_URL: "${DATABASE_URL}" });
  await ask(1, "initialize", HELLO);
  for (const id of [2, 3]) {
    const { error } = await call(id, "tidebase_overview");
    expect(error).toMatchObject({ code: "variable_unexpanded" });
    expect((error as { message: string }).message).toContain("TIDEBASE_DATABASE_URL");
  }
  expect(await leave()).toBeLessThan(1000);
});

test("a call that waits for a run does not keep the program when its input ends", async () => {
  const runId = await db.pending();
  const { ask, call, leave } = start({ TIDEBASE_DATABASE_URL: db.url });
  await ask(1, "initialize", HELLO);
  await call(2, "tidebase_overview");
  call(3, "tidebase_wait_for_run", { runId, timeoutMs: 50_000 }).catch(() => {});
  await call(4, "tidebase_overview");
  expect(await leave()).toBeLessThan(1000);
});

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
      let text = "";
      child.stdout.setEncoding("utf8").on("data", (part) => {
        text += part;
      });
      child.once("close", (code) => resolve([text, code]));
    });
  expect(await printed(["--help"])).toEqual([expect.stringContaining("--read-only"), 0]);
  expect(await printed(["--version"])).toEqual([expect.stringMatching(/^\d+\.\d+\.\d+/), 0]);
  expect(await printed(["--databse"])).toEqual(["", 2]);
  expect(await printed(["instal"])).toEqual(["", 2]);
  expect(await printed(["install", "--help"])).toEqual([expect.stringContaining("--client"), 0]);
});
