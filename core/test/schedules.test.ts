import { afterAll, expect, test } from "vitest";
import { openDatabase } from "../src/database.ts";
import { dueSchedules } from "../src/schedules/due.ts";
import { supersededRuns } from "../src/schedules/superseded.ts";
import { local, useDatabase } from "./support/database.ts";

const db = useDatabase();
const database = openDatabase({ databaseUrl: db.url });
afterAll(() => database.close());

type Fire = { fireAt: string; kind: string; outcome: string; reason: string; count: number } & {
  runId: string | null;
  until: string;
};
type Schedule = Record<string, unknown> & { nextFireAt: string; nextFires: string[] };

let made = 0;
/** A schedule of its own name that fires every minute, unless told otherwise. */
async function put(more: object = {}): Promise<string> {
  const name = `schedule ${++made}`;
  await db.call("schedules.put", { name, workflow: "report", cron: "* * * * *", ...more });
  return name;
}
const get = async (name: string) =>
  (await db.call("schedules.get", { name }))["schedule"] as Schedule;
const fires = async (name: string) =>
  (await db.call("schedules.fires", { name, limit: 200 }))["fires"] as Fire[];
const outcomes = async (name: string) =>
  (await fires(name)).map(({ outcome, reason }) => (reason === null ? outcome : reason));
const run = async (runId: string | null | undefined) =>
  (await db.call("runs.get", { runId, include: ["input"] })) as {
    run: Record<string, unknown>;
    input: unknown;
  };
const statusOf = async (runId: string | null | undefined) => (await run(runId)).run["status"];

/** One round of the sweep: whatever is due. */
async function sweep(): Promise<void> {
  const { find, settle } = dueSchedules(10_000);
  const items = await find(database);
  if (items.length > 0) await settle(database, items);
}
async function supersede(): Promise<void> {
  const items = await supersededRuns.find(database);
  if (items.length > 0) await supersededRuns.settle(database, items);
}
/** Moves the clock to the schedule's next fire. */
async function reach(name: string, andThen = "0"): Promise<void> {
  const text = `update tidebase.clock set shift = shift + (
      select next_fire_at + $2::interval - tidebase.now() from tidebase.schedules where name = $1)`;
  await db.pool.query(text, [name, andThen]);
}
/** Moves the clock to the schedule's next fire and lets it fire. */
async function fireNow(name: string): Promise<void> {
  await reach(name);
  await sweep();
}
const forget = (name: string) => db.call("schedules.delete", { name });

test("a schedule says what was put, with what was left out filled in, and when it fires next", async () => {
  const name = await put({
    input: { n: 1 },
    inputMeta: [1],
    metadata: { team: "a" },
    tags: ["b", "a", "b"],
  });
  const schedule = await get(name);
  expect(schedule).toMatchObject({
    ...{ name, workflow: "report", cron: "* * * * *", timezone: "UTC", queue: "default" },
    ...{ input: { n: 1 }, inputMeta: [1], metadata: { team: "a" }, tags: ["a", "b"] },
    ...{ priority: 0, maxAttempts: 3, deadlineMs: null, catchUp: "latest", overlap: "skip" },
    ...{ revision: 1, paused: false, pausedBy: null, failures: 0, lastError: null, lastFire: null },
  });
  const { nextFires, nextFireAt } = schedule;
  expect(nextFires).toHaveLength(5);
  expect(nextFires[0]).toBe(nextFireAt);
  for (const [n, at] of nextFires.entries())
    expect(Date.parse(at)).toBe(Date.parse(nextFireAt) + n * 60_000);
  await forget(name);
});

test("the same put changes nothing at all, whatever the order of its members; another is the next revision", async () => {
  const name = await put({ input: { a: 1, b: 2 } });
  const text = "select xmin::text, revision from tidebase.schedules where name = $1";
  const before = (await db.pool.query(text, [name])).rows;
  const said = { name, workflow: "report", cron: "* * * * *" };
  const again = await db.call("schedules.put", { ...said, input: { b: 2, a: 1 } });
  expect(again["outcome"]).toBe("unchanged");
  expect((await db.pool.query(text, [name])).rows).toEqual(before);
  const { nextFireAt } = await get(name);
  const other = await db.call("schedules.put", { ...said, priority: 5, deadlineMs: 1000 });
  expect(other).toMatchObject({
    outcome: "updated",
    schedule: { revision: 2, priority: 5, deadlineMs: 1000, nextFireAt },
  });
  expect(await get(name)).toMatchObject({ input: null });
  await forget(name);
});

