import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import pg from "pg";
import { expect, inject, onTestFinished, test } from "vitest";
import { migrate, pendingMigrations } from "../src/migrate.ts";
import { ask } from "./support/home.ts";

const FILES = {
  "0001_first.sql": "create table tidebase.first (n int); insert into tidebase.first values (1);",
  "0002_second.sql": "create table tidebase.second as select n + 1 as n from tidebase.first;",
};

async function newDatabase(): Promise<string> {
  const name = `tidebase_test_${randomUUID().replaceAll("-", "")}`;
  await ask(inject("adminUrl"), `create database ${name}`);
  onTestFinished(async () => {
    await ask(inject("adminUrl"), `drop database ${name} with (force)`);
  });
  return Object.assign(new URL(inject("adminUrl")), { pathname: name }).href;
}

async function folderOf(files: Record<string, string>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), `tidebase-test-${process.pid}-`));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  for (const [name, sql] of Object.entries(files)) await writeFile(join(folder, name), sql);
  return folder;
}

test("the migrations of this repository apply to an empty database, once", async () => {
  const databaseUrl = await newDatabase();
  const pending = await pendingMigrations({ databaseUrl });
  expect(pending).toContain("0001_runs.sql");
  expect(await migrate({ databaseUrl })).toEqual(pending);
  expect(await pendingMigrations({ databaseUrl })).toEqual([]);
  expect(await migrate({ databaseUrl })).toEqual([]);
});

test("each migration leaves its record, and only the missing ones apply", async () => {
  const databaseUrl = await newDatabase();
  const { "0001_first.sql": first } = FILES;
  await migrate({ databaseUrl, migrationsDir: await folderOf({ "0001_first.sql": first }) });
  const migrationsDir = await folderOf(FILES);
  expect(await migrate({ databaseUrl, migrationsDir })).toEqual(["0002_second.sql"]);
  expect(await ask(databaseUrl, "select n from tidebase.second")).toEqual({ n: 2 });
  const record = await ask(databaseUrl, "select * from tidebase.migrations order by name");
  expect(record).toEqual({
    name: "0001_first.sql",
    checksum: expect.stringMatching(/^[0-9a-f]{64}$/),
    version: expect.any(String),
    applied_at: expect.any(Date),
  });
});

test("two stores in one database do not see each other's migrations", async () => {
  const databaseUrl = await newDatabase();
  const migrationsDir = await folderOf(FILES);
  await migrate({ databaseUrl, migrationsDir });
  const staging = { databaseUrl, migrationsDir, schema: "staging" };
  expect(await pendingMigrations(staging)).toEqual(Object.keys(FILES));
  await migrate(staging);
  await ask(databaseUrl, "update staging.first set n = 7");
  expect(await ask(databaseUrl, "select n from tidebase.first")).toEqual({ n: 1 });
});

test("the repository's migrations fill a schema of another name and no other", async () => {
  const databaseUrl = await newDatabase();
  await migrate({ databaseUrl, schema: "order" });
  const count = (schema: string): string =>
    `select count(*)::int as n from pg_class where relnamespace = to_regnamespace('${schema}')`;
  expect(await ask(databaseUrl, count('"order"'))).not.toEqual({ n: 0 });
  expect(await ask(databaseUrl, count("public"))).toEqual({ n: 0 });
  expect(await ask(databaseUrl, "select to_regnamespace('tidebase') as found")).toEqual({
    found: null,
  });
  const mentions = await ask(
    databaseUrl,
    `select string_agg(proname, ' ') as names from pg_proc
      where pronamespace = to_regnamespace('"order"') and prosrc ~ '\\mtidebase\\.'`,
  );
  expect(mentions).toEqual({ names: null });
});

