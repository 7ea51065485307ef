import { randomUUID } from "node:crypto";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import pg from "pg";
import { expect, onTestFinished, test } from "vitest";
import { newGrant, useDatabase } from "../../core/test/support/database.ts";
import { startServer } from "../../http-server/src/index.ts";
import type { Flags } from "../src/cli.ts";
import type { Finding } from "../src/doctor/check.ts";
import { diagnose, type Machine } from "../src/doctor/doctor.ts";
import { painter } from "../src/output.ts";
import { openTerminal } from "../src/terminal.ts";
import { type Ended, type Env, runInside, useFolder } from "./support/program.ts";

const db = useDatabase();
const other = useDatabase();
const folder = useFolder();
/** Nothing listens there. */
const own: Env = {
  TIDEBASE_DATABASE_URL: db.url,
  TIDEBASE_PORT: "1",
  TIDEBASE_HOME: join(folder, "home"),
};

interface Asked {
  readonly env?: Env;
  readonly flags?: Flags;
  readonly machine?: Partial<Machine>;
  readonly cwd?: string;
  readonly version?: string;
}

/** The findings by the names of their checks. */
async function doctor({
  env = own,
  flags = {},
  machine = {},
  cwd = folder,
  version = "0.1.0",
}: Asked = {}) {
  const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()];
  const terminal = openTerminal({ stdin, stdout, stderr }, env);
  const cli = { terminal, env, cwd, version, leaving: new Set<never>() };
  const all = { ...cli, paint: painter(false), flags: () => flags, exitWith: () => {} };
  const findings = await diagnose(all, machine);
  expect(new Set(findings.map(({ check }) => check)).size).toBe(findings.length);
  for (const { status, fix } of findings) expect(fix === null).toBe(status === "ok");
  return Object.fromEntries(findings.map((one) => [one.check, one])) as Record<string, Finding>;
}

/** Runs the SQL, and the other one when the test has ended. */
async function provoke(sql: string, undo: string): Promise<void> {
  await db.pool.query(sql);
  onTestFinished(async () => {
    await db.pool.query(undo);
  });
}

const said = (status: Finding["status"], detail: string, fix?: string) => ({
  status,
  detail: expect.stringContaining(detail),
  ...(fix === undefined ? {} : { fix: expect.stringContaining(fix) }),
});

function documentOf({ stdout, stderr }: Ended): Finding[] {
  expect(stderr).toBe("");
  return JSON.parse(stdout);
}

test("of a sound store every check is ok but the settings of the tests' own Postgres, and the server", async () => {
  const found = await doctor();
  expect(found["settings"]).toMatchObject(said("fail", "fsync", "alter system set fsync = on;"));
  expect(found["server"]).toMatchObject(
    said("warn", "No Tidebase server answers", "npx tidebase-server"),
  );
  expect((await doctor({ env: { ...own, TIDEBASE_PORT: "no port" } }))["server"]).toMatchObject(
    said("warn", "No Tidebase server answers"),
  );
  const rest = Object.values(found).filter(({ check }) => !["settings", "server"].includes(check));
  expect(rest.filter(({ status }) => status !== "ok")).toEqual([]);
  expect(rest.length).toBeGreaterThan(20);
  expect(JSON.stringify(found)).not.toContain(new URL(db.url).password);
});

test("the command prints a line for each check and its fix, or a JSON list, and ends with 1 when one fails", async () => {
  const text = await runInside(folder, ["doctor"], own);
  expect(text).toMatchObject({ code: 1, stderr: "" });
  expect(text.stdout).toMatch(/^fail {5}settings +fsync/m);
  expect(text.stdout).toMatch(/^ +fix: npx tidebase-server$/m);
  expect(text.stdout).toMatch(/\d+ checks: \d+ ok, 1 warning, 1 failure\./);
  const json = await runInside(folder, ["doctor", "--json"], own);
  expect(json.code).toBe(1);
  for (const finding of documentOf(json))
    expect(Object.keys(finding).sort()).toEqual(["check", "detail", "fix", "status"]);
});

