import { randomUUID } from "node:crypto";
import { afterAll, beforeEach, expect, onTestFinished, test } from "vitest";
import { openDatabase } from "../src/database.ts";
import { type CoreOptions, openCore } from "../src/index.ts";
import { forget, setDays } from "../src/retention/sql.ts";
import { retentionSweep } from "../src/retention/sweep.ts";
import { ada, newGrant, useDatabase } from "./support/database.ts";
import { owners, rowsOf } from "./support/owned.ts";

const db = useDatabase();
const database = openDatabase({ databaseUrl: db.url });
afterAll(() => database.close());
const { call, pool } = db;

const sweep = retentionSweep(async () => {});
const uuidOf = (id: string) => id.slice(id.indexOf("_") + 1);
const query = async (text: string, values: unknown[] = []) => (await pool.query(text, values)).rows;

interface Lease {
  readonly runId: string;
  readonly epoch: number;
  readonly grantId: string;
}

/** Every test begins with an empty list, and a store that keeps things for 30 days. */
beforeEach(async () => {
  await query("truncate tidebase.runs");
  await query(
    "update tidebase.retention set days = 30, next_at = tidebase.now(), after_at = null, after_id = null",
  );
});

/** What one round of the sweep deletes: as the reconciler does it, until the list is through. */
async function round(): Promise<string[]> {
  const gone: string[] = [];
  await query("update tidebase.retention set next_at = tidebase.now()");
  for (let over = false; !over; ) {
    const items = await sweep.find(database);
    const settled = await sweep.settle(database, items);
    gone.push(
      ...settled.flatMap(({ outcome, runIds = [] }) => (outcome === "deleted" ? runIds : [])),
    );
    [{ over } = { over: true }] = await query(
      "select after_at is null as over from tidebase.retention",
    );
  }
  return gone;
}

const past = () => db.advance("30 days 1 hour");

async function ended(
  how: "complete" | "fail" | "cancel" = "complete",
  lease?: Lease,
): Promise<string> {
  const { runId, ...grant } = lease ?? (await db.begun());
  if (how === "complete") await db.complete({ runId, ...grant });
  else if (how === "fail") await call("runs.fail", { runId, ...grant, error: { message: "x" } });
  else await call("runs.cancel", { runId });
  return runId;
}

const isThere = async (runId: string) => {
  const rows = await query("select from tidebase.runs where run_id = $1", [uuidOf(runId)]);
  return rows.length === 1;
};

/** Children of the lease's run, by name. */
async function children(lease: Lease, ...names: string[]): Promise<string[]> {
  const { results } = await call("children.create", {
    ...lease,
    children: names.map((name) => ({ name, workflow: "w" })),
  });
  return (results as { runId: string }[]).map(({ runId }) => runId);
}
async function begin(runId: string): Promise<Lease> {
  const grantId = newGrant();
  const { epoch } = await call("runs.begin", { runId, grantId });
  return { runId, epoch: Number(epoch), grantId };
}

test("what ended before the limit is deleted, whatever its end; what has not, or later, stays", async () => {
  const old = [await ended(), await ended("fail"), await ended("cancel")];
  const open = [await db.pending(), (await db.begun()).runId];
  await past();
  const young = [await ended(), await ended("fail"), await ended("cancel")];
  expect((await round()).toSorted()).toEqual(old.toSorted());
  for (const runId of [...open, ...young]) expect(await isThere(runId)).toBe(true);
  const odd = await ended(); // whatever an instant says: a status that is not final is enough to stay
  await past();
  await query("alter table tidebase.runs disable trigger runs_final");
  await query("update tidebase.runs set status = 'interrupted' where run_id = $1", [uuidOf(odd)]);
  await query("alter table tidebase.runs enable trigger runs_final");
  expect((await round()).toSorted()).toEqual(young.toSorted());
  expect(await isThere(odd)).toBe(true);
  const kept = await ended();
  await query("update tidebase.retention set days = 0");
  await past();
  expect(await round()).toEqual([]);
  expect(await isThere(kept)).toBe(true);
});

