import { type ChildProcess, spawn } from "node:child_process";
import { createServer } from "node:net";
import { fileURLToPath } from "node:url";
import { afterEach, expect, test } from "vitest";
import { untilBlocked, useDatabase } from "../../core/test/support/database.ts";
import { openGate } from "./gate-support.ts";
import { json, readStream, send } from "./support.ts";

const db = useDatabase();
const MAIN = fileURLToPath(new URL("../src/main.ts", import.meta.url));
const children = new Set<ChildProcess>();

afterEach(() => {
  for (const child of children) if (child.exitCode === null) child.kill("SIGKILL");
});

interface Program {
  readonly child: ChildProcess;
  readonly out: () => string;
  readonly err: () => string;
  readonly exit: Promise<number | null>;
}

function run(args: readonly string[], env: Record<string, string> = {}): Program {
  const child = spawn(
    process.execPath,
    ["--import", "tsx", "--conditions=tidebase-source", MAIN, ...args],
    {
      env: { ...process.env, TIDEBASE_DATABASE_URL: db.url, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
  children.add(child);
  const texts = { out: "", err: "" };
  child.stdout.on("data", (chunk) => (texts.out += String(chunk)));
  child.stderr.on("data", (chunk) => (texts.err += String(chunk)));
  const exit = new Promise<number | null>((resolve) => child.once("close", resolve));
  return { child, out: () => texts.out, err: () => texts.err, exit };
}

/** The address a program says it listens on. */
async function listening(program: Program): Promise<string> {
  const line = /^Tidebase listens on (http:\/\/127\.0\.0\.1:\d+) \(store: .+\)$/m;
  await expect.poll(() => program.out() + program.err(), { timeout: 15_000 }).toMatch(line);
  return line.exec(program.out())?.[1] ?? "";
}

test("the program says where it listens and that it is open, and shows no password", async () => {
  const program = run(["--port", "0"]);
  const url = await listening(program);
  expect(await json(fetch(`${url}/health`))).toMatchObject({ healthy: true });
  expect(await json(fetch(`${url}/ready`))).toMatchObject({
    ready: true,
    migrations: { pending: [] },
    store: expect.stringContaining("TIDEBASE_DATABASE_URL"),
  });
  expect(program.err()).toContain("tidebase keys create");
  program.child.kill("SIGTERM");
  expect(await program.exit).toBe(0);
});

test("the floor, the public name and what webhooks may reach come from the environment", async () => {
  const program = run(["--port", "0"], {
    TIDEBASE_GATE_FLOOR: "signed_in",
    TIDEBASE_PUBLIC_URL: "https://tide.example",
    TIDEBASE_WEBHOOK_ALLOW: "127.0.0.1/32, hooks.example:8443",
  });
  const url = await listening(program);
  const { gateId } = await openGate(db);
  expect(await json(fetch(`${url}/v1/gates/${gateId}`))).toMatchObject({
    gate: { required: "signed_in" },
  });
  const there = await send(`${url}/gates/${gateId}`, { headers: { host: "tide.example" } });
  expect(there.status).toBe(200);
  program.child.kill("SIGTERM");
  expect(await program.exit).toBe(0);
});

test("SIGTERM finishes what is under way, sends streams away and exits 0", async () => {
  const program = run([], { PORT: "0" });
  const url = await listening(program);
  const { runId, epoch, grantId } = await db.begun();
  const streaming = readStream(`${url}/v1/runs/${runId}/events/stream`);
  const blocker = await db.pool.connect();
  await blocker.query("begin");
  await blocker.query("select from tidebase.runs where run_id = $1 for update", [runId.slice(4)]);
  const underWay = send(`${url}/v1/runs/complete`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ items: [{ runId, epoch, grantId }] }),
  });
  await untilBlocked(db.pool, "runs.complete");
  program.child.kill("SIGTERM");
  expect((await streaming).text).toMatch(/retry: \d+\n\n$/);
  await blocker.query("commit");
  blocker.release();
  expect((await underWay).status).toBe(200);
  expect(await program.exit).toBe(0);
});