test("another expression or zone fires anew from the database's now, never at an instant that has fired", async () => {
  await db.advance("10 years");
  const name = await put();
  await fireNow(name);
  const said = { name, workflow: "report", cron: "30 12 * * *" };
  const { schedule } = await db.call("schedules.put", said);
  const { nextFireAt } = schedule as Schedule;
  expect(nextFireAt).toMatch(/T12:30:00.000Z$/);
  const { now } = (await db.pool.query("select tidebase.now()")).rows[0];
  expect(Date.parse(nextFireAt) - now).toBeGreaterThan(0);
  expect(Date.parse(nextFireAt) - now).toBeLessThanOrEqual(86_400_000);
  const [fired] = await fires(name);
  await db.advance("-1 day");
  await db.call("schedules.put", { ...said, cron: "* * * * *" });
  expect(Date.parse((await get(name)).nextFireAt)).toBeGreaterThan(Date.parse(fired?.fireAt ?? ""));
  await db.advance("-10 years");
  await db.advance("1 day");
  await forget(name);
});

test("what contradicts itself is refused with what to write", async () => {
  const said = { name: "bad", workflow: "w", cron: "61 * * * *" };
  await expect(db.call("schedules.put", said)).rejects.toMatchObject({
    code: "cron_invalid",
    data: { problem: expect.stringMatching(/minute "61" is not valid/) },
  });
  const zone = { ...said, cron: "* * * * *", timezone: "Mars/Olympus" };
  await expect(db.call("schedules.put", zone)).rejects.toMatchObject({ code: "cron_invalid" });
  const all = { ...said, cron: "* * * * *", catchUp: "all" };
  await expect(db.call("schedules.put", all)).rejects.toMatchObject({
    code: "schedule_contradiction",
  });
  await expect(db.call("schedules.get", { name: "bad" })).rejects.toMatchObject({
    code: "schedule_not_found",
  });
});

test("a fire is a queued run that carries the schedule's input and its instant", async () => {
  const name = await put({
    ...{ input: { n: 1 }, inputMeta: [2], metadata: { team: "a", fireAt: "no" }, tags: ["t"] },
    ...{ queue: "nightly", priority: 7, maxAttempts: 9, deadlineMs: 60_000 },
  });
  const { nextFireAt } = await get(name);
  await sweep();
  expect(await fires(name)).toEqual([]);
  await fireNow(name);
  const [fire, ...others] = await fires(name);
  expect(others).toEqual([]);
  expect(fire).toMatchObject({ fireAt: nextFireAt, until: nextFireAt, kind: "cron", count: 1 });
  const { run: fired, input } = await run(fire?.runId);
  expect(fired).toMatchObject({
    ...{ workflow: "report", status: "queued", queue: "nightly", priority: 7, maxAttempts: 9 },
    ...{ tags: ["t"], metadata: { team: "a", schedule: name, fireAt: nextFireAt } },
  });
  expect(fired["deadlineAt"]).not.toBeNull();
  expect(input).toEqual({ n: 1 });
  const { schedules } = await db.call("schedules.list", {});
  expect(schedules).toMatchObject([{ name, lastFire: { outcome: "fired", runId: fire?.runId } }]);
  await forget(name);
});

