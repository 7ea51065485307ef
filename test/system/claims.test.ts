import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { openCore } from "@tidebase/core";
import { afterAll, expect, test } from "vitest";
import { useDatabase } from "../../core/test/support/database.ts";
import { end } from "../support/process.ts";
import { randomOf, seedOf } from "../support/random.ts";

const seed = seedOf();
const db = useDatabase();
const QUEUES = 50;
const RUNS = 4000;
const PROCESSES = 4;
const KILLS = 12;
/** Of queue n: its cap; the first five have a rate besides, the next ten a cap for each key. */
const capOf = (n: number) => [1, 3, 10][n % 3] ?? 1;
const RATE = 20;
const KEY_CAP = 2;

const programs = new Set<ChildProcess>();
const crashes: string[] = [];
const cores = new Set<ReturnType<typeof openCore>>();
afterAll(stop);

async function stop(): Promise<void> {
  await Promise.all([...programs].map((program) => end(program, "SIGKILL")));
  await Promise.all([...cores].map((core) => core.close()));
  cores.clear();
}

function startProgram(): void {
  const args = ["--import", "tsx", "--conditions=tidebase-source", "test/support/claimer.ts"];
  const program = spawn(process.execPath, [...args, db.url, String(QUEUES)], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let printed = "";
  program.stderr.on("data", (chunk) => {
    printed += String(chunk);
  });
  program.once("exit", (code) => {
    programs.delete(program);
    if (code !== null) crashes.push(printed); // killed ones have none
  });
  programs.add(program);
}

async function fill(tag: string): Promise<void> {
  for (let n = 0; n < QUEUES; n++) {
    const limits = {
      concurrency: capOf(n),
      ...(n < 5 && { ratePerMinute: RATE }),
      ...(n >= 5 && n < 15 && { keyConcurrency: KEY_CAP }),
    };
    await db.call("queues.update", { queue: `q${n}`, ...limits });
  }
  const random = randomOf(seed);
  for (let made = 0; made < RUNS; made += 1000) {
    const items = Array.from({ length: 1000 }, (_, n) => ({
      workflow: tag,
      // queues with a rate get what a few minutes let through
      queue: `q${n % 40 === 0 ? random(5) : 5 + random(QUEUES - 5)}`,
      concurrencyKey: `k${random(3)}`,
      priority: random(20) - 10,
      maxAttempts: 1000,
      backoff: { minMs: 1, maxMs: 50 },
      input: n,
    }));
    await db.call("runs.enqueue", { items });
  }
}

const left = async () => {
  const { rows } = await db.pool.query(
    "select count(*)::int as n from tidebase.runs where status not in ('completed', 'cancelled', 'failed')",
  );
  return rows[0].n as number;
};

interface Span {
  readonly run_id: string;
  readonly tag: string;
  readonly queue: string;
  readonly key: string;
  readonly epoch: number;
  readonly from: number;
  readonly to: number;
}

/** From the log alone: when each grant began and when it ended, in microseconds. */
async function spans(): Promise<Span[]> {
  const { rows } = await db.pool.query(
    `select e.run_id, r.workflow as tag, r.queue, r.concurrency_key as key, (e.data ->> 'epoch')::int as epoch,
        (extract(epoch from e.at) * 1000000)::float8 as from,
        (extract(epoch from (select min(o.at) from tidebase.events o
          where o.run_id = e.run_id and o.seq > e.seq)) * 1000000)::float8 as to
       from tidebase.events e join tidebase.runs r using (run_id)
      where e.type = 'run.begun' order by e.at`,
  );
  return rows;
}

/** The most that were open at any instant. */
function most(found: readonly Span[]): number {
  const points = found.flatMap(({ from, to }) => [
    [from, 1],
    [to, -1],
  ]) as [number, number][];
  points.sort(([a, up], [b, down]) => a - b || up - down); // an end at the same instant comes first
  let open = 0;
  let highest = 0;
  for (const [, step] of points) {
    open += step;
    highest = Math.max(highest, open);
  }
  return highest;
}

function by<Key>(found: readonly Span[], key: (span: Span) => Key): Map<Key, Span[]> {
  const groups = new Map<Key, Span[]>();
  for (const span of found) groups.set(key(span), [...(groups.get(key(span)) ?? []), span]);
  return groups;
}

/** The log is written after the window is looked at, on a busy machine seconds later. A used-up window ends empty. */
const LATE_US = 3_000_000;

/** The most in a window of a minute that begins with its first claim. */
function mostInAWindow(found: readonly Span[]): number {
  let windowFrom = Number.NEGATIVE_INFINITY;
  let used = 0;
  let highest = 0;
  for (const { from } of found) {
    if (from >= windowFrom + 60_000_000 - LATE_US) {
      windowFrom = from;
      used = 0;
    }
    used += 1;
    highest = Math.max(highest, used);
  }
  return highest;
}

/** Gives the instant, in microseconds, from which nobody was killed any more. */
async function race(tag: string): Promise<number> {
  const random = randomOf(seed);
  await fill(tag);
  for (let n = 0; n < 2; n++)
    cores.add(openCore({ databaseUrl: db.url, sweepEveryMs: 200, sweepGraceMs: 0 }));
  for (let n = 0; n < PROCESSES; n++) startProgram();
  for (let n = 0; n < KILLS; n++) {
    await sleep(500 + random(2000)); // the nemesis' own pace, nothing waits for it
    const victim = [...programs][random(programs.size)];
    if (victim !== undefined) await end(victim, "SIGKILL");
    startProgram();
  }
  const { rows } = await db.pool.query(
    "select (extract(epoch from tidebase.now()) * 1000000)::float8 as now",
  );
  await expect.poll(left, { timeout: 400_000, interval: 500 }).toBe(0);
  await stop();
  expect(crashes).toEqual([]);
  return rows[0].now;
}

async function expectPromises(tag: string, healedAt: number): Promise<void> {
  const found = await spans();
  expect(new Set(found.map(({ run_id, epoch }) => `${run_id} ${epoch}`)).size).toBe(found.length);
  for (const [, grants] of by(found, ({ run_id }) => run_id)) expect(most(grants)).toBe(1);
  for (const [queue, claims] of by(found, (span) => span.queue)) {
    const n = Number(queue.slice(1));
    expect(most(claims), queue).toBeLessThanOrEqual(capOf(n));
    if (n < 5) expect(mostInAWindow(claims), queue).toBeLessThanOrEqual(RATE);
    if (n >= 5 && n < 15)
      for (const [key, held] of by(claims, (span) => span.key))
        expect(most(held), `${queue} ${key}`).toBeLessThanOrEqual(KEY_CAP);
  }
  for (const [queue, claims] of by(found, (span) => span.queue)) {
    const after = claims.flatMap((span) =>
      span.tag === tag && span.from > healedAt ? span.from : [],
    );
    const gaps = after.map((from, n) => from - (n === 0 ? healedAt : (after[n - 1] ?? 0)));
    if (Number(queue.slice(1)) >= 5) expect(Math.max(0, ...gaps), queue).toBeLessThan(10_000_000);
  }
  const { rows } = await db.pool.query(
    `select count(*) filter (where status = 'completed')::int as completed,
        count(*) filter (where exists (select from tidebase.events e where e.run_id = r.run_id
          and e.data ->> 'reason' = 'lease_over'))::int as lost
       from tidebase.runs r where workflow = $1`,
    [tag],
  );
  expect(rows[0]).toMatchObject({ completed: RUNS });
  expect(rows[0].lost).toBeGreaterThan(0); // some were held when their worker was killed
}

test(`sixteen claimers in four processes, fifty queues, killed at random: every cap holds, nothing is lost (seed ${seed})`, async () => {
  console.log(`seed ${seed}`);
  const tag = randomUUID();
  await expectPromises(tag, await race(tag));
});

test("the same with statistics that are wrong and without hash joins", async () => {
  const name = new URL(db.url).pathname.slice(1);
  await db.pool.query(`alter database "${name}" set enable_hashjoin = off`);
  await db.pool.query("alter table tidebase.runs set (autovacuum_enabled = false)");
  await db.pool.query("analyze tidebase.runs"); // sees only finished runs
  const tag = randomUUID();
  await expectPromises(tag, await race(tag));
});