test("an old Node is told", async () => {
  expect((await doctor({ machine: { node: "18.20.0" } }))["Node"]).toMatchObject(
    said("fail", "18.20.0"),
  );
});

test("a store that cannot be found, or reached, is a failure; what needs it is skipped", async () => {
  const literal = await doctor({ env: { TIDEBASE_DATABASE_URL: "$" + "{STORE}" } });
  expect(literal["store"]).toMatchObject(said("fail", "$" + "{STORE}"));
  const gone = await doctor({
    env: { ...own, TIDEBASE_DATABASE_URL: "postgres://u:secret@127.0.0.1:1/d" },
  });
  expect(gone["database"]).toMatchObject(said("fail", "cannot be reached"));
  expect(gone["queues"]).toMatchObject({ status: "skipped" });
  expect(gone["server"]).toMatchObject({ status: "warn" });
  expect(JSON.stringify(gone)).not.toContain("secret");
});

test("an embedded store that was never made is left alone", async () => {
  const env = { TIDEBASE_HOME: join(folder, "never made"), TIDEBASE_PORT: "1" };
  const found = await doctor({ env });
  expect(found["embedded Postgres"]).toMatchObject(said("ok", "Not made yet"));
  expect(found["migrations"]).toMatchObject(said("skipped", "no store yet"));
});

test("an embedded store whose place cannot be used is told, and nothing of it is asked", async () => {
  const file = join(folder, "a file");
  writeFileSync(file, "");
  const found = await doctor({ env: { TIDEBASE_HOME: join(file, "home"), TIDEBASE_PORT: "1" } });
  expect(found["embedded Postgres"]).toMatchObject(said("fail", "cannot be used", "TIDEBASE_HOME"));
  expect(found["migrations"]).toMatchObject(said("skipped", "does not work"));
});

test("an embedded store of another version of Postgres is told", async () => {
  const home = mkdtempSync(join(tmpdir(), `tidebase-test-${process.pid}-`));
  onTestFinished(() => rmSync(home, { recursive: true }));
  chmodSync(home, 0o755);
  mkdirSync(join(home, "pg17"));
  const found = await doctor({ env: { TIDEBASE_HOME: home, TIDEBASE_PORT: "1" } });
  expect(found["embedded Postgres"]).toMatchObject(said("fail", "another version", "db export"));
});

test("settings of the database that lose finished steps are told", async () => {
  const name = new URL(db.url).pathname.slice(1);
  await provoke(
    `alter database ${name} set synchronous_commit = off`,
    `alter database ${name} reset synchronous_commit`,
  );
  expect((await doctor())["settings"]).toMatchObject(said("fail", "synchronous_commit"));
});

test("a user who lacks rights is told which, and a check that is refused does not stop the others", async () => {
  const role = `clerk_${randomUUID().replaceAll("-", "")}`;
  await provoke(
    `create role ${role} login password 'pw'; grant usage on schema tidebase to ${role};
     grant select on all tables in schema tidebase to ${role}; revoke select on tidebase.quarantine from ${role}`,
    `drop owned by ${role}; drop role ${role}`,
  );
  const url = Object.assign(new URL(db.url), { username: role, password: "pw" }).href;
  const found = await doctor({ env: { ...own, TIDEBASE_DATABASE_URL: url } });
  expect(found["privileges"]).toMatchObject(said("fail", "insert"));
  expect(found["quarantine"]).toMatchObject(said("fail", "permission denied"));
  expect(found["queues"]?.status).not.toBe("skipped");
});