/** The database is away over ten fires of a schedule that fires every minute. */
test.each([
  ["none", "skip", ["missed"], [10]],
  ["none", "allow", ["missed"], [10]],
  ["none", "cancel", ["missed"], [10]],
  ["latest", "skip", ["missed", "caught_up"], [9, 1]],
  ["latest", "allow", ["missed", "caught_up"], [9, 1]],
  ["latest", "cancel", ["missed", "caught_up"], [9, 1]],
  ["all", "allow", Array(10).fill("caught_up"), Array(10).fill(1)],
])(
  "after ten missed fires, catchUp %s with overlap %s: each instant has one row",
  async (catchUp, overlap, expected, counts) => {
    const name = await put({ catchUp, overlap });
    const first = (await get(name)).nextFireAt;
    await reach(name, "10 minutes 30 seconds"); // the eleventh is late, but not missed
    await sweep();
    const rows = (await fires(name)).reverse();
    expect(rows.map(({ outcome, reason }) => reason ?? outcome)).toEqual([
      ...expected,
      catchUp === "latest" && overlap === "skip" ? "overlap" : "fired",
    ]);
    expect(rows.map(({ count }) => count)).toEqual([...counts, 1]);
    expect(rows[0]?.fireAt).toBe(first);
    let at = Date.parse(first);
    for (const { fireAt, until, count } of rows) {
      expect([fireAt, until].map(Date.parse)).toEqual([at, at + (count - 1) * 60_000]);
      at += count * 60_000;
    }
    expect(Date.parse((await get(name)).nextFireAt)).toBe(at);
    await sweep();
    expect(await fires(name)).toHaveLength(rows.length);
    await supersede();
    const statuses = await Promise.all(
      rows.filter(({ runId }) => runId !== null).map(({ runId }) => statusOf(runId)),
    );
    const active = statuses.filter((status) => status === "queued");
    expect(active).toHaveLength(overlap === "allow" ? statuses.length : 1);
    if (overlap === "cancel") expect(statuses.at(-1)).toBe("queued");
    await forget(name);
  },
);

test("of more than a hundred missed fires `all` makes up for the last hundred, and delays nobody else", async () => {
  const name = await put({ catchUp: "all", overlap: "allow", cron: "0 * * * * *" });
  const other = await put();
  await reach(name, "150 minutes 30 seconds");
  await sweep();
  const rows = await fires(name);
  expect(rows.filter(({ runId }) => runId !== null)).toHaveLength(101);
  expect(rows.at(-1)).toMatchObject({ reason: "missed", count: 50 });
  const text = `select count(*)::int as n from tidebase.schedule_fires f join tidebase.schedules s using (schedule_id)
    where s.name = $1 and f.at < (select max(at) from tidebase.schedule_fires f join tidebase.schedules s using (schedule_id) where s.name = $2)`;
  expect((await db.pool.query(text, [other, name])).rows[0].n).toBe(3);
  await Promise.all([name, other].map(forget));
});

test("`skip` holds a fire back while a run is active, and a failed run is not", async () => {
  const name = await put();
  await fireNow(name);
  await fireNow(name);
  expect(await outcomes(name)).toEqual(["overlap", "fired"]);
  const [held, fired] = await fires(name);
  expect(held).toMatchObject({ outcome: "skipped", runId: null });
  const runId = fired?.runId?.slice(4);
  const text =
    "update tidebase.runs set status = 'failed', failure_class = 'worker_lost' where run_id = $1";
  await db.pool.query(text, [runId]);
  await fireNow(name);
  expect(await outcomes(name)).toEqual(["fired", "overlap", "fired"]);
  await forget(name);
});

test("`allow` lets runs meet; `cancel` cancels those before, but not what was triggered since", async () => {
  const allow = await put({ overlap: "allow" });
  const cancel = await put({ overlap: "cancel" });
  const early = String((await db.call("schedules.trigger", { name: cancel }))["runId"]);
  await fireNow(allow);
  await fireNow(cancel);
  await fireNow(allow);
  await fireNow(cancel);
  const late = String((await db.call("schedules.trigger", { name: cancel }))["runId"]);
  await supersede();
  const statuses = async (name: string) =>
    Promise.all(
      (await fires(name)).filter(({ kind }) => kind === "cron").map(({ runId }) => statusOf(runId)),
    );
  expect(new Set(await statuses(allow))).toEqual(new Set(["queued"]));
  expect(await outcomes(allow)).not.toContain("overlap");
  const [newest, ...before] = await statuses(cancel);
  expect(newest).toBe("queued");
  expect(before.length).toBeGreaterThan(0);
  expect(new Set(before)).toEqual(new Set(["cancelled"]));
  expect([await statusOf(early), await statusOf(late)]).toEqual(["cancelled", "queued"]);
  expect((await run(early)).run).toMatchObject({
    cancelReason: "superseded",
    cancelledBy: "tidebase",
  });
  await Promise.all([allow, cancel].map(forget));
});

