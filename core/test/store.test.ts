import { randomUUID } from "node:crypto";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, inject, onTestFinished, test } from "vitest";
import { migrate, pendingMigrations } from "../src/migrate.ts";
import { StoreError } from "../src/store/error.ts";
import { describeStore, findStore, openStore } from "../src/store/store.ts";
import type { Environment } from "../src/store/variables.ts";
import { ask, useHomes } from "./support/home.ts";

const newHome = useHomes();
const name = `tidebase_test_${randomUUID().replaceAll("-", "")}`;
const [holding, empty] = [`${name}_holding`, `${name}_empty`].map(
  (database) => Object.assign(new URL(inject("adminUrl")), { pathname: database }).href,
) as [string, string];
/** Nothing listens there. */
const DEAD = "postgres://somebody:secret@127.0.0.1:1/app";
const HOME = { TIDEBASE_HOME: "/home-of-the-test" };

beforeAll(async () => {
  await ask(inject("adminUrl"), `create database ${name}_empty`);
  await ask(inject("adminUrl"), `create database ${name}_holding`);
  await migrate({ databaseUrl: holding });
});

afterAll(async () => {
  await ask(inject("adminUrl"), `drop database ${name}_empty with (force)`);
  await ask(inject("adminUrl"), `drop database ${name}_holding with (force)`);
});

async function projectWith(envFile?: string): Promise<string> {
  const project = await mkdtemp(join(tmpdir(), `tidebase-test-${process.pid}-`));
  onTestFinished(() => rm(project, { recursive: true, force: true }));
  await mkdir(join(project, ".git"));
  if (envFile !== undefined) await writeFile(join(project, ".env"), envFile);
  return project;
}

const ALL = {
  ...HOME,
  TIDEBASE_URL: "https://tidebase.example/",
  TIDEBASE_API_KEY: "key",
  TIDEBASE_DATABASE_URL: DEAD,
  DATABASE_URL: holding,
};

function without(...names: string[]): Environment {
  return Object.fromEntries(Object.entries(ALL).filter(([key]) => !names.includes(key)));
}

test.each<[string, Environment, boolean, object]>([
  ["TIDEBASE_URL", ALL, true, { kind: "remote", url: "https://tidebase.example/", apiKey: "key" }],
  ["TIDEBASE_DATABASE_URL, for a server", ALL, false, { databaseUrl: DEAD, migrate: true }],
  [
    "TIDEBASE_DATABASE_URL",
    without("TIDEBASE_URL"),
    true,
    { kind: "database", foundBy: "TIDEBASE_DATABASE_URL", local: true, schema: "tidebase" },
  ],
  [
    "DATABASE_URL that holds the schema",
    without("TIDEBASE_URL", "TIDEBASE_DATABASE_URL"),
    true,
    { databaseUrl: holding, foundBy: "DATABASE_URL", migrate: false },
  ],
  [
    "the embedded Postgres where DATABASE_URL does not hold it",
    { ...HOME, DATABASE_URL: empty },
    true,
    { kind: "embedded", home: "/home-of-the-test", foundBy: "embedded", migrate: true },
  ],
  [
    "the embedded Postgres where DATABASE_URL holds another schema",
    { ...HOME, DATABASE_URL: holding, TIDEBASE_SCHEMA: "staging" },
    true,
    { kind: "embedded", schema: "staging" },
  ],
  [
    "the embedded Postgres where DATABASE_URL is of another kind",
    { ...HOME, DATABASE_URL: "mysql://localhost/app" },
    true,
    { kind: "embedded" },
  ],
  ["the embedded Postgres where nothing is set", HOME, true, { kind: "embedded" }],
])("the store is found by %s", async (_, env, remote, expected) => {
  const cwd = await projectWith();
  expect(await findStore(env, { remote, cwd })).toMatchObject(expected);
});

test("the project's .env counts like DATABASE_URL, seen from a folder inside", async () => {
  const { username, password, port } = new URL(holding);
  const file = `DB_USER=${username}\nexport DB_PORT='${port}' # local\nDATABASE_URL="postgres://\${DB_USER}:${password}@127.0.0.1:\${DB_PORT}/${name}_holding"\n`;
  const cwd = join(await projectWith(file), "packages", "app");
  await mkdir(cwd, { recursive: true });
  expect(await findStore(HOME, { remote: true, cwd })).toMatchObject({
    kind: "database",
    foundBy: ".env",
    migrate: false,
  });
  expect(await findStore({ ...HOME, DATABASE_URL: "" }, { remote: true, cwd })).toMatchObject({
    kind: "embedded",
  });
});

test("an application database that does not answer is passed over in .env, and an error in the environment", async () => {
  const cwd = await projectWith(`DATABASE_URL=${DEAD}`);
  const passed = await findStore(HOME, { remote: true, cwd });
  expect(passed).toMatchObject({
    kind: "embedded",
    note: expect.stringContaining("127.0.0.1:1/app"),
  });
  expect(JSON.stringify(passed)).not.toContain("secret");
  const refused = findStore({ ...HOME, DATABASE_URL: DEAD }, { remote: true, cwd });
  await expect(refused).rejects.toMatchObject({
    code: "database_unreachable",
    fix: expect.stringContaining("TIDEBASE_DATABASE_URL"),
  });
});