test("missing, unknown and changed migrations are told, and what reads the tables is skipped", async () => {
  const { rows } = await db.pool.query(
    "delete from tidebase.migrations where name like '0004%' returning *",
  );
  const row = rows[0] as { name: string; checksum: string; version: string };
  const put = async (name: string, checksum: string) => {
    await db.pool.query(
      "insert into tidebase.migrations (name, checksum, version) values ($1, $2, $3)",
      [name, checksum, row.version],
    );
  };
  const missing = await doctor();
  expect(missing["migrations"]).toMatchObject(said("fail", "lacks 0004_", "npx tidebase migrate"));
  expect(missing["clock"]).toMatchObject({ status: "skipped" });
  await put(row.name, "other");
  expect((await doctor())["migrations"]).toMatchObject(said("fail", "checksums differ"));
  await db.pool.query("update tidebase.migrations set checksum = $2 where name = $1", [
    row.name,
    row.checksum,
  ]);
  await put("9999_later.sql", "x");
  expect((await doctor())["migrations"]).toMatchObject(said("fail", "does not know", "Upgrade"));
  await db.pool.query("delete from tidebase.migrations where name like '9999%'");
  expect((await doctor())["migrations"]).toMatchObject({ status: "ok" });
});

test("a clock that a test left moved, one that is gone, and one that differs from this machine's are told", async () => {
  await db.advance("3 hours");
  expect((await doctor())["clock"]).toMatchObject(said("fail", "3 h", "update tidebase.clock"));
  await db.pool.query("delete from tidebase.clock");
  expect((await doctor())["clock"]).toMatchObject(said("fail", "is gone"));
  await db.pool.query("insert into tidebase.clock (id, shift) values (1, interval '0')");
  const behind = { now: () => Date.now() - 60_000 };
  expect((await doctor({ machine: behind }))["clock"]).toMatchObject(said("warn", "60 s ahead"));
});