test("nothing in any table of the store remains of a deleted run, of tables of later versions neither", async () => {
  const lease = await db.begun();
  const { runId } = lease;
  await everythingOf(lease);
  const tables = [...new Set((await owners(pool)).map(({ table }) => table))];
  const ids = [runId, ...(await gateIdsOf(runId))];
  const before = await rowsOf(pool, ids);
  const held = new Set(Object.keys(before).map((place) => place.split(".")[0]));
  expect(tables.filter((table) => !held.has(table))).toEqual([]); // a table that this test does not fill
  await past();
  expect(await round()).toEqual([runId]);
  expect(await rowsOf(pool, ids)).toEqual({});
});

async function gateIdsOf(runId: string): Promise<string[]> {
  const rows = await query("select gate_id from tidebase.gates where run_id = $1", [uuidOf(runId)]);
  return rows.map(({ gate_id }) => `gate_${gate_id}`);
}

/** A row of the run in every table, and its end. */
async function everythingOf(lease: Lease): Promise<void> {
  const { runId } = lease;
  const id = uuidOf(runId);
  await call("steps.complete", { items: [{ ...lease, name: "s", output: 1 }] });
  await call("state.write", {
    ...lease,
    kind: "set",
    value: 1,
    label: "l",
    importance: "transient",
  });
  await query("insert into tidebase.keyframes values ($1, 'state', 1, '1')", [id]);
  await call("timers.set", { ...lease, name: "t", ms: 1 });
  await call("signals.send", { runId, name: "s" });
  await call("usage.record", { ...lease, kind: "llm", totalTokens: 1 });
  const [child = ""] = await children(lease, "c");
  const { gateId, digest } = await db.gate(lease, { approvals: 2 });
  await call("gates.code", { gateId, decision: "approved" }, ada);
  await call("gates.resolve", { gateId, digest, decision: "approved" }, ada);
  await call("runs.cancel", { runId });
  await call("cleanups.begin", lease);
  expect(await isThere(child)).toBe(true); // cancelled with its parent
  for (const table of ["cascades", "superseded"])
    await query(`insert into tidebase.${table} values ($1, now()) on conflict do nothing`, [id]);
  await query("insert into tidebase.quarantine values ('claims', $1, 0, 1, '', now())", [id]);
  await query("insert into tidebase.run_webhooks values ($1, $1)", [id]);
  await query(
    `insert into tidebase.deliveries (delivery_id, webhook_id, run_id, seq, type, status, due_at, created_at, expires_at, ended_at)
      select $1, $1, $1, 1, 'run.created', 'dead', now(), now(), now(), now()`,
    [id],
  );
}

test("a tree goes as a whole, after the last of its runs; one young or open descendant keeps all of it", async () => {
  const root = await db.begun();
  const [a = "", b = ""] = await children(root, "a", "b");
  const inner = await begin(a);
  const [leaf = ""] = await children(inner, "leaf");
  await ended("complete", inner);
  await ended("complete", root);
  await ended("fail", await begin(b));
  await past();
  expect(await round()).toEqual([]); // the leaf is open
  await ended("complete", await begin(leaf));
  expect(await round()).toEqual([]); // it ended just now
  for (const runId of [root.runId, a, b, leaf]) expect(await isThere(runId)).toBe(true);
  await past();
  expect(await round()).toEqual([root.runId]);
  for (const runId of [root.runId, a, b, leaf]) expect(await isThere(runId)).toBe(false);
});

test("a run whose parent is not there counts as a root", async () => {
  const root = await db.begun();
  const [child = ""] = await children(root, "c");
  await ended("complete", await begin(child));
  await past();
  expect(await round()).toEqual([]); // its parent runs
  await query("delete from tidebase.runs where run_id = $1", [uuidOf(root.runId)]);
  expect(await round()).toEqual([child]);
});

test("a gate that is still open keeps its run, unless that has failed", async () => {
  const [running, failed] = [await db.begun(), await db.begun()];
  for (const lease of [running, failed]) await db.gate(lease);
  await ended("fail", failed);
  await ended("complete", running);
  // A gate closes with its run: what is open all the same is not ours to judge.
  await query("alter table tidebase.gates disable trigger gates_decided");
  await query("update tidebase.gates set status = 'open', decided_at = null where run_id = $1", [
    uuidOf(running.runId),
  ]);
  await query("alter table tidebase.gates enable trigger gates_decided");
  await past();
  expect(await round()).toEqual([failed.runId]);
});