test("a paused schedule fires nothing, keeps who paused it, and goes on from now", async () => {
  const name = await put({ catchUp: "all", overlap: "allow" });
  const pause = (paused: boolean, who: string) =>
    db.call("schedules.update", { name, paused }, { ...local, name: who });
  await pause(true, "ada");
  const paused = await pause(true, "bob");
  expect(paused["schedule"]).toMatchObject({
    ...{ paused: true, pausedBy: "ada", nextFireAt: null, nextFires: [], revision: 2 },
  });
  await db.advance("10 minutes");
  await sweep();
  expect(await fires(name)).toEqual([]);
  const resumed = (await pause(false, "bob"))["schedule"] as Schedule;
  expect(resumed).toMatchObject({ paused: false, pausedBy: null, pausedAt: null, revision: 3 });
  expect(await pause(false, "bob")).toEqual({ schedule: resumed });
  await sweep();
  expect(await fires(name)).toEqual([]);
  await fireNow(name);
  expect(await outcomes(name)).toEqual(["fired"]);
  const said = { name, workflow: "report", cron: "* * * * *", catchUp: "all", overlap: "allow" };
  expect(await db.call("schedules.put", { ...said, paused: true })).toMatchObject({
    outcome: "updated",
    schedule: { paused: true },
  });
  expect(await db.call("schedules.put", said)).toMatchObject({
    outcome: "unchanged",
    schedule: { paused: true },
  });
  expect(await db.call("schedules.put", { ...said, paused: false })).toMatchObject({
    schedule: { paused: false },
  });
  await forget(name);
});

test("a trigger's key finds its own schedule's run alone, and nobody else finds that by the key", async () => {
  const [name, other] = [await put(), await put()];
  const conflict = { code: "idempotency_conflict", data: { differs: ["schedule"] } };
  const trigger = (of: string, idempotencyKey: string) =>
    db.call("schedules.trigger", { name: of, idempotencyKey });
  const enqueue = async (idempotencyKey: string) => {
    const items = [{ workflow: "report", idempotencyKey }];
    return ((await db.call("runs.enqueue", { items }))["results"] as object[])[0];
  };
  expect(await enqueue("user's")).toMatchObject({ outcome: "created" });
  await expect(trigger(name, "user's")).rejects.toMatchObject(conflict);
  expect(await fires(name)).toEqual([]);
  const { runId } = await trigger(name, "schedule's");
  expect(await enqueue("schedule's")).toMatchObject({
    ...{ runId, outcome: "idempotency_conflict" },
    differs: expect.arrayContaining(["schedule"]),
  });
  await expect(trigger(other, "schedule's")).rejects.toMatchObject(conflict);
  const sql = "select outcome from tidebase.enqueue('report', idempotency_key => $1)";
  const outcomeOf = async (key: string) => (await db.pool.query(sql, [key])).rows[0].outcome;
  expect(await outcomeOf("schedule's")).toBe("idempotency_conflict");
  expect(await outcomeOf("transaction's")).toBe("created");
  await expect(trigger(name, "transaction's")).rejects.toMatchObject(conflict);
  expect(await trigger(name, "schedule's")).toMatchObject({ runId, created: false });
  await forget(name);
  await forget(other);
});

