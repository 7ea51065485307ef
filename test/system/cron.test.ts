import { setTimeout as sleep } from "node:timers/promises";
import { migrate, openCore } from "@tidebase/core";
import pg from "pg";
import { afterAll, expect, onTestFinished, test } from "vitest";
import { ensureCluster, stopCluster } from "../../core/src/embedded/cluster.ts";
import { local, newGrant, operationNamed, useDatabase } from "../../core/test/support/database.ts";
import { useHomes } from "../../core/test/support/home.ts";
import { clockOff, secondsAhead } from "../support/faketime.ts";
import { type FireRow, faultsOf, type History, historiesOf } from "../support/fires.ts";
import { end } from "../support/process.ts";
import { randomOf, seedOf } from "../support/random.ts";
import { type ServerProcess, startServerProcess } from "../support/servers.ts";

const seed = seedOf();
const db = useDatabase();
const home = useHomes();
const OFF_S = 90;
const KILLS = 22;
const TERMINATIONS = 8;
/** At five seconds each: 36 fires, of which the first 24 are more than a minute late. */
const DOWN_MS = 180_000;

type Put = (name: string, content: object) => Promise<Date>;

const opened = new Set<Replicas>();
afterAll(() => Promise.all([...opened].map((replicas) => replicas.stop())));

/** Two replicas of which the second has its clock ahead; each can be killed and comes back. */
class Replicas {
  readonly #url: string;
  readonly #running: Promise<ServerProcess>[];

  constructor(url: string) {
    this.#url = url;
    this.#running = [0, 1].map((n) => this.#start(n));
    opened.add(this);
  }

  #start(n: number): Promise<ServerProcess> {
    const starting = startServerProcess(this.#url, n === 1 ? clockOff(OFF_S) : {});
    starting.catch(() => {}); // whoever needs it next is told
    return starting;
  }

