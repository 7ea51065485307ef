import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { clusterStatus, ensureCluster } from "../src/embedded/cluster.ts";
import { ownIdentity } from "../src/embedded/live-process.ts";
import { withLock } from "../src/embedded/lock.ts";
import { clusterProcess } from "./support/cluster-process.ts";
import { ask, useHomes } from "./support/home.ts";

const newHome = useHomes();

function postmasterPid(home: string): number {
  return Number.parseInt(readFileSync(join(home, "pg18", "postmaster.pid"), "utf8"), 10);
}

/** A pid that nobody has. */
async function deadPid(): Promise<number> {
  const child = spawn(process.execPath, ["-e", ""]);
  await new Promise((resolve) => child.once("exit", resolve));
  return child.pid ?? 0;
}

test("a killed process leaves its server running, and the next one adopts it", async () => {
  const home = await newHome();
  const killed = clusterProcess(home);
  const { url } = await killed.joined;
  await ask(url, "create table kept as select 42 as n");
  const pid = postmasterPid(home);
  await killed.kill();
  const next = await ensureCluster({ home });
  expect(next).toMatchObject({ started: false, url });
  expect(postmasterPid(home)).toBe(pid);
  expect(await ask(url, "select n from kept")).toEqual({ n: 42 });
  await next.leave();
  expect((await clusterStatus({ home })).state).toBe("stopped");
});

test("a killed server starts again with everything that was committed", async () => {
  const home = await newHome();
  const { url } = await ensureCluster({ home });
  await ask(url, "create table kept (n int)");
  for (let kill = 1; kill <= 3; kill++) {
    await ask(url, `insert into kept values (${kill})`);
    process.kill(postmasterPid(home), "SIGKILL");
    expect(await ensureCluster({ home })).toMatchObject({ started: true, url });
    expect(await ask(url, "select count(*)::int as n from kept")).toEqual({ n: kill });
  }
});

test("a pid file that names another program of the same user does not keep the server from starting", async () => {
  const home = await newHome();
  const cluster = await ensureCluster({ home });
  const file = join(home, "pg18", "postmaster.pid");
  const lines = (await readFile(file, "utf8")).split("\n");
  await cluster.leave();
  const { uid, gid } = await stat(join(home, "pg18"));
  const other = spawn("sleep", ["60"], process.geteuid?.() === 0 ? { uid, gid } : {});
  onTestFinished(() => void other.kill());
  await writeFile(file, [other.pid, ...lines.slice(1)].join("\n"));
  const next = await ensureCluster({ home });
  expect(next).toMatchObject({ started: true, url: cluster.url });
  expect(other.exitCode).toBeNull();
  await next.leave();
});

test("an initdb killed in the middle leaves nothing that the next start meets", async () => {
  const home = await newHome();
  const killed = clusterProcess(home);
  const draft = async (): Promise<string | undefined> =>
    (await readdir(home)).find((name) => name.startsWith("pg18.new-"));
  await expect.poll(draft, { interval: 2, timeout: 10_000 }).toBeDefined();
  const started = join(home, String(await draft()), "PG_VERSION");
  await expect
    .poll(
      () =>
        stat(started).then(
          () => true,
          () => false,
        ),
      { interval: 2, timeout: 10_000 },
    )
    .toBe(true);
  await killed.kill();
  expect((await clusterStatus({ home })).state).toBe("absent");
  const next = await ensureCluster({ home });
  expect(next.started).toBe(true);
  expect(await draft()).toBeUndefined();
  await next.leave();
});

test("the lock of a process that ended is broken by exactly one of those who wait", async () => {
  const lock = join(await newHome(), "lock");
  const left = { pid: await deadPid(), startedAt: "long ago", token: "dead" };
  await writeFile(lock, JSON.stringify(left));
  let [inside, turns] = [0, 0];
  const work = async (): Promise<void> => {
    expect(++inside).toBe(1);
    await stat(join(lock, ".."));
    turns++;
    inside--;
  };
  await Promise.all(Array.from({ length: 16 }, () => withLock(lock, 10_000, work)));
  expect(turns).toBe(16);
});

test("a process that got the pid of a dead holder does not hold its lock", async () => {
  const lock = join(await newHome(), "lock");
  await writeFile(lock, JSON.stringify({ ...ownIdentity(), startedAt: "before", token: "dead" }));
  expect(await withLock(lock, 1_000, async () => "mine")).toBe("mine");
});

test("whoever died while breaking a lock does not hold it for ever", async () => {
  const lock = join(await newHome(), "lock");
  const dead = { pid: await deadPid(), startedAt: "before" };
  await writeFile(lock, JSON.stringify({ ...dead, token: "first" }));
  await writeFile(`${lock}.first`, JSON.stringify({ ...dead, token: "second" }));
  expect(await withLock(lock, 1_000, async () => "mine")).toBe("mine");
});

test("a lock held for too long names its holder", async () => {
  const lock = join(await newHome(), "lock");
  await withLock(lock, 1_000, async () => {
    const refused = withLock(lock, 30, async () => "never");
    await expect(refused).rejects.toMatchObject({ code: "embedded_busy" });
    await expect(refused).rejects.toThrow(`Process ${process.pid}`);
  });
});
