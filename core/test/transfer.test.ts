import { randomUUID } from "node:crypto";
import pg from "pg";
import { beforeAll, expect, inject, onTestFinished, test } from "vitest";
import { migrate } from "../src/migrate.ts";
import { exportStore } from "../src/transfer/export.ts";
import { importStore } from "../src/transfer/import.ts";
import { useDatabase } from "./support/database.ts";
import { ask } from "./support/home.ts";

const db = useDatabase();
const NASTY = ["\0", "\ud800", "\u2028\u2029\r\n", 'a"b\\c,{}', "𝄞 日本", -0.1, 1e300, null, [[]]];

/** A migrated database that holds nothing; it ends with the test. */
async function emptyDatabase(): Promise<string> {
  const name = `tidebase_test_${randomUUID().replaceAll("-", "")}`;
  await ask(inject("adminUrl"), `create database ${name} template ${inject("template")}`);
  onTestFinished(async () => {
    await ask(inject("adminUrl"), `drop database ${name} with (force)`);
  });
  return Object.assign(new URL(inject("adminUrl")), { pathname: name }).href;
}

async function exported(databaseUrl: string, schema?: string): Promise<string> {
  let text = "";
  await exportStore({ databaseUrl, schema }, async (part) => {
    text += part;
  });
  return text;
}

