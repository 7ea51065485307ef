import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { clusterStatus } from "@tidebase/core";
import { Tidebase } from "@tidebase/sdk";
import { afterAll, expect, test } from "vitest";
import { end, untilPrinted } from "../support/process.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const source = ["--import", "tsx", "--conditions=tidebase-source"];
const seed = Number(process.env["TIDEBASE_SEED"] ?? Date.now() % 2 ** 31);
const TRIALS = 8;
const home = await mkdtemp(join(tmpdir(), "tidebase two processes "));
const { TIDEBASE_URL: _u, TIDEBASE_DATABASE_URL: _d, DATABASE_URL: _a, ...inherited } = process.env;
const env = { ...inherited, TIDEBASE_HOME: home } as Record<string, string>;

afterAll(() => rm(home, { recursive: true, force: true }));

/** mulberry32: the same seed gives the same kills. */
function randomOf(state: number): () => number {
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

async function startServer(): Promise<{ child: ChildProcess; url: string }> {
  const args = [...source, "http-server/src/main.ts", "--port", "0"];
  const child = spawn(process.execPath, args, { cwd: root, env });
  const [url] = await untilPrinted(child, /http:\/\/127\.0\.0\.1:\d+/);
  return { child, url };
}

async function startMcp(): Promise<{ client: Client; pid: number }> {
  const client = new Client({ name: "test", version: "1.0.0" });
  const args = [...source, "mcp-server/src/main.ts", "--no-http"];
  const transport = new StdioClientTransport({
    command: process.execPath,
    args,
    cwd: root,
    env,
    stderr: "ignore",
  });
  await client.connect(transport);
  return { client, pid: transport.pid ?? 0 };
}

/** Runs that the store shows as completed. */
async function completedRuns({ client }: { client: Client }): Promise<number> {
  const { structuredContent, isError } = await client.callTool({
    name: "tidebase_overview",
    arguments: {},
  });
  expect(isError, JSON.stringify(structuredContent)).not.toBe(true);
  return (structuredContent as { finishedLastDay: number }).finishedLastDay;
}

test(`a server and an MCP server share one embedded Postgres, and survive each other's kill -9 (seed ${seed})`, async () => {
  console.log(`seed ${seed}`);
  const random = randomOf(seed);
  let server = await startServer();
  let mcp = await startMcp();
  await completedRuns(mcp);
  let acknowledged = 0;

  for (let trial = 0; trial < TRIALS; trial++) {
    const killServer = random() < 0.5;
    const steps = 1 + Math.floor(random() * 20);
    const tide = new Tidebase({ url: server.url });
    await tide.run("shared", {}, async (run) => {
      for (let n = 0; n < steps; n++) await run.step("s", { key: String(n) }, () => n);
    });
    acknowledged++;
    await tide.close();
    if (killServer) {
      await end(server.child, "SIGKILL");
      expect(await completedRuns(mcp)).toBe(acknowledged);
      server = await startServer();
    } else {
      process.kill(mcp.pid, "SIGKILL");
      mcp = await startMcp();
    }
    expect(await completedRuns(mcp)).toBe(acknowledged);
  }

  process.kill(mcp.pid, "SIGKILL");
  await end(server.child, "SIGKILL");
  server = await startServer(); // nothing that was left behind blocks the next start
  mcp = await startMcp();
  expect(await completedRuns(mcp)).toBe(acknowledged);
  await mcp.client.close();
  expect(await end(server.child, "SIGTERM")).toBe(0);
  await expect
    .poll(async () => (await clusterStatus({ home })).state, { timeout: 15_000 })
    .toBe("stopped");
});