  all(): Promise<ServerProcess[]> {
    return Promise.all(this.#running);
  }

  async kill(n: number): Promise<void> {
    await end(((await this.#running[n]) as ServerProcess).child, "SIGKILL");
    this.#running[n] = this.#start(n);
  }

  async stop(): Promise<void> {
    const running = await Promise.allSettled(this.#running);
    await Promise.all(
      running.map((one) => one.status === "fulfilled" && end(one.value.child, "SIGKILL")),
    );
  }
}

/** Makes the schedule; its first fire. */
const put: Put = async (name, content) => {
  const { schedule } = await db.call("schedules.put", { name, workflow: "w", ...content });
  return new Date((schedule as { nextFireAt: string }).nextFireAt);
};

async function putAll(putOne: Put, contents: Record<string, object>): Promise<Map<string, Date>> {
  const firsts = new Map<string, Date>();
  for (const [name, content] of Object.entries(contents))
    firsts.set(name, await putOne(name, content));
  return firsts;
}

const KINDS = {
  "every second, allow": { cron: "* * * * * *", overlap: "allow" },
  "every second, skip": { cron: "* * * * * *", overlap: "skip" },
  "every second, cancel": { cron: "* * * * * *", overlap: "cancel" },
  "every 2 s, allow": { cron: "*/2 * * * * *", overlap: "allow", catchUp: "all" },
  "every 2 s, skip": { cron: "1-59/2 * * * * *", overlap: "skip", catchUp: "none", queue: "quick" },
  "every 2 s, cancel": { cron: "*/2 * * * * *", overlap: "cancel" },
  "every minute, allow": { cron: "* * * * *", overlap: "allow", timezone: "Asia/Kathmandu" },
  "every minute, cancel": { cron: "* * * * *", overlap: "cancel", timezone: "America/St_Johns" },
};

/** Where a fire can be stopped: it locks or writes each of these in its one statement. */
const STAGES = ["schedules", "schedule_fires", "runs", "payloads", "events"];
const FIRING = `wait_event_type = 'Lock' and query like '%/* schedules.fire */%'`;

/** Holds fires at a place in the middle, does something to those who fire, and lets go. */
async function amid(stage: string, act: () => Promise<unknown>): Promise<void> {
  const client = await db.pool.connect();
  try {
    await client.query(`begin; lock table tidebase.${stage} in share mode`);
    const held = async () =>
      (
        await db.pool.query(
          `select from pg_stat_activity where datname = current_database() and ${FIRING}`,
        )
      ).rowCount;
    await expect.poll(held, { timeout: 20_000, interval: 20 }).toBeGreaterThan(0);
    await act();
  } finally {
    await client.query("commit");
    client.release();
  }
}

/** Ends the backends of which this holds; how many they were. */
async function terminate(where: string): Promise<number> {
  const { rowCount } = await db.pool.query(
    `select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and pid <> pg_backend_pid() and ${where}`,
  );
  return rowCount ?? 0;
}

/** Ends the queue's runs as workers do, each so many milliseconds after its claim; how many. */
async function work(queue: string, signal: AbortSignal, takesMs: () => number): Promise<number> {
  let ended = 0;
  while (!signal.aborted) {
    const grantId = newGrant();
    const claimed = await db.call("queues.claim", { queue, grantId, limit: 100, waitMs: 200 });
    await sleep(takesMs());
    for (const { runId, epoch } of claimed["runs"] as { runId: string; epoch: number }[]) {
      const done = db.complete({ runId, epoch, grantId });
      await done.then(
        () => ended++,
        () => {}, // it was superseded meanwhile
      );
    }
  }
  return ended;
}

/** Nothing is overdue, so nothing is under way. */
async function caughtUp(pool: pg.Pool): Promise<History[]> {
  const late =
    "select from tidebase.schedules where next_fire_at <= tidebase.now() - interval '3 seconds'";
  await expect.poll(async () => (await pool.query(late)).rowCount, { timeout: 30_000 }).toBe(0);
  return historiesOf(pool);
}

const counted = (rows: readonly FireRow[], outcome: string) =>
  rows.filter((row) => row.outcome === outcome);

async function removeAll(): Promise<void> {
  for (const { name } of await historiesOf(db.pool)) await db.call("schedules.delete", { name });
}

test(`two replicas, one ${OFF_S} s ahead, ${KILLS} kills in the middle of fires: each instant has one row and at most one run (seed ${seed})`, async () => {
  console.log(`seed ${seed}`);
  const random = randomOf(seed);
  const firsts = await putAll(put, KINDS);
  const replicas = new Replicas(db.url);
  const [honest = 0, ahead = 0] = await Promise.all(
    (await replicas.all()).map(({ url }) => secondsAhead(url)),
  );
  expect(Math.abs(honest)).toBeLessThan(5); // HTTP tells whole seconds
  expect(Math.abs(ahead - OFF_S)).toBeLessThan(5);
  const stopping = new AbortController();
  const workers = [
    work("default", stopping.signal, () => 1500), // so that fires meet active runs
    work("quick", stopping.signal, () => 0),
  ];
  const done = { killed: 0, terminated: 0 };
  for (let round = 0; done.killed < KILLS || done.terminated < TERMINATIONS; round++) {
    const act = async () => {
      if (round % 4 === 3) {
        await terminate(FIRING);
        done.terminated += 1;
      } else {
        const victims = random(3) === 0 ? [0, 1] : [round % 2];
        await Promise.all(victims.map((n) => replicas.kill(n)));
        done.killed += victims.length;
      }
    };
    const stage = STAGES[random(STAGES.length + 1)];
    if (stage === undefined) {
      await sleep(random(400)); // the nemesis' own pace, nothing waits for it
      await act();
    } else await amid(stage, act);
    if (random(3) === 0) await terminate(`query like '%/* s%'`);
    if (round % 8 === 7) await db.advance("40 seconds"); // late, but not missed
  }
  const histories = await caughtUp(db.pool);
  stopping.abort();
  const [slow = 0, quick = 0] = await Promise.all(workers);
  await replicas.stop();
  expect(histories.flatMap((one) => faultsOf(firsts.get(one.name) as Date, one))).toEqual([]);
  for (const { name, overlap, rows } of histories) {
    const [fired, skipped] = [counted(rows, "fired").length, counted(rows, "skipped").length];
    console.log(`${name}: ${rows.length} rows, ${fired} fired, ${skipped} skipped`);
    expect(fired).toBeGreaterThan(0);
    if (overlap !== "skip") expect(rows.filter(({ reason }) => reason === "overlap")).toEqual([]);
    else expect(skipped).toBeGreaterThan(0);
  }
  console.log(
    `${done.killed} kills, ${done.terminated} rounds of ended backends, ${slow + quick} runs worked`,
  );
  expect(done.killed).toBeGreaterThanOrEqual(20);
  expect(Math.min(slow, quick)).toBeGreaterThan(0);
  const { rows } = await db.pool.query(`
    select count(*)::int as n from tidebase.runs a join tidebase.schedules s using (schedule_id)
      join tidebase.runs b using (schedule_id)
     where s.overlap = 'skip' and a.run_id <> b.run_id and a.created_at <= b.created_at
       and b.created_at < coalesce(a.ended_at, 'infinity')`);
  expect(rows).toEqual([{ n: 0 }]); // of `skip` never two active
  await removeAll();
});

test("Postgres down over more than ten fires under two living replicas: one row each, as catchUp says", async () => {
  const place = await home();
  const cluster = await ensureCluster({ home: place, settings: { fsync: "off" } });
  await migrate({ databaseUrl: cluster.url });
  const pool = new pg.Pool({ connectionString: cluster.url });
  pool.on("error", () => {}); // the server is stopped below
  const core = openCore({ databaseUrl: cluster.url, sweeps: false });
  const replicas = new Replicas(cluster.url);
  onTestFinished(async () => {
    await replicas.stop();
    await Promise.all([core.close(), pool.end()]);
    await cluster.leave();
  });
  const putHere: Put = async (name, content) => {
    const given = { name, workflow: "w", overlap: "allow", cron: "*/5 * * * * *", ...content };
    const { schedule } = await core.execute(operationNamed("schedules.put"), given, local);
    return new Date(String(Object(schedule).nextFireAt));
  };
  const servers = await replicas.all();
  const firsts = await putAll(putHere, {
    none: { catchUp: "none" },
    latest: { catchUp: "latest" },
    all: { catchUp: "all" },
    "latest, skip": { catchUp: "latest", overlap: "skip" },
  });
  const fired = async () => (await historiesOf(pool)).every(({ rows }) => rows.length > 0);
  await expect.poll(fired, { timeout: 20_000 }).toBe(true);

  const statusOf = async ({ url }: ServerProcess) => (await fetch(`${url}/ready`)).status;
  await stopCluster({ home: place });
  for (const server of servers) await expect.poll(() => statusOf(server)).toBe(503);
  // So that a minute need not be waited for: the replicas stand still until the store's clock has been moved.
  for (const { child } of servers) child.kill("SIGSTOP");
  const { url, started } = await cluster.revive();
  expect({ url, started }).toEqual({ url: cluster.url, started: true });
  await pool.query("update tidebase.clock set shift = shift + $1 * interval '1 ms'", [DOWN_MS]);
  for (const { child } of servers) child.kill("SIGCONT");

  for (const server of servers)
    await expect.poll(() => statusOf(server), { timeout: 20_000 }).toBe(200);
  const histories = await caughtUp(pool);
  expect(histories.flatMap((one) => faultsOf(firsts.get(one.name) as Date, one))).toEqual([]);
  for (const { name, rows } of histories) {
    const shown = rows.map(({ outcome, count }) => `${outcome} ${count}`);
    console.log(`${name}: ${shown.join(", ")}`);
    const [missed, ...more] = rows.filter(({ reason }) => reason === "missed");
    const caughtUpTo = counted(rows, "caught_up").length;
    expect(more).toEqual([]);
    expect((missed?.count ?? 0) + caughtUpTo, name).toBeGreaterThan(20);
    if (name === "none") expect(caughtUpTo).toBe(0);
    else if (name === "all") expect(missed).toBeUndefined();
    else if (name === "latest") expect(caughtUpTo).toBe(1);
    else expect(rows.filter(({ reason }) => reason === "overlap").length).toBeGreaterThan(10);
    if (name !== "latest, skip") expect(counted(rows, "fired").length).toBeGreaterThan(10);
  }
});

test("through a gap and a repeated hour of Berlin a server fires the chosen hour once, the running hour as real time goes", async () => {
  const at = (instant: string) =>
    db.pool.query("update tidebase.clock set shift = $1::timestamptz - clock_timestamp()", [
      instant,
    ]);
  const server = await startServerProcess(db.url);
  onTestFinished(() => server.stop());
  const berlin = { timezone: "Europe/Berlin", overlap: "allow", catchUp: "none" };
  const kinds = {
    chosen: { ...berlin, cron: "30 2 * * *" },
    running: { ...berlin, cron: "30 * * * *" },
  };
  const fires = async (name: string) =>
    (await historiesOf(db.pool))
      .find((one) => one.name === name)
      ?.rows.flatMap(({ runId, runFireAt }) => (runId === null ? [] : [runFireAt]));
  const passing = async (instants: readonly string[]) => {
    for (const instant of instants) {
      await at(instant);
      const late = "select from tidebase.schedules where next_fire_at <= tidebase.now()";
      await expect.poll(async () => (await db.pool.query(late)).rowCount).toBe(0);
    }
  };
  await at("2027-03-28T00:29:50Z");
  await putAll(put, kinds);
  await passing(["00:30:05", "01:00:05", "01:30:05"].map((time) => `2027-03-28T${time}Z`));
  expect(await fires("chosen")).toEqual(["2027-03-28T01:00:00.000Z"]);
  expect(await fires("running")).toEqual(
    ["00:30", "01:30"].map((time) => `2027-03-28T${time}:00.000Z`),
  );
  await removeAll();

  await at("2027-10-31T00:29:50Z");
  await putAll(put, kinds);
  await passing(["00:30:05", "01:30:05", "02:30:05"].map((time) => `2027-10-31T${time}Z`));
  expect(await fires("chosen")).toEqual(["2027-10-31T00:30:00.000Z"]);
  expect(await fires("running")).toEqual(
    ["00:30", "01:30", "02:30"].map((time) => `2027-10-31T${time}:00.000Z`),
  );
  const { schedule } = await db.call("schedules.get", { name: "chosen" });
  expect(schedule).toMatchObject({ nextFireAt: "2027-11-01T01:30:00.000Z" });
});
