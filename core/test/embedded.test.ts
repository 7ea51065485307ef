import { existsSync } from "node:fs";
import { chmod, cp, mkdir, mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { expect, onTestFinished, test } from "vitest";
import { packageOf } from "../../scripts/postgres-package.ts";
import { clusterStatus, ensureCluster, resetCluster } from "../src/embedded/cluster.ts";
import { findHome, layOut } from "../src/embedded/home.ts";
import { isReachable } from "../src/embedded/owner.ts";
import { clusterProcess } from "./support/cluster-process.ts";
import { ask, useHomes } from "./support/home.ts";

const newHome = useHomes();

test("eight processes at once on a fresh home share one server, and the last to leave stops it", async () => {
  const home = await newHome();
  const processes = Array.from({ length: 8 }, () => clusterProcess(home));
  const joined = await Promise.all(processes.map((process) => process.joined));
  expect(joined.filter(({ started }) => started)).toHaveLength(1);
  expect(new Set(joined.map(({ url }) => url)).size).toBe(1);
  expect(await clusterStatus({ home })).toMatchObject({ state: "running", processes: 8 });
  await Promise.all(processes.map((process) => process.leave()));
  expect(await clusterStatus({ home })).toMatchObject({ state: "stopped", processes: 0 });
});

test("what was written is there after the next start, at the same address", async () => {
  const home = await newHome();
  const first = await ensureCluster({ home });
  expect(first.started).toBe(true);
  await ask(first.url, "create table kept as select 42 as n");
  await first.leave();
  const second = await ensureCluster({ home });
  expect(second).toMatchObject({ started: true, url: first.url });
  expect(await ask(second.url, "select n from kept")).toEqual({ n: 42 });
  await second.leave();
});

test("commits are synced to disk, text is UTF-8, and nobody else may read the folder", async () => {
  const home = await newHome();
  const cluster = await ensureCluster({ home });
  const settings = await ask(
    cluster.url,
    `select current_setting('fsync') as fsync, current_setting('synchronous_commit') as commit,
      current_setting('server_encoding') as encoding, current_setting('listen_addresses') as address,
      (select datcollate from pg_database where datname = current_database()) as collation`,
  );
  expect(settings).toEqual({
    fsync: "on",
    commit: "on",
    encoding: "UTF8",
    address: "127.0.0.1",
    collation: "C",
  });
  const modes = await Promise.all(
    ["", "pg18.port", "pg18.password"].map(async (name) => (await stat(join(home, name))).mode),
  );
  expect(modes.map((mode) => mode & 0o777)).toEqual([0o700, 0o600, 0o600]);
  await expect(ask(cluster.url.replace(/:[^:@]+@/, ":wrong@"), "select")).rejects.toThrow(
    /password/,
  );
  await cluster.leave();
});

test("a client that is not Tidebase's keeps the server up", async () => {
  const home = await newHome();
  const cluster = await ensureCluster({ home });
  const client = new pg.Client({ connectionString: cluster.url, application_name: "psql" });
  await client.connect();
  await cluster.leave();
  expect(await clusterStatus({ home })).toMatchObject({ state: "running", clients: 1 });
  await client.end();
  const next = await ensureCluster({ home });
  expect(next.started).toBe(false);
  await next.leave();
  expect((await clusterStatus({ home })).state).toBe("stopped");
});

test("a reset is refused while somebody uses the data, and deletes it afterwards", async () => {
  const home = await newHome();
  const cluster = await ensureCluster({ home });
  await expect(resetCluster({ home })).rejects.toMatchObject({ code: "embedded_in_use" });
  await cluster.leave();
  await resetCluster({ home });
  expect((await clusterStatus({ home })).state).toBe("absent");
});

test("data of another Postgres version is never touched", async () => {
  const home = await newHome();
  await mkdir(join(home, "pg17"));
  await chmod(home, 0o755); // whoever made that data could reach it
  const refused = ensureCluster({ home });
  await expect(refused).rejects.toMatchObject({ code: "embedded_other_version" });
  await expect(refused).rejects.toThrow(/Postgres 17/);
  expect(await readdir(home)).not.toContain("pg18");
});

test("missing binaries are one error with the ways out", async () => {
  const refused = ensureCluster({ home: await newHome(), binaries: "/nowhere" });
  await expect(refused).rejects.toMatchObject({
    code: "embedded_unsupported",
    fix: expect.stringMatching(/TIDEBASE_DATABASE_URL.*docker run.*Linux with glibc/),
  });
});

/** Without the links that its install script makes. */
async function barePackage(): Promise<string> {
  const parent = await mkdtemp(join(tmpdir(), `tidebase-test-${process.pid}-`));
  onTestFinished(() => rm(parent, { recursive: true, force: true }));
  await chmod(parent, 0o755);
  const copy = join(parent, "linux-x64");
  const lib = join("native", "lib");
  await cp(await packageOf("18"), copy, { recursive: true, verbatimSymlinks: true });
  for (const entry of await readdir(join(copy, lib), { withFileTypes: true }))
    if (entry.isSymbolicLink()) await rm(join(copy, lib, entry.name));
  return copy;
}

test("a package whose install script did not run is completed where it lies", async () => {
  const [home, binaries] = [await newHome(), await barePackage()];
  const cluster = await ensureCluster({ home, binaries });
  expect(existsSync(join(binaries, "native/lib/libpq.so.5"))).toBe(true);
  await cluster.leave();
});

test("a package that cannot be used where it lies is copied", async () => {
  const [home, binaries] = [await newHome(), await barePackage()];
  await chmod(join(binaries, "native/lib"), process.geteuid?.() === 0 ? 0o700 : 0o555);
  const cluster = await ensureCluster({ home, binaries });
  expect((await readdir(home)).filter((name) => name.startsWith("binaries"))).toHaveLength(1);
  await cluster.leave();
  await chmod(join(binaries, "native/lib"), 0o755);
});

test("a folder below one that a user may not search is out of its reach", async () => {
  const parent = await mkdtemp(join(tmpdir(), `tidebase-test-${process.pid}-`));
  onTestFinished(() => rm(parent, { recursive: true, force: true }));
  const somebody = { uid: 54_321, gid: 54_321 };
  expect(await isReachable(join(parent, "not there yet"), somebody)).toBe(false);
  await chmod(parent, 0o711);
  expect(await isReachable(join(parent, "not there yet"), somebody)).toBe(true);
});

test("root's Postgres gets another home when it cannot reach the one asked for", async () => {
  const parent = await mkdtemp(join(tmpdir(), `tidebase-test-${process.pid}-`));
  onTestFinished(() => rm(parent, { recursive: true, force: true }));
  const asked = join(parent, "home");
  const { home } = await layOut(asked, 18);
  onTestFinished(() => rm(home, { recursive: true, force: true }));
  const substitute = expect.stringMatching(/^\/var\/lib\/tidebase-homes\/[0-9a-f]{16}$/);
  expect(home).toEqual(process.geteuid?.() === 0 ? substitute : asked);
});

test("the home is TIDEBASE_HOME, else the platform's folder for a user's data", () => {
  expect(findHome({ TIDEBASE_HOME: "/data/tidebase" })).toBe("/data/tidebase");
  expect(findHome({})).toMatch(/tidebase$/);
});
