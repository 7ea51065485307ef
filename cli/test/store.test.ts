import { randomUUID } from "node:crypto";
import { mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, inject, onTestFinished, test } from "vitest";
import { useDatabase } from "../../core/test/support/database.ts";
import { ask } from "../../core/test/support/home.ts";
import { type Ended, type Env, runInside, runProgram, useFolder } from "./support/program.ts";

const db = useDatabase();
const folder = useFolder();
const NASTY = ["\0", "\ud800", "\u2028", "日本 𝄞", -0.1, { "": null }];

function own(databaseUrl: string): Env {
  return { TIDEBASE_DATABASE_URL: databaseUrl };
}

async function json(args: string[], env: Env): Promise<Record<string, unknown>> {
  const { stdout, stderr } = await runInside(folder, [...args, "--json"], env);
  expect(stderr).toBe("");
  return JSON.parse(stdout);
}

/** A database with nothing in it; it ends with the test. */
async function bareDatabase(): Promise<string> {
  const name = `tidebase_test_${randomUUID().replaceAll("-", "")}`;
  await ask(inject("adminUrl"), `create database ${name}`);
  onTestFinished(async () => {
    await ask(inject("adminUrl"), `drop database ${name} with (force)`);
  });
  return Object.assign(new URL(inject("adminUrl")), { pathname: name }).href;
}

async function hasSchema(databaseUrl: string, schema = "tidebase"): Promise<boolean> {
  const { found } = await ask(
    databaseUrl,
    `select to_regnamespace('${schema}') is not null as found`,
  );
  return found === true;
}

test("migrate --check lists what is pending, ends with 1 and changes nothing; migrate applies it", async () => {
  const url = await bareDatabase();
  const check = await runProgram(folder, ["migrate", "--check"], own(url));
  expect(check.code).toBe(1);
  expect(check.stdout).toContain("0001_");
  expect(check.stdout).not.toContain(new URL(url).password);
  expect(await hasSchema(url)).toBe(false);
  const refused = await runInside(folder, ["runs", "list", "--json"], own(url));
  expect(JSON.parse(refused.stderr).error.code).toBe("migrations_pending");
  expect(await hasSchema(url)).toBe(false);
  const { applied } = await json(["migrate"], own(url));
  expect(applied).toContain("0001_runs.sql");
  expect(await json(["migrate"], own(url))).toMatchObject({ applied: [] });
  const done = await runInside(folder, ["migrate", "--check"], own(url));
  expect(done).toMatchObject({ code: 0, stdout: expect.stringContaining("up to date") });
  expect((await runInside(folder, ["runs", "list"], own(url))).stdout).toBe("No runs.\n");
});

test("flags win over variables: --database-url and --schema", async () => {
  const url = await bareDatabase();
  const env = { TIDEBASE_URL: "http://127.0.0.1:1", ...own(db.url) };
  await json(["migrate", "--database-url", url, "--schema", "staging"], env);
  expect([await hasSchema(url), await hasSchema(url, "staging")]).toEqual([false, true]);
  const status = await json(["db", "status", "--database-url", url, "--schema", "staging"], env);
  expect(status).toMatchObject({ kind: "database", foundBy: "--database-url", schema: "staging" });
});

test("an application's database is found by DATABASE_URL, and never changed unasked", async () => {
  const url = await bareDatabase();
  const home = join(folder, "unused home");
  await json(["migrate"], own(url));
  await ask(url, "delete from tidebase.migrations where name like '0001%'");
  const env = { DATABASE_URL: url, TIDEBASE_HOME: home };
  const { code, stderr } = await runInside(folder, ["migrate", "--json"], env);
  expect(code).toBe(1);
  expect(JSON.parse(stderr).error).toMatchObject({ code: "migrations_pending" });
});

test("status tells how the store was found, its server, size and migrations, and no password", async () => {
  const { code, stdout } = await runProgram(folder, ["db", "status"], own(db.url));
  expect(code).toBe(0);
  for (const words of ["TIDEBASE_DATABASE_URL", "Postgres ", "up to date"])
    expect(stdout).toContain(words);
  expect(stdout).not.toContain(new URL(db.url).password);
  const status = await json(["db", "status"], own(db.url));
  expect(status).toMatchObject({ kind: "database", pendingMigrations: [], embedded: null });
  expect(status["sizeBytes"]).toBeGreaterThan(100_000);
  const server = await json(["db", "status", "--url", "http://somebody:secret@h:1"], {});
  expect(server).toMatchObject({ kind: "remote", foundBy: "--url", pendingMigrations: null });
  expect(JSON.stringify(server)).not.toContain("secret");
});