test("a message that is neither delivered nor given up keeps its run", async () => {
  const runIds = [await ended(), await ended(), await ended()];
  for (const [n, status] of ["pending", "delivered", "dead"].entries())
    await query(
      `insert into tidebase.deliveries (delivery_id, webhook_id, run_id, seq, type, status, due_at, created_at, expires_at, ended_at)
        values (gen_random_uuid(), gen_random_uuid(), $1, 1, 'run.created', $2::text, now(), now(), now(), case when $2 <> 'pending' then now() end)`,
      [uuidOf(runIds[n] ?? ""), status],
    );
  await past();
  expect((await round()).toSorted()).toEqual(runIds.slice(1).toSorted());
});

test("a label that is not transient keeps its run and the tree, until that is erased", async () => {
  const root = await db.begun();
  const [child = ""] = await children(root, "c");
  const lease = await begin(child);
  await call("state.write", { ...lease, kind: "set", value: 1, label: "kept" });
  await ended("complete", lease);
  await ended("complete", root);
  const passing = await db.begun();
  const label = { label: "passing", importance: "transient" };
  await call("state.write", { ...passing, kind: "set", value: 1, ...label });
  await ended("complete", passing);
  await past();
  expect(await round()).toEqual([passing.runId]);
  await call("runs.erase", { runId: child });
  expect(await round()).toEqual([root.runId]);
});

test("what is locked waits for the next time, whole; what became young meanwhile stays", async () => {
  const root = await db.begun();
  const [child = ""] = await children(root, "c");
  await ended("complete", await begin(child));
  await ended("complete", root);
  await past();
  const release = await db.hold(child);
  expect(await round()).toEqual([]);
  await release();
  expect([await isThere(root.runId), await isThere(child)]).toEqual([true, true]);
  expect(await round()).toEqual([root.runId]);
});

test("two that sweep at once take different pages, and none where nothing is due", async () => {
  const runIds = [];
  for (let n = 0; n < 3; n++) runIds.push(await ended());
  await past();
  const client = await pool.connect();
  onTestFinished(() => client.release(true));
  await client.query("begin");
  await client.query("update tidebase.retention set next_at = tidebase.now()");
  expect(await sweep.find(database)).toEqual([]); // another process turns the page
  await client.query("commit");
  const found = await Promise.all([sweep.find(database), sweep.find(database)]);
  expect(found.flat()).toHaveLength(3);
  expect(await sweep.find(database)).toEqual([]); // over, for ten minutes
  await db.advance("9 minutes");
  expect(await sweep.find(database)).toEqual([]);
  await db.advance("61 seconds");
  expect(await sweep.find(database)).toHaveLength(3);
});

test("a transaction takes whole trees, up to 5,000 runs and 100,000 events; one that is larger goes alone", async () => {
  const roots: string[] = [];
  for (const children of [2600, 2500, 0, 0]) {
    const root = await ended();
    roots.push(root);
    await query(
      `insert into tidebase.runs (run_id, workflow, status, last_seq, max_steps, body_hash, created_at, ended_at, parent_run_id)
        select gen_random_uuid(), 'w', 'completed', 1, 1, '', tidebase.now(), tidebase.now(), $1 from generate_series(1, $2)`,
      [uuidOf(root), children],
    );
  }
  const [wide = "", broad = "", small = "", long = ""] = roots;
  await query("update tidebase.runs set last_seq = 200000 where run_id = $1", [uuidOf(long)]);
  await past();
  const outcomes = async (...runIds: string[]) => {
    const rows = await database.many(forget, { runIds });
    return runIds
      .map((runId) => rows.find((row) => row.runId === runId))
      .map((row) => [row?.outcome, row?.runs]);
  };
  expect(await outcomes(wide, broad, small, long)).toEqual([
    ...[
      ["deleted", 2601],
      ["later", 0],
      ["deleted", 1],
      ["later", 0],
    ],
  ]);
  expect(await outcomes(long, broad)).toEqual([
    ["deleted", 1],
    ["later", 0],
  ]);
  expect(await round()).toEqual([broad]); // what was left for later is found again
});

test("a page moves on over what stays, so that what is protected does not stand before the others", async () => {
  await query(
    `with made as (
        insert into tidebase.runs (run_id, workflow, status, last_seq, max_steps, body_hash, created_at, ended_at)
        select gen_random_uuid(), 'w', 'completed', 1, 1, '', tidebase.now(), tidebase.now() from generate_series(1, 250)
        returning run_id)
      insert into tidebase.labels (run_id, stream, version, label, importance, created_at)
      select run_id, 's', 1, 'l', 'normal', now() from made`,
  );
  const last = await ended();
  await past();
  expect(await round()).toEqual([last]);
  const [{ n }] = await query("select count(*)::int as n from tidebase.runs");
  expect(n).toBe(250);
});