test("a trigger makes one run now, paused or not and whatever runs; its key makes it once", async () => {
  const name = await put({ metadata: { fireAt: "no", team: "a" }, paused: true });
  const one = await db.call("schedules.trigger", { name, idempotencyKey: "k" });
  const two = await db.call("schedules.trigger", { name, idempotencyKey: "k" });
  expect(one).toMatchObject({ created: true, status: "queued" });
  expect(two).toEqual({ ...one, created: false });
  const other = await db.call("schedules.trigger", { name });
  expect(other).toMatchObject({ created: true });
  const rows = await fires(name);
  expect(rows.map(({ kind, outcome, runId }) => [kind, outcome, runId])).toEqual([
    ["manual", "manual", other["runId"]],
    ["manual", "manual", one["runId"]],
  ]);
  const { metadata } = (await run(rows[0]?.runId)).run as { metadata: object };
  expect(metadata).toEqual({ team: "a", schedule: name, fireAt: rows[0]?.fireAt });
  await db.call("schedules.update", { name, paused: false });
  await fireNow(name);
  expect(await outcomes(name)).toEqual(["overlap", "manual", "manual"]);
  await forget(name);
});

test("a deleted schedule leaves its runs, and a new one of its name begins with nothing", async () => {
  const name = await put();
  await fireNow(name);
  const [fire] = await fires(name);
  const { scheduleId } = await db.call("schedules.delete", { name });
  expect(await statusOf(fire?.runId)).toBe("queued");
  const text = "select from tidebase.schedule_fires where schedule_id = $1";
  expect((await db.pool.query(text, [String(scheduleId).slice(9)])).rowCount).toBe(0);
  await db.call("schedules.put", { name, workflow: "report", cron: "* * * * *" });
  expect(await get(name)).toMatchObject({ lastFire: null, revision: 1 });
  await forget(name);
});

test("schedules and fires come in pages, and a cursor belongs to its list", async () => {
  const names = [
    await put({ catchUp: "all", overlap: "allow" }),
    await put({ paused: true }),
    await put({ paused: true }),
  ];
  const [first = ""] = names;
  await db.call("schedules.trigger", { name: first });
  await reach(first, "3 minutes 30 seconds");
  await sweep();
  const all = async (operation: string, input: object, list: string) => {
    const found: Record<string, unknown>[] = [];
    for (let cursor: unknown; cursor !== null; ) {
      const page = await db.call(operation, { ...input, limit: 1, ...(cursor ? { cursor } : {}) });
      found.push(...(page[list] as never[]));
      cursor = page["nextCursor"];
    }
    return found;
  };
  expect((await all("schedules.list", {}, "schedules")).map(({ name }) => name)).toEqual(
    [...names].reverse(),
  );
  expect(await all("schedules.fires", { name: first }, "fires")).toEqual(await fires(first));
  const { nextCursor: cursor } = await db.call("schedules.fires", { name: first, limit: 1 });
  const elsewhere = { name: names[1], cursor };
  await expect(db.call("schedules.fires", elsewhere)).rejects.toMatchObject({
    code: "cursor_invalid",
  });
  await Promise.all(names.map(forget));
});

test("a schedule that cannot fire rests after five failures, seen in the list, and stops nobody else", async () => {
  const poisoned = await put();
  const names = await Promise.all(Array.from({ length: 10 }, () => put({ overlap: "allow" })));
  const text = "update tidebase.schedules set cron = 'rubbish' where name = $1";
  await db.pool.query(text, [poisoned]);
  await reach(poisoned);
  await db.advance("1 minute");
  for (let round = 0; round < 7; round++) await sweep();
  for (const name of names)
    expect((await fires(name)).some(({ runId }) => runId !== null)).toBe(true);
  expect(await fires(poisoned)).toEqual([]);
  const { schedules } = await db.call("schedules.list", {});
  const listed = (schedules as Schedule[]).find(({ name }) => name === poisoned);
  expect(listed).toMatchObject({ failures: 5, nextFireAt: null, nextFires: [], paused: false });
  expect(listed?.["lastError"]).toMatch(/rubbish/);
  const resume = () => db.call("schedules.update", { name: poisoned, paused: false });
  await expect(resume()).rejects.toMatchObject({ code: "cron_invalid" });
  await db.pool.query("update tidebase.schedules set cron = '* * * * *' where name = $1", [
    poisoned,
  ]);
  expect((await resume())["schedule"]).toMatchObject({ failures: 0, lastError: null });
  await fireNow(poisoned);
  expect(await outcomes(poisoned)).toEqual(["fired"]);
  await Promise.all([poisoned, ...names].map(forget));
});