test("commands of the embedded Postgres refuse another store", async () => {
  for (const args of [["start"], ["url"], ["reset", "--yes"]]) {
    const { code, stderr } = await runInside(folder, ["db", ...args, "--json"], own(db.url));
    expect(code).toBe(1);
    expect(JSON.parse(stderr).error.code).toBe("store_not_embedded");
  }
});

test("an export goes through a file, or through pipes, into another store, bit for bit", async () => {
  const lease = await db.begun();
  const items = NASTY.map((output, n) => ({ ...lease, name: "say", key: String(n), output }));
  await db.call("steps.complete", { items });
  await db.complete(lease, { result: NASTY });
  const file = join(folder, "store.jsonl");
  const exported = await json(["db", "export", file], own(db.url));
  expect(exported).toMatchObject({ file, tables: { runs: 1, steps: NASTY.length } });
  if (process.platform !== "win32") expect((await stat(file)).mode & 0o777).toBe(0o600);
  const piped = await runProgram(folder, ["db", "export"], own(db.url));
  expect(piped.code).toBe(0);
  expect(piped.stdout).toBe(await readFile(file, "utf8"));
  const [copy, again] = [await bareDatabase(), await bareDatabase()];
  expect(await json(["db", "import", file], own(copy))).toMatchObject({ rows: exported["rows"] });
  const through = await runProgram(folder, ["db", "import", "-"], own(again), piped.stdout);
  expect(through).toMatchObject({ code: 0, stderr: "" });
  for (const url of [copy, again]) {
    const back = await runInside(folder, ["db", "export"], own(url));
    expect(back.stdout).toBe(piped.stdout);
    expect(await json(["runs", "get", lease.runId, "--include", "result"], own(url))).toEqual(
      await db.call("runs.get", { runId: lease.runId, include: ["result"] }),
    );
  }
  const full = await runInside(folder, ["db", "import", file, "--json"], own(copy));
  expect(full.code).toBe(1);
  expect(JSON.parse(full.stderr).error).toMatchObject({ code: "store_not_empty" });
});

test("an export never replaces a file unasked, and leaves no half of one", async () => {
  const place = join(folder, "exports");
  await mkdir(place);
  const file = join(place, "kept.jsonl");
  await writeFile(file, "kept");
  const refused = await runInside(folder, ["db", "export", file, "--json"], own(db.url));
  expect(JSON.parse(refused.stderr).error.code).toBe("file_exists");
  const nowhere = own("postgres://nobody@127.0.0.1:1/none");
  expect((await runInside(folder, ["db", "export", file, "--force"], nowhere)).code).toBe(1);
  const missing = ["db", "export", join(place, "new.jsonl"), "--schema", "elsewhere"];
  expect((await runInside(folder, missing, own(db.url))).code).toBe(1);
  expect(await readFile(file, "utf8")).toBe("kept");
  expect(await readdir(place)).toEqual(["kept.jsonl"]);
  expect((await runInside(folder, ["db", "export", file, "--force"], own(db.url))).code).toBe(0);
  expect(await readFile(file, "utf8")).toContain("tidebase-export");
});

test("an import of a file that is missing or no export changes nothing", async () => {
  const url = await bareDatabase();
  const attempt = (file: string): Promise<Ended> =>
    runInside(folder, ["db", "import", file, "--json"], own(url));
  const missing = await attempt(join(folder, "missing.jsonl"));
  expect(JSON.parse(missing.stderr).error).toMatchObject({ code: "file_failed" });
  expect(await hasSchema(url)).toBe(false);
  await writeFile(join(folder, "other.jsonl"), "{}\n");
  const other = await attempt(join(folder, "other.jsonl"));
  expect(JSON.parse(other.stderr).error).toMatchObject({ code: "export_invalid" });
  expect([missing.code, other.code]).toEqual([1, 1]);
});