test("a second signal ends the program at once", async () => {
  const program = run(["--port", "0"]);
  const url = await listening(program);
  const { runId } = await db.begun();
  const blocker = await db.pool.connect();
  await blocker.query("begin");
  await blocker.query("lock table tidebase.runs");
  const underWay = send(`${url}/v1/runs/${runId}`).catch((error: Error) => error.message);
  await untilBlocked(db.pool, "runs.get"); // the sweeps may wait as well
  program.child.kill("SIGINT");
  await expect.poll(() => send(`${url}/health`).catch(() => "refused")).toBe("refused");
  program.child.kill("SIGINT");
  expect(await program.exit).toBe(1);
  await underWay;
  await blocker.query("commit");
  blocker.release();
});

test("losing every connection to the database costs an answer, never the process", async () => {
  const program = run(["--port", "0"]);
  const url = await listening(program);
  const { runId } = await db.begun();
  const streaming = readStream(`${url}/v1/runs/${runId}/events/stream`);
  expect((await fetch(`${url}/v1/overview`)).status).toBe(200);
  const others =
    "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and application_name like 'tidebase%'";
  await db.pool.query(others);
  await expect
    .poll(async () => (await fetch(`${url}/v1/overview`)).status, { timeout: 10_000 })
    .toBe(200);
  expect(program.child.exitCode).toBeNull();
  program.child.kill("SIGTERM");
  expect((await streaming).text).toContain("event: run.created");
  expect(await program.exit).toBe(0);
});

test.each([
  ["a port that is none", ["--port", "http"], {}, 2, "from 0 to 65535"],
  ["a port beyond the last", ["--port", "65536"], {}, 2, "from 0 to 65535"],
  ["a flag nobody knows", ["--prot", "1"], {}, 2, "unknown option"],
  ["a log level nobody knows", ["--log-level", "loud"], {}, 2, "Allowed choices"],
  ["an empty variable", [], { TIDEBASE_HOST: "" }, 1, "TIDEBASE_HOST is set and empty"],
  ["a lease that is none", [], { TIDEBASE_LEASE_MS: "1e9" }, 1, "from 100 to 3600000"],
  ["a floor nobody knows", [], { TIDEBASE_GATE_FLOOR: "none" }, 1, "client_form, code, signed_in"],
  [
    "a public URL with a path",
    [],
    { TIDEBASE_PUBLIC_URL: "https://a.example/x" },
    1,
    "without a path",
  ],
  [
    "a public URL with a password",
    [],
    { TIDEBASE_PUBLIC_URL: "https://u:canary@a.example" },
    1,
    "TIDEBASE_PUBLIC_URL",
  ],
  ["a public URL that is none", [], { TIDEBASE_PUBLIC_URL: "tide.example" }, 1, "without a path"],
  ["a webhook's way that is none", [], { TIDEBASE_WEBHOOK_ALLOW: "a b" }, 1, "neither host"],
  ["a variable that is no port", [], { PORT: "a" }, 1, "PORT is"],
  [
    "an address that is open to others",
    ["--host", "0.0.0.0", "--port", "0"],
    {},
    1,
    "tidebase keys create",
  ],
  [
    "an unreachable database",
    [],
    { TIDEBASE_DATABASE_URL: "postgres://u:canary@127.0.0.1:1/x" },
    1,
    "cannot be reached",
  ],
] as const)("%s is refused with one clear line", async (_, args, env, code, text) => {
  const program = run(args, env);
  expect(await program.exit).toBe(code);
  expect(program.err()).toContain(text);
  expect(program.err()).not.toMatch(/canary|\n\s+at /);
});

test("a taken port is refused with its number", async () => {
  const holder = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => holder.once("listening", resolve));
  const port = (holder.address() as { port: number }).port;
  const program = run(["--port", String(port)]);
  expect(await program.exit).toBe(1);
  expect(program.err()).toContain(`Port ${port} on 127.0.0.1 is taken.`);
  holder.close();
});

test("--help and --version say what they are asked and touch nothing", async () => {
  const help = run(["--help"], { TIDEBASE_DATABASE_URL: "" });
  expect(await help.exit).toBe(0);
  for (const option of ["--log-level", "--no-gate-codes", "TIDEBASE_GATE_FLOOR"])
    expect(help.out()).toContain(option);
  const version = run(["--version"], { TIDEBASE_DATABASE_URL: "" });
  expect(await version.exit).toBe(0);
  expect(version.out()).toMatch(/^\d+\.\d+\.\d+\S*\n$/);
});