/** The text's bytes in pieces that end anywhere, also within a character. */
async function* pieces(text: string, size = 1000): AsyncGenerator<Uint8Array> {
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

beforeAll(async () => {
  const { runId, epoch, grantId } = await db.begun();
  const lease = { runId, epoch, grantId };
  const steps = NASTY.map((output, n) => ({ ...lease, name: "say", key: String(n), output }));
  await db.call("steps.complete", { items: steps });
  const state = {
    ...lease,
    kind: "set",
    value: { NASTY },
    label: "l",
    target: { type: "t", id: "1" },
  };
  await db.call("state.write", state);
  await db.complete(lease, { result: NASTY });
  await db.call("runs.create", { workflow: "w", input: NASTY, tags: ['a,"{b', "c"], metadata: {} });
  await db.call("keys.create", { name: "ops", scopes: ["read", "operate"], expiresInMs: 60_000 });
  await db.advance("1 day 02:03:04.000005");
});

test("a store that was exported and imported is the same, byte for byte", async () => {
  const text = await exported(db.url);
  const databaseUrl = await emptyDatabase();
  const done = await importStore({ databaseUrl }, pieces(text, 7));
  expect(done.tables).toMatchObject({ runs: 2, steps: NASTY.length, api_keys: 1, clock: 1 });
  expect(await exported(databaseUrl)).toBe(text);
});

test("what was imported goes on where it was: identities and the clock included", async () => {
  const databaseUrl = await emptyDatabase();
  await importStore({ databaseUrl }, pieces(await exported(db.url)));
  const insert = `insert into tidebase.audit (at, actor, via, operation, outcome)
    values (now(), 'a', 'b', 'c', 'd') returning audit_id`;
  const { rows } = await db.pool.query("select max(audit_id) as last from tidebase.audit");
  const { audit_id } = await ask(databaseUrl, insert);
  expect(Number(audit_id)).toBe(Number(rows[0].last) + 1);
  expect(await ask(databaseUrl, "select shift::text from tidebase.clock")).toEqual({
    shift: "1 day 02:03:04.000005",
  });
});

test("a store moves between schemas and servers with other settings", async () => {
  const databaseUrl = await emptyDatabase();
  await migrate({ databaseUrl, schema: "other" });
  const url = new URL(databaseUrl);
  url.searchParams.set("options", "-c timezone=Asia/Tokyo -c datestyle=German,DMY");
  const text = await exported(db.url);
  await importStore({ databaseUrl: url.href, schema: "other" }, pieces(text));
  expect(await exported(url.href, "other")).toBe(text);
  expect(await ask(databaseUrl, "select count(*)::int as n from tidebase.runs")).toEqual({ n: 0 });
});

test("an export shows one instant, and holds nobody up", async () => {
  const databaseUrl = await emptyDatabase();
  await importStore({ databaseUrl }, pieces(await exported(db.url)));
  const before = await exported(databaseUrl);
  let text = "";
  let written = false;
  await exportStore({ databaseUrl }, async (part) => {
    text += part;
    if (written) return;
    written = true;
    await ask(databaseUrl, "delete from tidebase.steps");
    await ask(databaseUrl, "delete from tidebase.runs");
  });
  expect(text).toBe(before);
});

test("rows larger than a batch, and more of them than one, come through", async () => {
  const databaseUrl = await emptyDatabase();
  await ask(
    databaseUrl,
    `insert into tidebase.events (run_id, seq, type, at)
      select gen_random_uuid(), n, 'test', now() from generate_series(1, 3500) n`,
  );
  await ask(
    databaseUrl,
    `insert into tidebase.payloads (run_id, input)
      select gen_random_uuid(), '"' || repeat('é', 600000) || '"' from generate_series(1, 12)`,
  );
  const text = await exported(databaseUrl);
  const copy = await emptyDatabase();
  const done = await importStore({ databaseUrl: copy }, pieces(text, 65_536));
  expect(done.tables).toMatchObject({ events: 3500, payloads: 12 });
  expect((await exported(copy)) === text).toBe(true);
});

test("a store that holds anything is not imported into", async () => {
  const text = await exported(db.url);
  await expect(importStore({ databaseUrl: db.url }, pieces(text))).rejects.toMatchObject({
    code: "store_not_empty",
    message: expect.stringContaining("runs"),
  });
});

test.each<[string, (text: string) => string]>([
  ["is empty", () => ""],
  ["is something else", () => '{"some":"json"}\n'],
  ["is not JSON", () => "select 1;\n"],
  ["is cut short", (text) => text.slice(0, -100)],
  ["ends before its trailer", (text) => `${text.trimEnd().split("\n").slice(0, -1).join("\n")}\n`],
  ["was changed", (text) => text.replace("say", "sax")],
  ["goes on after its end", (text) => `${text}{"table":"runs","columns":[]}\n`],
])("an export that %s changes nothing", async (_, spoil) => {
  const databaseUrl = await emptyDatabase();
  const spoilt = spoil(await exported(db.url));
  const untouched = await exported(databaseUrl);
  await expect(importStore({ databaseUrl }, pieces(spoilt))).rejects.toMatchObject({
    code: "export_invalid",
  });
  expect(await exported(databaseUrl)).toBe(untouched);
});

test("an export of other migrations is refused, and so is a database without a store", async () => {
  const databaseUrl = await emptyDatabase();
  const text = await exported(db.url);
  const older = text.replace(/"checksum":"./, '"checksum":"-');
  await expect(importStore({ databaseUrl }, pieces(older))).rejects.toMatchObject({
    code: "export_other_version",
  });
  const newer = text.replace('"version":1', '"version":2');
  await expect(importStore({ databaseUrl }, pieces(newer))).rejects.toMatchObject({
    code: "export_other_version",
  });
  const nowhere = { databaseUrl, schema: "elsewhere" };
  await expect(exported(databaseUrl, "elsewhere")).rejects.toMatchObject({ code: "store_missing" });
  await expect(importStore(nowhere, pieces(text))).rejects.toMatchObject({ code: "store_missing" });
});

test("what the sink throws passes, and the connection ends", async () => {
  const databaseUrl = await emptyDatabase();
  const full = Object.assign(new Error("no space left"), { code: "ENOSPC" });
  await expect(exportStore({ databaseUrl }, () => Promise.reject(full))).rejects.toBe(full);
  const pool = new pg.Client(inject("adminUrl"));
  await pool.connect();
  onTestFinished(() => pool.end());
  const text = "select count(*)::int as n from pg_stat_activity where datname = $1";
  const name = new URL(databaseUrl).pathname.slice(1);
  await expect.poll(async () => (await pool.query(text, [name])).rows[0].n).toBe(0);
});
