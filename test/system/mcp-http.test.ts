import { type ChildProcess, spawn } from "node:child_process";
import { createServer } from "node:net";
import { fileURLToPath } from "node:url";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js";
import { afterAll, expect, test } from "vitest";
import { useDatabase } from "../../core/test/support/database.ts";
import { end, untilPrinted } from "../support/process.ts";

const db = useDatabase();
const root = fileURLToPath(new URL("../../", import.meta.url));
const children: ChildProcess[] = [];
afterAll(() => Promise.all(children.map((child) => end(child, "SIGKILL"))));

/** `tidebase-mcp http` as a process of its own, and what it prints. */
function start(args: readonly string[], databaseUrl = db.url) {
  const source = ["--import", "tsx", "--conditions=tidebase-source", "mcp-server/src/main.ts"];
  const { TIDEBASE_URL: _u, DATABASE_URL: _d, ...inherited } = process.env;
  const env = { ...inherited, TIDEBASE_DATABASE_URL: databaseUrl };
  const child = spawn(process.execPath, [...source, "http", ...args], { cwd: root, env });
  children.push(child);
  const printed = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const)
    child[name].on("data", (part) => {
      printed[name] += part;
    });
  return { child, printed, url: () => untilPrinted(child, /http:\/\/127\.0\.0\.1:\d+(?=,)/) };
}

async function join(url: string): Promise<Client> {
  const client = new Client({ name: "test", version: "0.0.0" });
  await client.connect(new StreamableHTTPClientTransport(new URL(`${url}/mcp`)) as Transport);
  return client;
}

test("the program serves the API and the tools, says so in one line, and ends cleanly on a signal", async () => {
  const { child, printed, url } = start(["--port", "0"]);
  const [base] = await url();
  expect(await (await fetch(`${base}/v1/overview`)).json()).toMatchObject({ openGates: 0 });
  const client = await join(base);
  const runId = await db.pending();
  const waiting = client
    .callTool({ name: "tidebase_wait_for_run", arguments: { runId, timeoutMs: 50_000 } })
    .catch((error: Error) => error);
  const { structuredContent } = await client.callTool({ name: "tidebase_overview" });
  expect(structuredContent).toMatchObject({ access: "read_write" });
  const since = performance.now();
  expect(await end(child, "SIGTERM")).toBe(0);
  expect(performance.now() - since).toBeLessThan(8000);
  expect(String(await waiting)).toContain("The server stops");
  expect(printed.stdout).toBe("");
  expect(printed.stderr).toMatch(/^Tidebase listens on .*\/mcp \(store: .*no API key yet.*\)\n$/);
  await client.close();
});

test("a database on another machine is read by agents, written through the API and with --allow-writes", async () => {
  const elsewhere = Object.assign(new URL(db.url), { hostname: "0.0.0.0" }).href; // does not look like this machine
  const input = { runId: await db.pending(), reason: "test", dryRun: false };
  for (const [args, code] of [
    [[], "store_read_only"],
    [["--allow-writes"], undefined],
  ] as const) {
    const { child, url } = start(["--port", "0", ...args], elsewhere);
    const [base] = await url();
    const made = await fetch(`${base}/v1/runs`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: '{"workflow":"test"}',
    });
    expect(made.status).toBe(200);
    const client = await join(base);
    const { content } = await client.callTool({ name: "tidebase_cancel_run", arguments: input });
    const [block] = content as { text: string }[];
    expect(JSON.parse(block?.text ?? "").error?.code).toBe(code);
    await client.close();
    await end(child, "SIGTERM");
  }
});

test("--read-only keeps the API from writing too", async () => {
  const { child, url } = start(["--port", "0", "--read-only"]);
  const [base] = await url();
  const refused = await fetch(`${base}/v1/runs`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: '{"workflow":"test"}',
  });
  expect(await refused.json()).toMatchObject({ status: 403, code: "store_read_only" });
  await end(child, "SIGTERM");
});

test("a taken port and an address for others without a key are refused with what to do", async () => {
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
  const address = other.address();
  const port = typeof address === "object" ? String(address?.port) : "";
  for (const [args, message] of [
    [["--port", port], `tidebase-mcp: Port ${port} on 127.0.0.1 is taken.`],
    [["--port", "0", "--host", "0.0.0.0"], "tidebase-mcp: Without an API key the server is open"],
  ] as const) {
    const { child, printed } = start(args);
    const code = await new Promise((resolve) => child.once("close", resolve));
    expect([code, printed.stdout]).toEqual([1, ""]);
    expect(printed.stderr).toContain(message);
  }
  other.close();
});
