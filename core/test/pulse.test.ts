import { randomUUID } from "node:crypto";
import pg from "pg";
import { afterAll, expect, onTestFinished, test } from "vitest";
import { z } from "zod";
import { sweepsOf } from "../src/core.ts";
import { openDatabase } from "../src/database.ts";
import { dueDeliveries } from "../src/deliveries/sql.ts";
import { openHub } from "../src/events/hub.ts";
import type { Watching } from "../src/events/watch.ts";
import { type Core, type CoreOptions, openCore } from "../src/index.ts";
import { operation } from "../src/operation.ts";
import { startPulse } from "../src/pulse.ts";
import { pulseOf } from "../src/pulse-sql.ts";
import { type AnySweep, openSweeps, type Sweep } from "../src/reconciler.ts";
import { fragment } from "../src/statement.ts";
import { openAddress } from "../src/store/address.ts";
import { countStatements } from "./support/counting-proxy.ts";
import { local, newGrant, operationNamed, useDatabase } from "./support/database.ts";

const db = useDatabase();
const database = openDatabase({ databaseUrl: db.url });
afterAll(() => database.close());

const newQueue = () => `q-${randomUUID()}`;
/** So long that nothing below is owed to it. */
const MINUTE = 60_000;

/** A run in the queue, made by SQL: nobody tells anybody of it. */
async function enqueue(queue: string, more = ""): Promise<string> {
  const text = `select run_id from tidebase.enqueue('w', queue => $1 ${more})`;
  return (await db.pool.query(text, [queue])).rows[0].run_id;
}

/** The queues of these that a pulse finds work in. */
async function ready(...queues: string[]): Promise<readonly string[]> {
  return (await database.one(pulseOf([]), { machine: "", queues, runIds: [] })).queues;
}

/** Another process. */
function open(options: Partial<CoreOptions> = {}): Core {
  const core = openCore({ databaseUrl: db.url, ...options });
  let closing: Promise<void> | undefined;
  const close = () => (closing ??= core.close());
  onTestFinished(close);
  return { ...core, close };
}

/** The hub of another process, without a pulse. */
function hub() {
  const address = openAddress({ databaseUrl: db.url });
  const opened = openHub(database, { address, schema: "tidebase", watching: () => {} });
  onTestFinished(() => opened.close());
  return opened;
}

/** Executes an operation that does what the test says with what operations are given. */
async function during(
  core: Core,
  work: (watch: Watching, signal: AbortSignal | undefined) => Promise<unknown>,
  caller?: AbortSignal,
): Promise<void> {
  const waiting = operation({
    name: "test.wait",
    summary: "Waits.",
    route: "GET /v1/test",
    effect: "read",
    scope: "read",
    fenced: false,
    because: "It reads.",
    input: z.object({}),
    output: z.object({}),
    errors: [],
    run: async ({ watch, signal }) => {
      await work(watch, signal);
      return {};
    },
  });
  await core.execute(waiting, {}, local, caller);
}

/** What is said on the store's channel, as any process hears it, without the sender. */
async function listen(): Promise<string[]> {
  const messages: string[] = [];
  const client = new pg.Client(db.url);
  await client.connect();
  client.on("notification", ({ payload = "" }) =>
    messages.push(payload.slice(payload.indexOf(",") + 1)),
  );
  await client.query('listen "tidebase.events"');
  onTestFinished(() => client.end());
  return messages;
}

/** Sweeps on a pulse of one millisecond. */
function beat(sweeps: readonly AnySweep[], touched: (runIds: string[]) => void = () => {}) {
  const own = openDatabase({ databaseUrl: db.url }); // a process has one pulse
  const opened = openSweeps(own, sweeps, touched);
  const watchers = { watched: () => ({ queues: [], runIds: [] }), seen() {}, wakeAll() {} };
  const pulse = startPulse(own, { everyMs: 1, probes: opened.probes, watchers });
  onTestFinished(async () => {
    await Promise.all([pulse.stop(), opened.stop()]);
    await own.close();
  });
  return opened;
}

const sweep = { name: "due_waits", due: fragment`true`, batch: 1, settle: async () => [] } as const;