test("a tree that cannot be deleted is set aside and stops no other; its log does not grow", async () => {
  const [poisoned, well] = [await ended(), await ended()];
  await query(`create function tidebase.poison() returns trigger language plpgsql as $$
    begin raise exception 'poisoned'; end $$`);
  await query(`create trigger poison before delete on tidebase.runs for each row
    when (old.run_id = '${uuidOf(poisoned)}') execute function tidebase.poison()`);
  onTestFinished(async () => {
    await query("drop function tidebase.poison cascade");
  });
  await past();
  const core = sweeping();
  await query("update tidebase.retention set next_at = tidebase.now()");
  await expect.poll(() => isThere(well)).toBe(false);
  const tries =
    "select tries, last_error from tidebase.quarantine where sweep = 'retention' and run_id = $1";
  await expect
    .poll(() => query(tries, [uuidOf(poisoned)]))
    .toEqual([{ tries: 1, last_error: "poisoned" }]);
  await core.close();
  await query("update tidebase.quarantine set tries = 5 where run_id = $1", [uuidOf(poisoned)]);
  expect(await round()).toEqual([]);
  const { events } = await call("events.list", { runId: poisoned });
  expect((events as { type: string }[]).at(-1)?.type).toBe("run.completed");
  await db.advance("25 hours");
  await round(); // forgets the failure, so that the tree is tried again
  expect(await query(tries, [uuidOf(poisoned)])).toEqual([]);
});

/** Another process, which looks for work all the time. */
function sweeping(options: Partial<CoreOptions> = {}) {
  const core = openCore({ databaseUrl: db.url, sweepEveryMs: 20, ...options });
  let closing: Promise<void> | undefined;
  const close = () => (closing ??= core.close());
  onTestFinished(close);
  return { ...core, close };
}

test("the store keeps the number of days; a process that names none leaves it alone", async () => {
  const old = await ended();
  await past();
  await sweeping({ retentionDays: 365 }).close();
  const core = sweeping();
  await expect
    .poll(
      async () => (await core.status()).sweeps.find(({ name }) => name === "retention")?.lastRunAt,
    )
    .toEqual(expect.any(String));
  expect(await core.status()).toMatchObject({ retentionDays: 365 });
  expect(await isThere(old)).toBe(true);
  const shorter = sweeping({ retentionDays: 30 });
  await expect.poll(async () => (await shorter.status()).retentionDays).toBe(30);
  const [grace] = await query(
    "select extract(epoch from next_at - tidebase.now())::int as s from tidebase.retention",
  );
  expect(grace.s).toBeGreaterThan(590); // whoever set the greater number can set it again
  expect(await isThere(old)).toBe(true);
  const { entries } = await db.call("audit.list", { limit: 2 });
  expect(entries).toMatchObject([
    { via: "configuration", target: "365 → 30 days" },
    { via: "configuration", target: "30 → 365 days" },
  ]);
  await query("update tidebase.retention set next_at = tidebase.now()");
  await expect.poll(() => isThere(old)).toBe(false);
  const readOnly = openCore({ databaseUrl: db.url, readOnly: true, retentionDays: 1 });
  expect(await readOnly.status()).toMatchObject({ retentionDays: 30 });
  await readOnly.close();
  for (const retentionDays of [-1, 0.5, 36_501, Number.NaN])
    expect(() => openCore({ databaseUrl: db.url, retentionDays })).toThrow(RangeError);
});

test("a process deletes nothing before the store knows how long it wants things kept", async () => {
  const old = await ended();
  await past();
  const client = await pool.connect();
  onTestFinished(() => client.release(true));
  await client.query("begin");
  await client.query("select from tidebase.retention for no key update");
  const core = sweeping({ retentionDays: 365 });
  await db.blocked(1); // its first word
  await client.query("commit");
  await expect.poll(async () => (await core.status()).retentionDays).toBe(365);
  await expect
    .poll(
      async () =>
        (await query("select next_at > tidebase.now() as rests from tidebase.retention"))[0].rests,
    )
    .toBe(true);
  expect(await isThere(old)).toBe(true);
});

