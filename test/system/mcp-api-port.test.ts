import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { clusterStatus, stopCluster } from "@tidebase/core";
import { afterAll, expect, test } from "vitest";
import { freePort } from "../support/free-port.ts";
import { end } from "../support/process.ts";
import { HELLO, type StdioProgram, startStdio } from "../support/stdio-program.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const source = ["--import", "tsx", "--conditions=tidebase-source"];
const TRIALS = 5;
const home = await mkdtemp(join(tmpdir(), "tidebase-port-"));
const port = await freePort();
const url = `http://127.0.0.1:${port}`;
const running = new Set<StdioProgram>();
let riding: ChildProcess | undefined;

afterAll(async () => {
  riding?.kill("SIGKILL");
  for (const { child } of running) child.kill("SIGKILL");
  await stopCluster({ home });
  await rm(home, { recursive: true, force: true });
});

/** A stdio server that has said hello, and that nobody calls otherwise. */
async function startMcp(): Promise<StdioProgram> {
  const env = { TIDEBASE_HOME: home, TIDEBASE_PORT: String(port) };
  const mcp = startStdio([...source, "mcp-server/src/main.ts"], env, root);
  running.add(mcp);
  await mcp.ask(1, "initialize", HELLO);
  return mcp;
}

const SERVED = `The HTTP API is served on ${url}`;
const serving = (): StdioProgram | undefined =>
  [...running].find(({ stderr }) => stderr().includes(SERVED));

/** Whether the API answers, on a connection of its own. */
async function answers(): Promise<boolean> {
  const headers = { connection: "close" };
  const answer = await fetch(`${url}/ready`, { headers }).catch(() => undefined);
  return answer?.status === 200;
}

/** Milliseconds until the API answers again. */
async function untilAnswered(): Promise<number> {
  const since = performance.now();
  await expect.poll(answers, { interval: 5, timeout: 30_000 }).toBe(true);
  return performance.now() - since;
}

/** Standbys that know who serves and have loaded what serving takes. */
async function untilStandingBy(): Promise<void> {
  let id = 100;
  for (const mcp of running) {
    if (mcp === serving()) continue;
    await expect
      .poll(async () => (await mcp.call(id++, "tidebase_overview"))["accessReason"], {
        timeout: 60_000,
      })
      .toContain(`SDK programs reach it at ${url}.`);
  }
}

/** A program with the SDK that runs one run after the other; what it printed, line by line. */
function ride(): { lines(): string[]; finish(): Promise<number | null> } {
  const env = { ...process.env, TIDEBASE_URL: url };
  const child = spawn(process.execPath, [...source, "test/support/riding-program.ts"], {
    cwd: root,
    env,
  });
  riding = child;
  let printed = "";
  child.stdout.on("data", (chunk) => (printed += String(chunk)));
  child.stderr.on("data", (chunk) => (printed += String(chunk)));
  const exit = new Promise<number | null>((resolve) => child.once("exit", resolve));
  const finish = (): Promise<number | null> => {
    child.stdin.end();
    return exit;
  };
  return { lines: () => printed.split("\n").slice(0, -1), finish };
}

test("the API is served without a call; when its process is killed another takes the port within a second, and no step repeats", async () => {
  await startMcp();
  await expect.poll(answers, { timeout: 60_000 }).toBe(true);
  await startMcp();
  await startMcp();
  const { lines, finish } = ride();
  await expect.poll(() => lines().length, { timeout: 60_000 }).toBeGreaterThan(10);
  const took: number[] = [];

  for (let trial = 0; trial < TRIALS; trial++) {
    await untilStandingBy();
    const before = lines().length;
    const victim = serving() as StdioProgram;
    const since = performance.now();
    victim.child.kill("SIGKILL");
    await victim.exited;
    running.delete(victim);
    await untilAnswered();
    took.push(Math.round(performance.now() - since));
    await expect.poll(() => lines().length).toBeGreaterThan(before);
    await startMcp();
  }

  console.log(`answered again after ${took.join(", ")} ms`);
  expect(Math.max(...took)).toBeLessThan(1000);
  expect(await finish()).toBe(0);
  const [last, ...others] = lines().reverse();
  expect(last).toMatch(/^ended after \d+ runs$/);
  for (const line of others) expect(line).toMatch(/^did run_\S+ \d$/); // no error, no complaint
  expect(new Set(others).size).toBe(others.length); // no step was executed twice
  expect(others.length).toBe(Number(/\d+/.exec(last ?? "")?.[0]) * 10);
});

test("when the process that serves leaves in order, another takes the port within a second; the last stops Postgres", async () => {
  await untilStandingBy();
  const first = serving() as StdioProgram;
  running.delete(first);
  const since = performance.now();
  const left = await first.leave();
  await untilAnswered();
  console.log(`it left in ${Math.round(left)} ms`);
  expect(left).toBeLessThan(1000);
  expect(performance.now() - since - left).toBeLessThan(1000);
  for (const mcp of running) {
    running.delete(mcp);
    await mcp.leave();
  }
  const state = async () => (await clusterStatus({ home })).state;
  await expect.poll(state).toBe("stopped");
});

test("a server program that holds the port is not disturbed, and its place is taken when it leaves", async () => {
  const env = { ...process.env, TIDEBASE_HOME: home };
  const args = [...source, "http-server/src/main.ts", "--port", String(port)];
  const server = spawn(process.execPath, args, { cwd: root, env, stdio: "ignore" });
  try {
    await expect.poll(answers, { timeout: 60_000 }).toBe(true);
    const mcp = await startMcp();
    await untilStandingBy();
    expect(mcp.stderr()).not.toContain(SERVED);
    expect(await end(server, "SIGTERM")).toBe(0);
    expect(await untilAnswered()).toBeLessThan(1000);
    expect(mcp.stderr()).toContain(SERVED);
  } finally {
    server.kill("SIGKILL");
  }
});