test.each(["TIDEBASE_URL", "TIDEBASE_API_KEY", "TIDEBASE_DATABASE_URL", "TIDEBASE_HOME"])(
  "an empty %s is an error and never another store",
  async (variable) => {
    const env = { ...without("DATABASE_URL"), [variable]: "" };
    await expect(findStore(env, { remote: true, cwd: "/" })).rejects.toMatchObject({
      code: "variable_empty",
      message: `${variable} is set, but empty.`,
    });
  },
);

test.each([
  ["TIDEBASE_URL", "", "TIDEBASE_URL"],
  ["TIDEBASE_API_KEY", "", "input:key"],
  ["TIDEBASE_DATABASE_URL", "postgres://me:secret@", "DB_HOST"],
  ["DATABASE_URL", "", "env:DATABASE_URL"],
])("%s with `%s` and an unfilled `%s` is refused by that name", async (variable, before, inner) => {
  const literal = `$\{${inner}}`;
  const env = { ...HOME, [variable]: before + literal };
  const refused = findStore(env, { remote: true, cwd: "/" });
  await expect(refused).rejects.toMatchObject({ code: "variable_unexpanded" });
  await expect(refused).rejects.toThrow(`${variable} holds the literal text ${literal}:`);
  await expect(refused).rejects.not.toThrow("secret");
});

test.each([
  { TIDEBASE_URL: "localhost:4000" },
  { TIDEBASE_DATABASE_URL: "mysql://localhost/app" },
  { TIDEBASE_AUTO_MIGRATE: "maybe" },
])("%o is refused", async (env) => {
  await expect(findStore(env, { remote: true, cwd: "/" })).rejects.toMatchObject({
    code: "variable_invalid",
  });
});

test("a description never holds credentials", async () => {
  const options = { remote: true, cwd: "/" };
  const of = async (env: Environment): Promise<string> =>
    describeStore(await findStore(env, options));
  expect(await of({ TIDEBASE_URL: "https://me:secret@host:4000/?key=secret" })).toBe(
    "server https://host:4000/ (TIDEBASE_URL)",
  );
  const url = "postgres://me:secret@db.example:5433/app?password=secret";
  expect(await of({ TIDEBASE_DATABASE_URL: url, TIDEBASE_SCHEMA: "staging" })).toBe(
    "postgres://db.example:5433/app, schema staging (TIDEBASE_DATABASE_URL)",
  );
  expect(await of({ TIDEBASE_DATABASE_URL: "postgres://me:12/3@host/app" })).not.toContain("3@");
});

test("only this machine's databases are local", async () => {
  const local = async (url: string): Promise<unknown> =>
    Reflect.get(
      await findStore({ TIDEBASE_DATABASE_URL: url }, { remote: true, cwd: "/" }),
      "local",
    );
  for (const host of ["localhost", "127.0.0.1:5432", "[::1]", "%2Ftmp"])
    expect(await local(`postgres://me@${host}/app`)).toBe(true);
  expect(await local("postgres:///app?host=/tmp")).toBe(true);
  for (const host of ["db.example", "10.0.0.7", "localhost.example"])
    expect(await local(`postgres://me@${host}/app`)).toBe(false);
});

test("a store that may not be migrated is refused with what it lacks and the command", async () => {
  const env = { TIDEBASE_DATABASE_URL: empty, TIDEBASE_AUTO_MIGRATE: "0" };
  const found = await findStore(env, { remote: false, cwd: "/" });
  if (found.kind === "remote") throw new Error("not asked for");
  await expect(openStore(found)).rejects.toMatchObject({
    code: "migrations_pending",
    message: expect.stringContaining("0001_runs.sql"),
    fix: expect.stringContaining("npx tidebase migrate"),
  });
  expect(await pendingMigrations({ databaseUrl: empty })).toContain("0001_runs.sql");
});

test("TIDEBASE_DATABASE_URL is migrated, into the schema named", async () => {
  const env = { TIDEBASE_DATABASE_URL: empty, TIDEBASE_SCHEMA: "named" };
  const found = await findStore(env, { remote: false, cwd: "/" });
  if (found.kind === "remote") throw new Error("not asked for");
  const store = await openStore(found);
  expect(store).toMatchObject({ schema: "named", foundBy: "TIDEBASE_DATABASE_URL" });
  expect(await pendingMigrations({ databaseUrl: empty, schema: "named" })).toEqual([]);
  expect(await pendingMigrations({ databaseUrl: empty })).toContain("0001_runs.sql");
  await store.leave();
});

test("the embedded store is started, migrated, described and left", async () => {
  const home = await newHome();
  const found = await findStore({ TIDEBASE_HOME: home }, { remote: false, cwd: "/" });
  if (found.kind === "remote") throw new Error("not asked for");
  const store = await openStore(found);
  expect(store.description).toBe(`embedded Postgres in ${home}`);
  expect(await pendingMigrations(store)).toEqual([]);
  await store.leave();
  await expect(pendingMigrations(store)).rejects.toBeInstanceOf(StoreError);
});
