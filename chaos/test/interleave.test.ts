import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { useDatabase } from "../../core/test/support/database.ts";
import { randomOf, seedOf } from "../../test/support/random.ts";
import { type Bench, openBench } from "../interleave/bench.ts";
import { dealt, everyCase } from "../interleave/cases.ts";
import { type Lane, openLane } from "../interleave/lanes.ts";
import { ACTS, type Acting } from "../interleave/operations.ts";
import { everyOrder } from "../interleave/orders.ts";
import { type Ran, runOrder } from "../interleave/scheduler.ts";
import { openStand } from "../interleave/stand.ts";
import { tryCase } from "../interleave/trial.ts";

const db = useDatabase();
const bounds = { limit: 100, random: randomOf(seedOf()) };
const lanes: Lane[] = [];
const pools: pg.Pool[] = [];
let bench: Bench;

beforeAll(async () => {
  await db.pool.query("create table tally (id int primary key, n int not null)");
  for (const name of ["a", "b"]) {
    const lane = openLane(db.url, name);
    lanes.push(lane);
    pools.push(new pg.Pool({ connectionString: lane.url, max: 1 }));
  }
  bench = await openBench(db.url);
});

afterAll(async () => {
  await Promise.all([...pools.map((pool) => pool.end()), bench.close()]);
  for (const lane of lanes) lane.close();
});

/** Every order of the two works on a row that begins with 0: how each ran, and what it left. */
async function all(...works: ((pool: pg.Pool) => Promise<string>)[]) {
  const ran: (Ran & { n: number })[] = [];
  const explored = await everyOrder(async (choose) => {
    await db.pool.query("delete from tally");
    await db.pool.query("insert into tally values (1, 0)");
    const calls = works.map((work, n) => () => work(pools[n] as pg.Pool));
    const one = await runOrder(lanes, calls, { choose, isBlocked: bench.isBlocked });
    const { rows } = await db.pool.query("select n from tally");
    ran.push({ ...one, n: rows[0].n });
  }, bounds);
  return { ran, explored };
}

const add = "update tally set n = n + 1";
const writes = (times: number) => async (pool: pg.Pool) => {
  for (let n = 0; n < times; n++) await pool.query(add);
  return "done";
};

test("all orders of two sequences of statements are run, each once", async () => {
  const { ran, explored } = await all(writes(3), writes(2));
  expect(explored).toEqual({ orders: 10, isWhole: true }); // C(5, 2)
  expect(new Set(ran.map(({ order }) => order.join())).size).toBe(10);
  for (const { order, n } of ran) {
    expect(order.filter((statement) => statement.startsWith("a")).length).toBe(3);
    expect(n).toBe(5);
  }
});

test("who waits for a lock cannot go on, the other does, and the order goes on behind its commit", async () => {
  const locked = async (pool: pg.Pool) => {
    const client = await pool.connect();
    await client.query("begin");
    await client.query(add);
    await client.query("commit");
    client.release();
    return "done";
  };
  const { ran } = await all(locked, writes(1));
  const shown = ran.map(({ order, blocked }) => [order.map((one) => one.slice(0, 8)), blocked]);
  expect(shown).toHaveLength(3);
  expect(shown).toContainEqual([["a update", "b update", "a commit"], 1]);
  expect(shown).toContainEqual([["a update", "a commit", "b update"], 0]);
  expect(shown).toContainEqual([["b update", "a update", "a commit"], 0]);
});

test("who reads first and writes later is caught, in the order that shows it", async () => {
  const readThenWrite = async (pool: pg.Pool) => {
    const { rows } = await pool.query("select n from tally");
    await pool.query("update tally set n = $1", [rows[0].n + 1]);
    return "done";
  };
  const { ran } = await all(readThenWrite, readThenWrite);
  const lost = ran.filter(({ n }) => n !== 2);
  expect(lost.length).toBeGreaterThan(0);
  expect(lost[0]?.order.slice(0, 2).map((one) => one.slice(2, 8))).toEqual(["select", "select"]);
  expect(ran.some(({ n }) => n === 2)).toBe(true);
});

test("however few cases are tried, every other is of a lease that is taken from its holder, and all are dealt once", () => {
  const [all, cases] = [everyCase(), dealt(everyCase(), bounds.random)];
  const told = (some: typeof all) => some.map(({ names, start }) => `${names} ${start}`).sort();
  expect(told(cases)).toEqual(told(all));
  for (const { names } of cases.slice(0, 40).filter((_, n) => n % 2 === 0))
    expect(names.filter((name) => /^(begin|claim)$/.test(name))).toHaveLength(1);
});

const wanted = {
  ...{
    isRisky: false,
    isOverdue: false,
    isSlept: false,
    isGateOver: false,
    isAged: false,
    isExpired: false,
  },
  hasChild: false,
};

test("operations of the store end as if one had come after the other, and one that looks before it acts does not", async () => {
  const careless: Acting = {
    moves: ACTS.heartbeat.moves,
    async call({ lane }, { runId }) {
      const client = new pg.Client(lane.url);
      await client.connect();
      const { rows } = await client.query("select status from tidebase.runs where run_id = $1", [
        runId.slice(4),
      ]);
      const isHeld = rows[0]?.status === "running";
      const text = `update tidebase.runs set status = 'running', lease_expires_at = tidebase.now() + interval '1 minute'
        where run_id = $1`;
      if (isHeld) await client.query(text, [runId.slice(4)]);
      await client.end();
      return isHeld ? "held" : "lease_lost";
    },
  };
  const stand = await openStand(bench);
  const given = { start: "running", wanted } as const;
  const sound = { names: ["heartbeat", "release"], acts: [ACTS.heartbeat, ACTS.release] } as const;
  const good = await tryCase(stand, { ...given, ...sound }, bounds);
  expect(good).toEqual({ orders: 4, atLock: 2, blocked: 4, isWhole: true, problems: [] });
  const broken = { names: ["careless", "release"], acts: [careless, ACTS.release] } as const;
  const bad = await tryCase(stand, { ...given, ...broken }, bounds);
  expect(bad?.problems.join()).toContain("a select status");
  expect(bad?.problems.join()).toContain('answered ["held","released"]');
});