test("a number that is written while trees are deleted holds for the next transaction", async () => {
  const old = await ended();
  await past();
  const client = await pool.connect();
  onTestFinished(() => client.release(true));
  await client.query("begin");
  await client.query("update tidebase.retention set days = 365");
  const deleting = database.many(forget, { runIds: [old] });
  await db.blocked(1);
  await client.query("commit");
  expect(await deleting).toMatchObject([{ outcome: "kept" }]);
  expect(await database.maybe(setDays, { days: 365 })).toBeUndefined();
  expect(await database.maybe(setDays, { days: 30 })).toEqual({ days: 30 });
});

test("at the end of the list what nobody needs any more is cleared", async () => {
  const schedule = { name: "nightly", workflow: "w", cron: "0 3 * * *" };
  await call("schedules.put", schedule);
  const [{ schedule_id: id }] = await query("select schedule_id from tidebase.schedules");
  const fire = (daysAgo: number, kind: string, at = daysAgo) =>
    query(
      `insert into tidebase.schedule_fires (schedule_id, fire_at, kind, outcome, until, count, at)
        select $1, tidebase.now() - $2 * interval '1 day', $3, 'fired', tidebase.now(), 1, tidebase.now() - $4 * interval '1 day'`,
      [id, daysAgo, kind, at],
    );
  for (const daysAgo of [33, 34, 35]) await fire(daysAgo, "cron");
  for (const daysAgo of [40, 41]) await fire(daysAgo, "manual");
  await fire(36, "cron", 1); // made up for yesterday
  await query(
    `insert into tidebase.workers (worker_id, queue, seen_at)
      select gen_random_uuid(), 'q', tidebase.now() - n * interval '1 hour' from unnest(array[23, 25]) n`,
  );
  const session = `insert into tidebase.sessions (session_id, name, link_hash, link_expires_at, session_hash, expires_at, created_at)
    values (gen_random_uuid(), $1, $1, tidebase.now() + $2::interval, $1, tidebase.now() + $3::interval, tidebase.now())`;
  await query(session, ["over", "-13 hours", "-1 hour"]);
  await query(session, ["lasts", "-1 hour", "1 hour"]);
  await query(session, ["link", "5 minutes", null]);
  await query(session, ["late link", "-5 minutes", null]);
  const [runId, gone] = [uuidOf(await db.pending()), randomUUID()];
  for (const [sweepName, of, tries, hours] of [
    ["claims", gone, 1, 0],
    ["claims", runId, 9, 25],
    ["pushes", runId, 1, 1],
    ["deadlines", runId, 5, 99],
    ["due_waits", runId, 4, 25],
  ])
    await query(
      "insert into tidebase.quarantine (sweep, run_id, epoch, tries, last_error, at) values ($1, $2, 0, $3, '', tidebase.now() - $4 * interval '1 hour')",
      [sweepName, of, tries, hours],
    );
  for (const table of ["cascades", "superseded"]) {
    await query(`delete from tidebase.${table}`);
    await query(`insert into tidebase.${table} values ($1, now()), ($2, now())`, [runId, gone]);
  }
  await call("audit.list", { limit: 1 });
  const [{ n: audited }] = await query("select count(*)::int as n from tidebase.audit");
  await round();
  const fires =
    "select kind, (extract(epoch from tidebase.now() - fire_at) / 86400)::int as days from tidebase.schedule_fires order by 1, 2";
  expect(await query(fires)).toEqual([
    { kind: "cron", days: 33 },
    { kind: "cron", days: 36 },
    { kind: "manual", days: 40 },
  ]);
  expect(
    await query(
      "select (extract(epoch from tidebase.now() - seen_at) / 3600)::int as h from tidebase.workers",
    ),
  ).toEqual([{ h: 23 }]);
  expect(await query("select name from tidebase.sessions order by 1")).toEqual([
    { name: "lasts" },
    { name: "link" },
  ]);
  expect(
    await query("select sweep from tidebase.quarantine where run_id in ($1, $2) order by 1", [
      runId,
      gone,
    ]),
  ).toEqual([{ sweep: "deadlines" }, { sweep: "pushes" }]);
  for (const table of ["cascades", "superseded"])
    expect(await query(`select run_id from tidebase.${table}`)).toEqual([{ run_id: runId }]);
  expect(await query("select count(*)::int as n from tidebase.audit")).toEqual([{ n: audited }]);
});