/** Something between us and Postgres that hands on everything, but names another backend. */
async function startPooler(): Promise<string> {
  const target = new URL(db.url);
  const server = createServer((client) => {
    const upstream = connect(Number(target.port), target.hostname);
    client.pipe(upstream);
    upstream.on("data", (chunk: Uint8Array) => {
      const bytes = new DataView(chunk.buffer, chunk.byteOffset, chunk.length);
      for (let at = 0; at + 13 <= chunk.length; at++)
        if (chunk[at] === 0x4b && bytes.getUint32(at + 1) === 12) bytes.setUint32(at + 5, 1);
      client.write(chunk);
    });
    for (const [one, two] of [
      [client, upstream],
      [upstream, client],
    ] as const)
      one.on("error", () => two.destroy()).on("close", () => two.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  const { port } = server.address() as { port: number };
  return Object.assign(new URL(db.url), { host: `127.0.0.1:${port}` }).href;
}

test("a pooler is recognised", async () => {
  const found = await doctor({ env: { ...own, TIDEBASE_DATABASE_URL: await startPooler() } });
  expect(found["pooler"]).toMatchObject(said("warn", "LISTEN", "5432"));
  expect(found["queues"]).toMatchObject({ status: "ok" });
});

test("a server is told when it is of this store, of another one, of another version, or no server at all", async () => {
  const runId = await db.pending();
  const server = await startServer({ core: db.core, port: 0 });
  const wrong = await startServer({ core: other.core, port: 0 });
  onTestFinished(async () => void (await Promise.all([server.close(), wrong.close()])));
  const at = (port: number) => ({ ...own, TIDEBASE_PORT: String(port) });
  expect((await doctor({ env: at(server.port) }))["server"]).toMatchObject(
    said("ok", "works on this store"),
  );
  expect((await doctor({ env: at(wrong.port) }))["server"]).toMatchObject(
    said("warn", "another store"),
  );
  const newer = await doctor({ env: at(server.port), version: "9.9.9" });
  expect(newer["server"]).toMatchObject(said("warn", "version 0.1.0"));
  const postgres = await doctor({ env: at(Number(new URL(db.url).port)) });
  expect(postgres["server"]).toMatchObject(said("warn", "No Tidebase server"));
  await db.cancel(runId);
});

test("with --url it tells what a server tells, and names what needs the database", async () => {
  const server = await startServer({ core: db.core, port: 0 });
  onTestFinished(() => server.close());
  const lease = await db.begun();
  await db.call("runs.fail", { ...lease, error: { message: "boom" } });
  const found = await doctor({ env: {}, flags: { url: server.url } });
  expect(found["store"]).toMatchObject(said("ok", "--url"));
  expect(found["recovery"]).toMatchObject(said("warn", "1 failed"));
  for (const check of ["settings", "migrations", "quarantine", "vacuum", "privileges"])
    expect(found[check]).toMatchObject(said("skipped", "a server does not tell", "--database-url"));
  const behind = { now: () => Date.now() - 60_000 };
  const moved = await doctor({ env: {}, flags: { url: server.url }, machine: behind });
  expect(moved["clock"]).toMatchObject(said("warn", "60 s ahead"));
  const farBehind = { now: () => Date.now() - 80 * 86_400_000 };
  const far = await doctor({ env: {}, flags: { url: server.url }, machine: farBehind });
  expect(far["clock"]).toMatchObject(said("warn", "80 d ahead"));
  expect((await doctor({ machine: farBehind }))["clock"]).toMatchObject(said("warn", "80 d ahead"));
  const gone = await doctor({ env: {}, flags: { url: "http://127.0.0.1:1" } });
  expect(gone["server"]).toMatchObject({ status: "fail" });
  expect(gone["queues"]).toMatchObject({ status: "skipped" });
  await db.cancel(lease.runId);
});

test("a path behind the server's address is told", async () => {
  const server = await startServer({ core: db.core, port: 0 });
  onTestFinished(() => server.close());
  const env = { TIDEBASE_URL: `${server.url}/v1` };
  const found = await doctor({ env });
  expect(found["server"]).toMatchObject(
    said("fail", `answers at ${server.url}, but not at ${server.url}/v1`, `Leave out the path`),
  );
  expect(found["queues"]).toMatchObject(said("skipped", ""));
});

test("a key that is missing or refused is a failure, with what to do", async () => {
  const { keyId } = await other.call("keys.create", { name: "any", scopes: ["read"] });
  const server = await startServer({ core: other.core, port: 0 });
  onTestFinished(async () => {
    await server.close();
    await other.call("keys.revoke", { keyId });
  });
  const flags = { url: server.url };
  // A store that was asked a moment ago is still believed to have no keys.
  await expect.poll(async () => (await doctor({ env: {}, flags }))["API key"]?.status).toBe("fail");
  expect((await doctor({ env: {}, flags }))["API key"]).toMatchObject(
    said("fail", "asks for an API key", "TIDEBASE_API_KEY"),
  );
  const wrong = await doctor({ env: { TIDEBASE_API_KEY: "tb_wrong" }, flags });
  expect(wrong["API key"]).toMatchObject(said("fail", "unknown to the server", "TIDEBASE_API_KEY"));
  expect(wrong["queues"]).toMatchObject(said("skipped", "API key"));
  const env = { ...own, TIDEBASE_PORT: String(server.port), TIDEBASE_API_KEY: "tb_wrong" };
  expect((await doctor({ env }))["server"]).toMatchObject(said("warn", "refuses TIDEBASE_API_KEY"));
  expect((await runInside(folder, ["doctor", "--url", server.url])).code).toBe(1);
});

test("what a key may not ask a server is skipped, with the scope that is missing", async () => {
  const { key, keyId } = await other.call("keys.create", { name: "reader", scopes: ["read"] });
  const server = await startServer({ core: other.core, port: 0 });
  onTestFinished(async () => {
    await server.close();
    await other.call("keys.revoke", { keyId });
  });
  const env = { TIDEBASE_API_KEY: String(key) };
  const found = await doctor({ env, flags: { url: server.url } });
  expect(found["queues"]).toMatchObject({ status: "ok" });
  expect(found["API key"]).toMatchObject({ status: "ok" });
  expect(found["webhooks"]).toMatchObject(said("skipped", "the scope admin", "--scopes admin"));
});

test("runs without a worker, and those that wait for somebody, are told", async () => {
  const lease = await db.begun();
  await db.pool.query(
    "update tidebase.runs set lease_expires_at = tidebase.now() - interval '1 hour' where run_id = $1",
    [lease.runId.slice(4)],
  );
  expect((await doctor())["leases"]).toMatchObject(said("warn", lease.runId));
  await db.cancel(lease.runId);
  const failed = await db.begun();
  await db.call("runs.fail", { ...failed, error: { message: "boom" } });
  expect((await doctor())["recovery"]).toMatchObject(
    said("warn", failed.runId, "npx tidebase runs list --status failed,interrupted"),
  );
  await db.cancel(failed.runId);
});

test("what a sweep has given up on is told with its reason", async () => {
  const { runId } = await db.begun();
  await db.pool.query(
    `insert into tidebase.quarantine (sweep, run_id, epoch, tries, last_error, at)
     select 'due_waits', run_id, epoch, 5, 'no room', tidebase.now() from tidebase.runs where run_id = $1`,
    [runId.slice(4)],
  );
  expect((await doctor())["quarantine"]).toMatchObject(said("fail", "due_waits on 1 run", runId));
  await db.cancel(runId);
});

test("queues with work and no worker, and paused ones with work, are told", async () => {
  await db.call("runs.enqueue", { items: [{ workflow: "w", queue: "mail" }] });
  await db.advance("2 minutes");
  const idle = await doctor();
  expect(idle["queues"]).toMatchObject(said("warn", "mail", "npx tidebase queues show mail"));
  await db.call("queues.update", { queue: "mail", paused: true });
  const held = await doctor();
  expect(held["queues"]).toMatchObject({ status: "ok" });
  expect(held["paused queues"]).toMatchObject(
    said("warn", "mail", "npx tidebase queues resume mail"),
  );
  await db.call("queues.update", { queue: "mail", paused: false });
  await db.pool.query("update tidebase.clock set shift = interval '0'");
  await db.pool.query("delete from tidebase.runs where queue = 'mail'");
});

test("late and resting schedules are told", async () => {
  await db.call("schedules.put", { name: "nightly", cron: "@hourly", workflow: "report" });
  await db.pool.query(
    "update tidebase.schedules set next_fire_at = tidebase.now() - interval '1 hour'",
  );
  expect((await doctor())["schedules"]).toMatchObject(said("warn", "nightly was due"));
  await db.pool.query("update tidebase.schedules set failures = 5, last_error = 'no such queue'");
  expect((await doctor())["schedules"]).toMatchObject(
    said("warn", "no such queue", "npx tidebase schedules resume nightly"),
  );
  await db.call("schedules.delete", { name: "nightly" });
});

test("a gate that is open for over a week is told", async () => {
  const lease = await db.begun();
  await db.gate(lease);
  await db.pool.query("update tidebase.gates set opened_at = tidebase.now() - interval '9 days'");
  expect((await doctor())["gates"]).toMatchObject(
    said("warn", "open for 9 d,", "npx tidebase gates list"),
  );
  await db.cancel(lease.runId);
});

test("disabled webhooks and dead deliveries are told", async () => {
  const lease = await db.begun();
  const { webhookId, name } = await db.channel("ops");
  await db.call("webhooks.update", { webhookId, disabled: true });
  await db.pool.query(
    `insert into tidebase.deliveries (delivery_id, webhook_id, run_id, seq, type, status, due_at, created_at, expires_at, ended_at, last_status)
     values (gen_random_uuid(), $1, $2, 1, 'run.failed', 'dead', now(), now(), now(), now(), 500)`,
    [webhookId.slice(8), lease.runId.slice(4)],
  );
  const found = await doctor();
  expect(found["webhooks"]).toMatchObject(
    said("warn", name, `npx tidebase webhooks enable ${webhookId}`),
  );
  expect(found["deliveries"]).toMatchObject(
    said("warn", "500", "npx tidebase deliveries list --status dead"),
  );
  await db.pool.query("delete from tidebase.deliveries");
  await db.call("webhooks.update", { webhookId, disabled: false });
  await db.cancel(lease.runId);
});

test("a transaction that is open for long is told, with whose it is", async () => {
  const client = new pg.Client({ connectionString: db.url, application_name: "forgotten" });
  await client.connect();
  onTestFinished(() => client.end());
  await client.query("begin");
  const { transactions } = await doctor({ machine: { longMs: 0 } });
  expect(transactions).toMatchObject(said("warn", "forgotten", "select pg_terminate_backend("));
});

test("a table that is mostly dead rows is told", async () => {
  await provoke(
    "alter table tidebase.keyframes set (autovacuum_enabled = off)",
    "alter table tidebase.keyframes reset (autovacuum_enabled)",
  );
  const client = await db.pool.connect();
  await client.query(
    "insert into tidebase.keyframes (run_id, stream, version, body) select gen_random_uuid(), 's', n, '' from generate_series(1, 12000) n",
  );
  await client.query("delete from tidebase.keyframes");
  await client.query("select pg_stat_force_next_flush()");
  client.release();
  await expect
    .poll(async () => (await doctor())["vacuum"]?.detail)
    .toContain("keyframes has 12000 dead rows");
});

test("history that nobody deletes, and a store that lost its rule, are told", async () => {
  await db.pool.query("update tidebase.retention set next_at = tidebase.now() - interval '1 day'");
  expect((await doctor())["retention"]).toMatchObject(said("warn", "nobody has looked for 24 h"));
  await db.pool.query(
    "update tidebase.retention set next_at = tidebase.now() - interval '80 days'",
  );
  expect((await doctor())["retention"]).toMatchObject(said("warn", "nobody has looked for 80 d"));
  await db.pool.query("update tidebase.retention set days = 0");
  expect((await doctor())["retention"]).toMatchObject(said("ok", "for ever"));
  await db.pool.query("delete from tidebase.retention");
  expect((await doctor())["retention"]).toMatchObject(said("fail", "is gone"));
  await db.pool.query(
    "insert into tidebase.retention (id, days, next_at) values (1, 30, tidebase.now())",
  );
});

test("a project whose agents are not told, or of an older version, is told to run init", async () => {
  const cwd = mkdtempSync(join(folder, "project-"));
  writeFileSync(join(cwd, "package.json"), "{}");
  const env = { ...own };
  expect((await doctor({ env, cwd }))["AGENTS.md"]).toMatchObject(
    said("warn", "not told", "npx tidebase init"),
  );
  await runInside(cwd, ["init"]);
  const told = await doctor({ env, cwd });
  expect([told["AGENTS.md"]?.status, told["skill"]?.status]).toEqual(["ok", "ok"]);
  writeFileSync(join(cwd, ".claude/skills/tidebase/SKILL.md"), "mine");
  expect((await doctor({ env, cwd }))["skill"]).toMatchObject(said("warn", "somebody edited it"));
  writeFileSync(join(cwd, "AGENTS.md"), "<!-- tidebase:end -->\n");
  expect((await doctor({ env, cwd }))["AGENTS.md"]).toMatchObject(
    said("fail", "ends before it begins"),
  );
});

test("a claim's worker makes a queue attended", async () => {
  await db.call("runs.enqueue", {
    items: [
      { workflow: "w", queue: "busy" },
      { workflow: "w", queue: "busy" },
    ],
  });
  await db.call("queues.claim", { queue: "busy", grantId: newGrant(), limit: 1 });
  await db.advance("70 seconds");
  expect((await doctor())["queues"]).toMatchObject({ status: "ok" });
  await db.pool.query("update tidebase.clock set shift = interval '0'");
  await db.pool.query("delete from tidebase.runs where queue = 'busy'");
});
