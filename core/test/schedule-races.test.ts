import { afterAll, expect, test } from "vitest";
import { openDatabase } from "../src/database.ts";
import { openCore } from "../src/index.ts";
import { dueSchedules } from "../src/schedules/due.ts";
import { untilBlocked, useDatabase } from "./support/database.ts";

const db = useDatabase();
const databases = [0, 1].map(() => openDatabase({ databaseUrl: db.url }));
const [one, two] = databases as [(typeof databases)[0], (typeof databases)[0]];
afterAll(() => Promise.all(databases.map((database) => database.close())));
const { find, settle } = dueSchedules(10_000);

let made = 0;
const said = { workflow: "report", cron: "* * * * *", overlap: "allow" };
async function put(more: object = {}): Promise<string> {
  const name = `race ${++made}`;
  await db.call("schedules.put", { name, ...said, ...more });
  return name;
}
/** Every row of the history, with whether its run exists. */
async function history(name: string) {
  const text = `select f.fire_at, f.kind, f.outcome, r.run_id from tidebase.schedule_fires f
    join tidebase.schedules s using (schedule_id) left join tidebase.runs r on r.run_id = f.run_id
    where s.name = $1 order by f.fire_at`;
  return (await db.pool.query(text, [name])).rows;
}
async function runs(name: string): Promise<number> {
  const text = `select count(*)::int as n from tidebase.runs r join tidebase.schedules s using (schedule_id) where s.name = $1`;
  return (await db.pool.query(text, [name])).rows[0].n;
}
/** Moves the clock until the schedule is a second late. */
async function reach(name: string): Promise<void> {
  const text = `update tidebase.clock set shift = shift + (
      select next_fire_at + interval '1 second' - tidebase.now() from tidebase.schedules where name = $1)`;
  await db.pool.query(text, [name]);
}
/** Holds the schedule's row until the returned function is called. */
async function hold(name: string, sql = "select 1") {
  const client = await db.pool.connect();
  await client.query("begin");
  await client.query("select from tidebase.schedules where name = $1 for update", [name]);
  await client.query(sql);
  return async () => {
    await client.query("commit");
    client.release();
  };
}
const forget = (name: string) => db.call("schedules.delete", { name });

test("of two processes that planned the same fire one makes it: one row, one run", async () => {
  const name = await put();
  await reach(name);
  const [mine, theirs] = [await find(one), await find(two)];
  const release = await hold(name);
  const settled = [settle(one, mine), settle(two, theirs)];
  await db.blocked(2);
  await release();
  const answers = (await Promise.all(settled)).flat();
  expect(answers.map(({ outcome }) => outcome).sort()).toEqual(["fired", "moved"]);
  expect(await history(name)).toMatchObject([{ outcome: "fired", run_id: expect.any(String) }]);
  expect(await runs(name)).toBe(1);
  await forget(name);
});

test("whoever planned from what was is too late, even where the next fire was set back by hand", async () => {
  const name = await put();
  await reach(name);
  const planned = await find(one);
  await settle(two, await find(two));
  expect(await settle(one, planned)).toMatchObject([{ outcome: "moved" }]);
  const text =
    "update tidebase.schedules set next_fire_at = next_fire_at - interval '1 minute' where name = $1";
  await db.pool.query(text, [name]);
  expect(await settle(one, await find(one))).toMatchObject([{ outcome: "known", runIds: [] }]);
  expect(await runs(name)).toBe(1);
  await forget(name);
});

test("two processes that sweep at once through a backlog fire each instant once", async () => {
  const names = await Promise.all(Array.from({ length: 5 }, () => put({ catchUp: "all" })));
  await db.advance("8 minutes");
  const sweeps = async (database: typeof one) => {
    for (let items = await find(database); items.length > 0; items = await find(database))
      await settle(database, items);
  };
  await Promise.all([sweeps(one), sweeps(two)]);
  for (const name of names) {
    const rows = await history(name);
    expect(rows.length).toBe(await runs(name));
    const instants = rows.map(({ fire_at }) => Number(fire_at));
    expect(instants).toEqual(instants.map((_, n) => (instants[0] ?? 0) + n * 60_000));
    expect(rows.length).toBeGreaterThanOrEqual(8);
    await forget(name);
  }
});

test.each(["put", "fire"])(
  "a put that changes the expression against a fire, %s first: no instant fires twice or is undone",
  async (first) => {
    const name = await put();
    await reach(name);
    const planned = await find(one);
    const release = await hold(name);
    const write = () => db.call("schedules.put", { name, ...said, cron: "* * * * * *" });
    const fire = () => settle(one, planned);
    const a = first === "put" ? write() : fire();
    await untilBlocked(db.pool, first === "put" ? "schedules.change" : "schedules.fire");
    const b = first === "put" ? fire() : write();
    await db.blocked(2);
    await release();
    await Promise.all([a, b]);
    const rows = await history(name);
    expect(rows).toHaveLength(first === "put" ? 0 : 1);
    expect(await runs(name)).toBe(rows.length);
    const { schedule } = await db.call("schedules.get", { name });
    const { cron, revision, nextFireAt } = schedule as Record<string, string>;
    expect({ cron, revision }).toEqual({ cron: "* * * * * *", revision: 2 });
    if (rows.length > 0)
      expect(Date.parse(nextFireAt ?? "")).toBeGreaterThan(Number(rows[0].fire_at));
    await forget(name);
  },
);

