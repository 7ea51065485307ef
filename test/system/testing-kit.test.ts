import { type ChildProcess, execFile, spawn } from "node:child_process";
import { mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { ensureCluster, stopCluster } from "@tidebase/core";
import type { Run } from "@tidebase/sdk";
import { crashAtEveryStep, openTestStore } from "@tidebase/sdk/testing";
import pg from "pg";
import { afterAll, beforeAll, expect, inject, test } from "vitest";

const run = promisify(execFile);
const root = fileURLToPath(new URL("../../", import.meta.url));
/** A project of its own, that finds the packages of this repository. */
let folder: string;
let home: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tidebase-kit-project-"));
  await symlink(join(root, "node_modules"), join(folder, "node_modules"), "junction");
  home = await mkdtemp(join(tmpdir(), "tidebase-kit-"));
});

afterAll(async () => {
  await stopCluster({ home });
  for (const place of [folder, home]) await rm(place, { recursive: true, force: true });
});

const FROM_SOURCE = ["--import", "tsx", "--conditions=tidebase-source"];
const env = () => {
  const { NODE_OPTIONS: _o, NODE_TEST_CONTEXT: _c, VITEST: _v, ...rest } = process.env;
  return { ...rest, TIDEBASE_HOME: home };
};

/** Runs the program on the embedded Postgres of this file; gives what it printed. */
async function execute(name: string, text: string, flags: readonly string[] = []): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, text);
  const { stdout } = await run(process.execPath, [...FROM_SOURCE, ...flags, path], {
    cwd: folder,
    env: env(),
  });
  return stdout;
}

/** Names of the throw-away databases, the template among them. */
async function databases(): Promise<string[]> {
  const cluster = await ensureCluster({ home });
  const client = new pg.Client(cluster.url);
  await client.connect();
  const text = "select datname from pg_database where datname ~ '^tidebase_(throwaway|template)_'";
  const { rows } = await client.query(text);
  await client.end();
  await cluster.leave();
  return rows.map(({ datname }) => String(datname));
}

const STORES = `import { openTestStore } from "@tidebase/sdk/testing";
  const times = [];
  const stores = [];
  for (let n = 0; n < 3; n++) {
    const begun = performance.now();
    stores.push(await openTestStore());
    times.push(Math.round(performance.now() - begun));
  }
  const [one, other] = stores;
  await one.clock.advance("3 days");
  const apart = (await one.clock.now()) - (await other.clock.now());
  const { result } = await other.work((run) => run.step("add", () => 2), { name: "sum" });
  const alone = (await one.tide.runs.list()).runs.length === 0;
  for (const store of stores) await store.close();
  console.log(JSON.stringify({ times, apart, result, alone }));`;

test("two processes at once get a store each, from nothing, and leave the template alone behind", async () => {
  const printed = await Promise.all(
    ["first.mjs", "second.mjs"].map((name) => execute(name, STORES)),
  );
  for (const text of printed) {
    const { times, apart, result, alone } = JSON.parse(text);
    console.log(`openTestStore, ms: ${times.join(" ")}`);
    expect({ result, alone }).toEqual({ result: 2, alone: true });
    expect(Math.abs(apart - 3 * 86_400_000)).toBeLessThan(10_000);
  }
  expect(await databases()).toEqual([expect.stringMatching(/^tidebase_template_/)]);
});

test("a second store of a process opens in well under a second, or on a busy machine in a third of the first", async () => {
  const { times } = JSON.parse(await execute("again.mjs", STORES));
  console.log(`openTestStore on a cluster with a template, ms: ${times.join(" ")}`);
  expect(Math.min(...times.slice(1))).toBeLessThan(Math.max(1000, times[0] / 3));
});

test("the kit works under node:test, and its process ends by itself", async () => {
  const text = `import assert from "node:assert/strict";
    import { after, test } from "node:test";
    import { openTestStore } from "@tidebase/sdk/testing";
    const store = await openTestStore();
    after(() => store.close());
    const nap = async (run) => { await run.sleep("nap", "3d"); return "awake"; };
    test("sleeps", async () => {
      const { runId } = await store.work(nap);
      await store.clock.advance("3 days");
      assert.equal((await store.work(nap, { runId })).result, "awake");
    });`;
  expect(await execute("nap.test.mjs", text, ["--test-reporter=tap", "--test"])).toContain(
    "# pass 1",
  );
  expect(await databases()).toHaveLength(1);
});

test("what a killed test process left is gone after the next open", async () => {
  const open = `import { openTestStore } from "@tidebase/sdk/testing"; await openTestStore(); `;
  const path = join(folder, "killed.mjs");
  await writeFile(path, `${open} process.kill(process.pid, "SIGKILL");`);
  const killed = spawn(process.execPath, [...FROM_SOURCE, path], { cwd: folder, env: env() });
  expect(await ended(killed)).toBe("SIGKILL");
  expect(await databases()).toHaveLength(2);
  await execute(
    "next.mjs",
    open.replace("await openTestStore()", "await (await openTestStore()).close()"),
  );
  expect(await databases()).toHaveLength(1);
});

function ended(child: ChildProcess): Promise<NodeJS.Signals | null> {
  return new Promise((resolve) => child.once("exit", (_, signal) => resolve(signal)));
}

test("sleeps, retries, gates, signals and children come to their end by themselves", async () => {
  const store = await openTestStore({ databaseUrl: inject("adminUrl") });
  store.gates.answer("go on", "approve");
  let tries = 0;
  const long = async (run: Run<undefined>) => {
    await run.step("flaky", { retry: { maxAttempts: 2, minMs: 20_000, jitter: false } }, () => {
      tries += 1;
      if (tries === 1) throw new Error("not yet");
    });
    await run.sleep("short", "20s");
    await run.sleep("long", "30d");
    const { approved } = await run.gate("go on", { prompt: "Go on?", risk: "critical" });
    const paid = await run.waitFor<number>("paid");
    const child = await run.child("part", async (part) => part.step("inner", () => "inner"));
    return [approved, paid.timedOut ? 0 : paid.payload, child];
  };
  const begunAt = performance.now();
  const report = await crashAtEveryStep(store, long, {
    reset: () => (tries = 0),
    whenWaiting: ({ runId, waits }) =>
      waits.includes("signal_paid") ? store.tide.signal(runId, "paid", 7, { key: "p" }) : undefined,
  });
  expect(report.failures).toEqual([]);
  expect(report.result).toEqual([true, 7, "inner"]);
  expect(report.steps.map(({ step }) => step)).toEqual(["flaky", "flaky", "part › inner"]);
  expect(report.isClean).toBe(true);
  expect(performance.now() - begunAt).toBeLessThan(20_000); // one of its sleeps, let alone a month
  await store.close();
});