test("a migration that was edited after it was applied is an error that names it", async () => {
  const databaseUrl = await newDatabase();
  await migrate({ databaseUrl, migrationsDir: await folderOf(FILES) });
  const edited = { ...FILES, "0001_first.sql": "create table tidebase.first (n text);" };
  const options = { databaseUrl, migrationsDir: await folderOf(edited) };
  await expect(migrate(options)).rejects.toMatchObject({
    code: "migration_changed",
    message: expect.stringContaining("0001_first.sql"),
  });
});

test("a database of a newer program is refused with the advice to upgrade", async () => {
  const databaseUrl = await newDatabase();
  await migrate({ databaseUrl, migrationsDir: await folderOf(FILES) });
  const { "0001_first.sql": first } = FILES;
  const older = { databaseUrl, migrationsDir: await folderOf({ "0001_first.sql": first }) };
  await expect(pendingMigrations(older)).rejects.toMatchObject({
    code: "store_newer",
    fix: expect.stringContaining("Upgrade"),
  });
});

test("a migration that fails changes nothing, and those before it stay", async () => {
  const databaseUrl = await newDatabase();
  const broken = "create table tidebase.half (n int); select tidebase.missing();";
  const migrationsDir = await folderOf({ ...FILES, "0003_broken.sql": broken });
  await expect(migrate({ databaseUrl, migrationsDir })).rejects.toMatchObject({
    code: "migration_failed",
    message: expect.stringContaining("0003_broken.sql"),
  });
  expect(await pendingMigrations({ databaseUrl, migrationsDir })).toEqual(["0003_broken.sql"]);
  expect(await ask(databaseUrl, "select to_regclass('tidebase.half') as found")).toEqual({
    found: null,
  });
});

test("a user without rights is told what was refused, and no password", async () => {
  const databaseUrl = await newDatabase();
  const user = `tidebase_test_${randomUUID().slice(0, 8)}`;
  await ask(databaseUrl, `create role ${user} login password 'not to be shown'`);
  const url = Object.assign(new URL(databaseUrl), { username: user, password: "not to be shown" });
  await expect(migrate({ databaseUrl: url.href })).rejects.toSatisfy(
    (error: Error) => error.message.includes("permission denied") && !/shown/.test(String(error)),
  );
  await ask(databaseUrl, `drop role ${user}`);
});

test("eight processes that migrate at once apply every migration once", async () => {
  const databaseUrl = await newDatabase();
  const program = fileURLToPath(new URL("support/migrate-program.ts", import.meta.url));
  const node = ["--import", "tsx", "--conditions=tidebase-source", program, databaseUrl];
  const applied = await Promise.all(
    Array.from({ length: 8 }, async () => {
      const child = spawn(process.execPath, node, { stdio: ["ignore", "pipe", "inherit"] });
      let said = "";
      for await (const part of child.stdout) said += String(part);
      return JSON.parse(said) as string[];
    }),
  );
  expect(applied.flat().sort()).toEqual([...new Set(applied.flat())].sort());
  expect(applied.flat()).toContain("0001_runs.sql");
  expect(await pendingMigrations({ databaseUrl })).toEqual([]);
});

test("forty connections that migrate at once apply every migration once", async () => {
  const databaseUrl = await newDatabase();
  const options = { databaseUrl, migrationsDir: await folderOf(FILES) };
  const applied = await Promise.all(Array.from({ length: 40 }, () => migrate(options)));
  expect(applied.flat().sort()).toEqual(Object.keys(FILES));
});

test("a search path that leads elsewhere, and short timeouts of the role, change nothing", async () => {
  const databaseUrl = await newDatabase();
  const client = new pg.Client(databaseUrl);
  await client.connect();
  const { rows } = await client.query("select current_database() as name");
  for (const setting of ["search_path = nowhere", "default_transaction_read_only = on"])
    await client.query(`alter database ${rows[0].name} set ${setting}`);
  await client.end();
  const migrationsDir = await folderOf(FILES);
  expect(await migrate({ databaseUrl, migrationsDir })).toEqual(Object.keys(FILES));
});