test("of two first puts of a name one makes it, and the other finds it so", async () => {
  const input = { name: "twice", ...said };
  const puts = await Promise.all([1, 2, 3].map(() => db.call("schedules.put", input)));
  expect(puts.map(({ outcome }) => outcome).sort()).toEqual(["created", "unchanged", "unchanged"]);
  await forget("twice");
});

test("a pause that comes before a planned fire holds it back", async () => {
  const name = await put();
  await reach(name);
  const planned = await find(one);
  const release = await hold(
    name,
    `update tidebase.schedules set paused_at = tidebase.now() where name = '${name}'`,
  );
  const fired = settle(one, planned);
  await db.blocked(1);
  await release();
  expect(await fired).toMatchObject([{ outcome: "moved" }]);
  expect(await history(name)).toEqual([]);
  await forget(name);
});

test.each(["fire", "trigger"])(
  "a delete that waits for a %s takes its row along, and the run stays",
  async (act) => {
    const name = await put();
    await reach(name);
    const planned = await find(one);
    const { scheduleId } = (await db.call("schedules.get", { name }))["schedule"] as Record<
      string,
      string
    >;
    const release = await hold(name);
    const acting = act === "fire" ? settle(one, planned) : db.call("schedules.trigger", { name });
    await db.blocked(1);
    const deleting = forget(name);
    await db.blocked(2);
    await release();
    await Promise.all([acting, deleting]);
    const id = [scheduleId?.slice("schedule_".length)];
    const left = await db.pool.query(
      "select from tidebase.schedule_fires where schedule_id = $1",
      id,
    );
    expect(left.rowCount).toBe(0);
    const kept = await db.pool.query("select from tidebase.runs where schedule_id = $1", id);
    expect(kept.rowCount).toBe(1);
  },
);

test("a fire whose connection dies before it is committed leaves nothing, and is made by the next round", async () => {
  const name = await put();
  await reach(name);
  const planned = await find(one);
  const release = await hold(name);
  const fired = settle(one, planned).then(
    () => "answered",
    (error: { code: string }) => error.code,
  );
  await untilBlocked(db.pool, "schedules.fire");
  const kill = `select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and query like '%/* schedules.fire */%' and pid <> pg_backend_pid()`;
  await db.pool.query(kill);
  expect(await fired).toBe("outcome_unknown");
  await release();
  expect(await history(name)).toEqual([]);
  expect(await runs(name)).toBe(0);
  await settle(two, await find(two));
  expect(await history(name)).toMatchObject([{ outcome: "fired", run_id: expect.any(String) }]);
  expect(await runs(name)).toBe(1);
  await forget(name);
});

test("a fire that was committed before its answer was lost is not made again", async () => {
  const name = await put();
  await reach(name);
  const planned = await find(one);
  await settle(two, planned); // as the lost call did
  await settle(one, planned);
  await settle(one, await find(one));
  expect(await history(name)).toHaveLength(1);
  expect(await runs(name)).toBe(1);
  await forget(name);
});

test("a fire makes its run under the schedule's lock: nothing of it is seen before all of it", async () => {
  const name = await put();
  await reach(name);
  await db.pool.query(`create function slow() returns trigger language plpgsql as $$
    begin perform from tidebase.clock where id = 1 for update; return new; end $$`);
  await db.pool.query(
    "create trigger slow before insert on tidebase.payloads for each row execute function slow()",
  );
  const client = await db.pool.connect();
  await client.query("begin");
  await client.query("select from tidebase.clock for update");
  const fired = settle(one, await find(one));
  await untilBlocked(db.pool, "schedules.fire");
  expect([await history(name), await runs(name)]).toEqual([[], 0]);
  await client.query("commit");
  client.release();
  await fired;
  expect([(await history(name)).length, await runs(name)]).toEqual([1, 1]);
  await db.pool.query("drop function slow cascade");
  await forget(name);
});

test("a process that opened the store fires what is due, and cancels what that supersedes", async () => {
  const name = await put({ overlap: "cancel" });
  const core = openCore({ databaseUrl: db.url, sweepEveryMs: 20 });
  for (const n of [1, 2]) {
    await reach(name);
    await expect.poll(async () => (await history(name)).length, { interval: 5 }).toBe(n);
  }
  const statuses = async () => {
    const text =
      "select r.status from tidebase.runs r join tidebase.schedules s using (schedule_id) where s.name = $1";
    return (await db.pool.query(text, [name])).rows.map(({ status }) => status).sort();
  };
  await expect.poll(statuses, { interval: 5 }).toEqual(["cancelled", "queued"]);
  await core.close();
});
