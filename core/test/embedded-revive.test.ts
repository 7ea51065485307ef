import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { clusterStatus, resetCluster, stopCluster } from "../src/embedded/cluster.ts";
import { type Core, LOCAL, type OpenStore, openCore, openStore } from "../src/index.ts";
import { operationNamed } from "./support/database.ts";
import { useHomes } from "./support/home.ts";

const newHome = useHomes();

interface Opened {
  readonly home: string;
  readonly store: OpenStore;
  readonly core: Core;
  call(name: string, input: object): Promise<Record<string, unknown>>;
}

/** No sweeps: the call under test is the one that brings the server back. */
async function opened(): Promise<Opened> {
  const place = { kind: "embedded", foundBy: "embedded", schema: "tidebase" } as const;
  const home = await newHome();
  const store = await openStore({ ...place, home, migrate: true, local: true });
  const { databaseUrl, revive } = store;
  const core = openCore({ databaseUrl, revive, sweeps: false });
  const call = async (name: string, input: object) =>
    (await core.execute(operationNamed(name), input, LOCAL)) as Record<string, unknown>;
  return { home, store, core, call };
}

/** The id as the store has it. */
async function read({ call }: Opened, runId: string): Promise<unknown> {
  return ((await call("runs.get", { runId }))["run"] as { runId: string }).runId;
}

async function newRun({ call }: Opened): Promise<string> {
  return String((await call("runs.create", { workflow: "revive" }))["runId"]);
}

/** A call that was on the way to the dying server may fail; one of the next may not. */
async function finds(place: Opened, runId: string): Promise<void> {
  const ask = () => read(place, runId).catch((error: Error) => error.message);
  await expect.poll(ask, { interval: 50, timeout: 15_000 }).toBe(runId);
}

/** Its backends may answer a little longer: whoever kills it waits for another one with `isNew`. */
function killPostmaster(home: string): number {
  const file = readFileSync(join(home, "pg18", "postmaster.pid"), "utf8");
  const pid = Number.parseInt(file, 10);
  process.kill(pid, "SIGKILL");
  return pid;
}

async function isNew({ home }: Opened, killed: number): Promise<boolean> {
  const { pid = killed } = await clusterStatus({ home });
  return pid !== killed;
}

async function closesCleanly({ home, core, store }: Opened): Promise<void> {
  expect((await clusterStatus({ home })).processes).toBe(1);
  await core.close();
  await store.leave();
  expect(await clusterStatus({ home })).toMatchObject({ state: "stopped", processes: 0 });
}

/** Says nothing sensible to whoever believes that Postgres still listens there. */
async function takePort(port: number): Promise<void> {
  const taker = createServer((socket) => socket.on("error", () => {}).end("HTTP/1.1 400\r\n\r\n"));
  onTestFinished(() => void taker.close());
  const listening = (): Promise<boolean> =>
    new Promise((resolve) => {
      taker.once("error", () => resolve(false)).listen(port, "127.0.0.1", () => resolve(true));
    });
  await expect.poll(listening, { interval: 10 }).toBe(true);
}

test("a killed server is brought back by the next operation, with its data", async () => {
  const place = await opened();
  const runId = await newRun(place);
  for (let kill = 1; kill <= 2; kill++) {
    const killed = killPostmaster(place.home);
    const revived = async () => {
      await finds(place, runId);
      return await isNew(place, killed);
    };
    await expect.poll(revived, { timeout: 15_000 }).toBe(true);
  }
  expect((await place.core.status()).database.reachable).toBe(true);
  await closesCleanly(place);
});

test("a stopped server is brought back once for all who ask at the same time", async () => {
  const place = await opened();
  const runId = await newRun(place);
  expect(await stopCluster({ home: place.home })).toBe(true);
  const asked = Array.from({ length: 30 }, () => read(place, runId));
  expect(new Set(await Promise.all(asked))).toEqual(new Set([runId]));
  await closesCleanly(place);
});

test("a server whose port was taken comes back on another, also for those who follow", async () => {
  const place = await opened();
  const runId = await newRun(place);
  const before = (await clusterStatus({ home: place.home })).port;
  await stopCluster({ home: place.home });
  await takePort(Number(before));
  await finds(place, runId);
  expect((await clusterStatus({ home: place.home })).port).not.toBe(before);
  expect((await place.core.status()).database.reachable).toBe(true);
  for await (const events of place.core.follow(runId, 0, AbortSignal.timeout(10_000))) {
    expect(events.length).toBeGreaterThan(0);
    break;
  }
  await closesCleanly(place);
});

test("a store that was reset under a running program comes back empty and up to date", async () => {
  const place = await opened();
  await newRun(place);
  await resetCluster({ home: place.home, force: true });
  const runId = await newRun(place);
  await finds(place, runId);
  expect((await place.core.status()).migrations.pending).toEqual([]);
  await closesCleanly(place);
});

test("nobody starts a server again after leaving it", async () => {
  const { home, core, store } = await opened();
  await core.close();
  await store.leave();
  await expect(store.revive?.()).rejects.toMatchObject({ code: "embedded_failed" });
  expect((await clusterStatus({ home })).state).toBe("stopped");
});