test("every probe is planned to reach its rows by an index, on a store that was never analyzed too", async () => {
  const { text, parameters } = pulseOf([...sweepsOf({}), dueDeliveries]);
  const client = await db.pool.connect();
  onTestFinished(() => client.release(true));
  await client.query("set plan_cache_mode = force_generic_plan; set enable_seqscan = off");
  await client.query(`prepare pulse as ${text}`);
  const nulls = parameters.map(() => "null").join(", ");
  for (const _ of ["as it is", "analyzed"]) {
    const { rows } = await client.query(`explain (costs off) execute pulse (${nulls})`);
    const lines: string[] = rows.map((row) => row["QUERY PLAN"].trim());
    const scans = lines.flatMap((line, n) => (/Scan.* on (?!unnest)/.test(line) ? [n] : []));
    // whatever is queued is not a bound
    const isWhole = (below = "") =>
      !/Cond:/.test(below) || /Cond: \(.status.* = 'queued'/.test(below);
    const whole = scans.filter((n) => isWhole(lines[n + 1]));
    const few = / on (?:webhooks|queues|cascades|superseded|schedules) /; // each is asked for its own, or is there for a moment
    expect(whole.map((n) => lines[n]).filter((line = "") => !few.test(`${line} `))).toEqual([]);
    await client.query("analyze");
  }
});

test("an idle process sends at most one statement a second, also while workers wait for work", async () => {
  const proxy = await countStatements(db.url);
  const core = open({ databaseUrl: proxy.url });
  const runId = await db.pending();
  let listening = 0;
  const workers = Array.from({ length: 20 }, () =>
    during(core, async (watch, signal) => {
      const run = watch.runs([runId]);
      const change = watch.queue(newQueue());
      for (; signal?.aborted === false; listening++)
        await Promise.race([run.next(MINUTE), change.next(MINUTE)]);
    }),
  );
  const reached = async (count: number) => {
    await expect.poll(proxy.count, { interval: 5 }).toBeGreaterThanOrEqual(count);
    return performance.now();
  };
  await expect.poll(() => listening).toBeGreaterThanOrEqual(20);
  await reached(3); // two connections are made, one listens; and the first pulse
  const before = proxy.count();
  const from = await reached(before + 1);
  const to = await reached(before + 3);
  await Promise.all([core.close(), ...workers]);
  proxy.close();
  console.log(`an idle process: two statements in ${Math.round(to - from)} ms`);
  expect(to - from).toBeGreaterThan(1950);
});

test("a sweep that hangs and one that throws delay no other; who is under way is not started again", async () => {
  const calls = { hung: 0, thrown: 0, well: 0 };
  let release = () => {};
  const held = new Promise<[]>((resolve) => {
    release = () => resolve([]);
  });
  const opened = beat([
    {
      ...sweep,
      find: () => {
        calls.hung += 1;
        return held;
      },
    },
    {
      ...sweep,
      name: "expired_gates",
      find: async () => {
        throw new Error(`thrown ${++calls.thrown}`);
      },
    },
    { ...sweep, name: "deadlines", find: async () => [void ++calls.well].slice(1) as [] },
    { ...sweep, name: "pushes", due: fragment`false`, find: async () => expect.fail("not due") },
  ]);
  await expect.poll(() => Math.min(calls.well, calls.thrown)).toBeGreaterThan(2);
  expect(calls.hung).toBe(1);
  const status = Object.fromEntries(opened.status().map((one) => [one.name, one]));
  expect(status["due_waits"]).toMatchObject({ lastRunAt: null, lastError: null });
  expect(status["expired_gates"]?.lastError).toMatch(/^thrown /);
  for (const name of ["deadlines", "pushes"])
    expect(status[name]).toMatchObject({ lastRunAt: expect.any(String), lastError: null });
  release();
});

test("where the pulse itself fails, every sweep looks for itself and says why", async () => {
  const found: string[] = [];
  const find = (name: string) => async () => [void found.push(name)].slice(1) as [];
  const opened = beat([
    { ...sweep, name: "deadlines", due: fragment`exists (select from nowhere)`, find: find("one") },
    { ...sweep, name: "pushes", due: fragment`false`, find: find("other") },
  ]);
  await expect.poll(() => new Set(found).size).toBe(2);
  await expect
    .poll(() => opened.status().map(({ lastError }) => lastError))
    .toEqual(Array(2).fill(expect.stringContaining("nowhere")));
});

test("a sweep of rows that are no runs sets them aside itself, and tells which runs changed", async () => {
  const aside: [string, string][] = [];
  const touched = new Set<string>();
  let left = ["good", "bad"];
  const fires: Sweep<{ name: string }> = {
    ...sweep,
    name: "schedules",
    batch: 2,
    find: async () => left.splice(0).map((name) => ({ name })),
    settle: async (_, items) => {
      if (items.some(({ name }) => name === "bad")) throw new Error("poisoned");
      return [{ outcome: "fired", runIds: ["run_x"] }];
    },
    setAside: async (_, { name }, message) => void aside.push([name, message]),
  };
  const opened = beat([fires], (runIds) => {
    for (const runId of runIds) touched.add(runId);
  });
  await expect.poll(() => aside).toEqual([["bad", "poisoned"]]);
  await expect.poll(() => opened.status()).toMatchObject([{ settled: 1, lastError: null }]);
  expect([...touched]).toEqual(["run_x"]);
  left = [];
});

test("work that another process tells of wakes who waits for its queue, and nobody else", async () => {
  const [queue, other] = [newQueue(), newQueue()];
  const runId = await enqueue(queue);
  await during(open({ sweepEveryMs: MINUTE }), async (watch) => {
    const change = watch.queue(queue);
    const nothing = watch.queue(other);
    await Promise.all([change.next(MINUTE), nothing.next(MINUTE)]); // the connection listens by now
    const { touched } = hub();
    touched([runId]);
    await change.next(MINUTE);
    const from = performance.now();
    touched([runId]);
    await change.next(MINUTE);
    console.log(`told by another process: ${Math.round(performance.now() - from)} ms`);
    let woken = false;
    void nothing.next(MINUTE).then(() => {
      woken = true;
    });
    await change.next(20);
    expect(woken).toBe(false);
  });
});

test("a worker that waits in one process is given what another enqueues", async () => {
  const queue = newQueue();
  const [core, other] = [open({ sweepEveryMs: MINUTE }), open({ sweepEveryMs: MINUTE })];
  const grantId = newGrant();
  const claim = { queue, grantId, limit: 2, waitMs: 30_000 };
  const claimed = core.execute(operationNamed("queues.claim"), claim, local);
  await during(core, (watch) => watch.queue(queue).next(MINUTE)); // the connection listens by now
  const items = [{ workflow: "w", queue }];
  const from = performance.now();
  const { results } = await other.execute(operationNamed("runs.enqueue"), { items }, local);
  expect(await claimed).toMatchObject({ runs: [{ runId: Object(results)[0].runId }] });
  console.log(`enqueued and claimed: ${Math.round(performance.now() - from)} ms`);
});

test("work that nobody tells of is found by the pulse, in a process that does not sweep too", async () => {
  const queue = newQueue();
  const core = open({ sweeps: false, sweepEveryMs: 20 });
  await during(core, async (watch) => {
    const change = watch.queue(queue);
    await change.next(MINUTE); // the connection listens by now
    const found = change.next(MINUTE);
    await enqueue(queue);
    await found;
    expect(await ready(queue)).toEqual([queue]);
  });
});

test("a process tells its own workers at once, and what happens between look and wait is not missed", async () => {
  const queue = newQueue();
  const core = open({ sweeps: false, sweepEveryMs: MINUTE });
  const signal = operationNamed("signals.send");
  await during(core, async (watch) => {
    const runId = await enqueue(queue);
    const change = watch.queue(queue);
    const events = watch.runs([runId]);
    await change.next(MINUTE); // the connection listens by now
    await core.execute(signal, { runId, name: "s" }, local);
    await change.next(MINUTE);
    const from = performance.now();
    await core.execute(signal, { runId, name: "s" }, local);
    await change.next(MINUTE);
    console.log(`told by this process: ${Math.round(performance.now() - from)} ms`);
    await core.execute(signal, { runId, name: "s" }, local);
    await expect.poll(async () => (await ready(queue)).length).toBe(1); // looks, while hints come in
    await Promise.all([change.next(MINUTE), events.next(MINUTE)]);
    await change.next(0);
  });
});

test("a wait ends when the caller leaves, and at once when the store is closed", async () => {
  const core = open({ sweeps: false, sweepEveryMs: MINUTE });
  const leaving = new AbortController();
  const ended: string[] = [];
  const wait = (name: string, caller?: AbortSignal) =>
    during(
      core,
      async (watch, signal) => {
        const change = watch.queue(newQueue());
        while (signal?.aborted === false) await change.next(MINUTE);
        await change.next(MINUTE); // nobody waits any more: resolves at once
        ended.push(name);
      },
      caller,
    );
  const left = wait("left", leaving.signal);
  const closed = [wait("closed"), wait("closed", new AbortController().signal)];
  leaving.abort();
  await left;
  expect(ended).toEqual(["left"]);
  await Promise.all([core.close(), ...closed]);
  await wait("late", leaving.signal);
  expect(ended).toEqual(["left", "closed", "closed", "late"]);
});

test("a message names runs, their parents and the queues that have work; one too long says everything", async () => {
  const messages = await listen();
  const { touched } = hub();
  const [queue, later] = [newQueue(), newQueue()];
  const [parent, child] = [await enqueue(queue), await enqueue(later, ", delay => '1 hour'")];
  const delayed = await enqueue(later, ", delay => '1 hour'");
  await db.pool.query("update tidebase.runs set parent_run_id = $1 where run_id = $2", [
    parent.slice(4),
    child.slice(4),
  ]);
  touched([child, delayed]);
  await expect.poll(() => messages.length).toBe(1);
  expect(messages[0]?.split(",").sort()).toEqual([`queue:${queue}`, child, delayed, parent].sort());
  touched(Array.from({ length: 250 }, () => `run_${randomUUID()}`));
  await expect.poll(() => messages.length).toBe(2);
  touched(Array.from({ length: 1500 }, () => `run_${randomUUID()}`));
  await expect.poll(() => messages.length).toBe(3);
  expect(messages.slice(1)).toEqual(["*", "*"]);
});

test("who hears of everything wakes everybody", async () => {
  const woken = new Set<string>();
  const listening = hub();
  for (const name of ["a", "b"]) listening.watchQueue(name, () => woken.add(name));
  await expect.poll(() => woken.size).toBe(2); // the connection listens by now
  woken.clear();
  hub().touched(Array.from({ length: 250 }, () => `run_${randomUUID()}`));
  await expect.poll(() => [...woken]).toEqual(["a", "b"]);
});

test("a queue has work when a claim would find some: not paused, not full, not later, not too late", async () => {
  const [open, paused, full, rated, later, late] = Array.from({ length: 6 }, newQueue) as string[];
  const all = [open, paused, full, rated, later, late].map(String);
  expect(await ready(...all)).toEqual([]);
  for (const queue of [open, paused, full, full, rated, rated]) await enqueue(String(queue));
  await enqueue(String(later), ", delay => '1 minute', priority => 100");
  await enqueue(String(late), ", ttl => '0 seconds'");
  await db.pool.query(
    `insert into tidebase.queues (queue, paused_at, concurrency, rate_per_minute)
     values ($1, tidebase.now(), null, null), ($2, null, 1, null), ($3, null, null, 1)`,
    [paused, full, rated],
  );
  expect([...(await ready(...all))].sort()).toEqual([open, full, rated].sort());
  const claim = "select run_id, epoch from tidebase.claim($1, $2, 1, 60000, null, false)";
  const grantId = newGrant();
  const [claimed] = (await db.pool.query(claim, [full, grantId.slice(6)])).rows;
  await db.pool.query(claim, [rated, randomUUID()]);
  expect(await ready(...all)).toEqual([open]);
  const messages = await listen();
  const runId = `run_${claimed.run_id}`;
  const { touched } = hub();
  touched([runId]);
  await expect.poll(() => messages).toEqual([runId]);
  await db.complete({ runId, grantId, epoch: Number(claimed.epoch) });
  touched([runId]); // its end made room
  await expect
    .poll(() => messages.some((one) => one.split(",").includes(`queue:${full}`)))
    .toBe(true);
});
