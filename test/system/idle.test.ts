import { setTimeout as sleep } from "node:timers/promises";
import { createKey, migrate, openCore, remote } from "@tidebase/core";
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { sweepsOf } from "../../core/src/core.ts";
import { dueDeliveries } from "../../core/src/deliveries/sql.ts";
import { type Cluster, ensureCluster } from "../../core/src/embedded/cluster.ts";
import { pulseOf } from "../../core/src/pulse-sql.ts";
import { local, newGrant, operationNamed } from "../../core/test/support/database.ts";
import { useHomes } from "../../core/test/support/home.ts";
import { end } from "../support/process.ts";
import { type ServerProcess, startServerProcess } from "../support/servers.ts";

const home = useHomes();
const WINDOW_S = 20;
const WORKERS = 5;
const QUEUES = ["default", "mail", "reports"];
const WAIT_MS = 20_000;
const FINISHED = 200_000;
const LATER = 10_000;

let cluster: Cluster;
let pool: pg.Pool;
let server: ServerProcess;

beforeAll(async () => {
  const settings = {
    fsync: "off",
    shared_preload_libraries: "plpgsql,pg_stat_statements",
    "pg_stat_statements.track_utility": "on",
  };
  cluster = await ensureCluster({ home: await home(), settings });
  await migrate({ databaseUrl: cluster.url });
  pool = new pg.Pool({ connectionString: cluster.url, application_name: "test" });
  await pool.query("create extension pg_stat_statements");
  server = await startServerProcess(cluster.url);
});

afterAll(async () => {
  if (server !== undefined) await end(server.child, "SIGTERM");
  await pool?.end();
  await cluster?.leave();
});

/** All that was executed, by the first comment or words of its text, but for what this test asks itself. */
async function executed(): Promise<Map<string, number>> {
  const { rows } = await pool.query(
    `select coalesce(substring(query from '/\\* (\\S+) \\*/'), left(query, 60)) as name, sum(calls)::int as calls
       from pg_stat_statements(true) s where dbid = (select oid from pg_database where datname = current_database())
        and query not like '%pg_stat_%' group by 1`,
  );
  return new Map(rows.map(({ name, calls }) => [name, calls]));
}

async function scansOfRuns(): Promise<{ seq_scan: number; seq_tup_read: number }> {
  const { rows } = await pool.query(
    "select seq_scan::int, seq_tup_read::int from pg_stat_user_tables where schemaname = 'tidebase' and relname = 'runs'",
  );
  return rows[0];
}

/** What was executed within the window, by name. */
async function within(seconds: number): Promise<Map<string, number>> {
  const before = await executed();
  await sleep(seconds * 1000); // what is measured is this time itself
  const after = await executed();
  const more = [...after].map(([name, calls]) => [name, calls - (before.get(name) ?? 0)] as const);
  return new Map(more.filter(([, calls]) => calls > 0));
}

/** Waits for work in its queue over and over, as workers do, until told to stop. */
async function worker(n: number, apiKey: string, stopping: AbortSignal): Promise<number> {
  const backend = remote({ url: server.url, apiKey });
  const queue = QUEUES[n % QUEUES.length] as string;
  let polls = 0;
  for (; !stopping.aborted; polls++) {
    const claim = { queue, grantId: newGrant(), waitMs: WAIT_MS };
    await backend.execute(operationNamed("queues.claim"), claim).catch((error) => {
      if (!stopping.aborted) throw error;
    });
  }
  return polls;
}

/** Runs that ended and runs for tomorrow, more than anybody has at rest, as SQL makes them fastest. */
async function fill(): Promise<void> {
  await pool.query(`
    insert into tidebase.runs (run_id, workflow, status, queue, run_at, max_attempts, tags, max_steps, body_hash, last_seq, created_at, ended_at)
    select tidebase.new_run_id(), 'w', 'completed', 'q' || n % 50, tidebase.now(), 3, '{}', 10000, '', 3, tidebase.now(), tidebase.now()
      from generate_series(1, ${FINISHED}) n`);
  await pool.query(`
    insert into tidebase.runs (run_id, workflow, status, queue, run_at, max_attempts, tags, max_steps, body_hash, last_seq, created_at)
    select tidebase.new_run_id(), 'w', 'queued', (array['default', 'mail', 'reports', 'more'])[n % 4 + 1],
      tidebase.now() + interval '1 day', 3, '{}', 10000, '', 1, tidebase.now()
      from generate_series(1, ${LATER}) n`);
}

/** How many statements of all were told of. */
const sum = (told: ReadonlyMap<string, number>) =>
  [...told.values()].reduce((all, calls) => all + calls, 0);

test("an idle server with its sweeps and its dispatcher sends at most one statement a second, by pg_stat_statements", async () => {
  await expect.poll(async () => (await executed()).get("sweeps.pulse") ?? 0).toBeGreaterThan(2);
  const told = await within(WINDOW_S);
  console.log(`${sum(told)} statements in ${WINDOW_S} s: ${JSON.stringify([...told])}`);
  expect([...told.keys()]).toEqual(["sweeps.pulse"]);
  expect(sum(told)).toBeLessThanOrEqual(WINDOW_S);
});

test(`${WORKERS} workers that wait for work add one claim for each of their polls, and no more`, async () => {
  const core = openCore({ databaseUrl: cluster.url, sweeps: false });
  const scopes = ["read", "work"];
  const { key } = await core.execute(createKey, { name: "worker", scopes }, local);
  await core.close();
  const stopping = new AbortController();
  const workers = Array.from({ length: WORKERS }, (_, n) => worker(n, key, stopping.signal));
  const claims = async () => (await executed()).get("queues.claim") ?? 0;
  await expect.poll(claims).toBeGreaterThanOrEqual(WORKERS);
  await within(3); // it settles: the connection that listens is made
  const told = await within(WINDOW_S);
  stopping.abort();
  console.log(`${sum(told)} statements in ${WINDOW_S} s: ${JSON.stringify([...told])}`);
  await end(server.child, "SIGTERM"); // ends the polls that are out
  await Promise.all(workers);
  server = await startServerProcess(cluster.url);
  expect(told.get("sweeps.pulse")).toBeLessThanOrEqual(WINDOW_S);
  expect(told.get("queues.claim")).toBe(WORKERS);
  expect(told.get("deliveries.claim")).toBeUndefined(); // an empty claim leaves nothing to send
});

test(`with ${FINISHED} finished runs and ${LATER} for tomorrow the pulse reads no table of runs from end to end`, async () => {
  await fill();
  const { text, parameters } = pulseOf([...sweepsOf({}), dueDeliveries]);
  const given: Record<string, string> = { machine: "'here'", queues: `'{${QUEUES}}'` };
  const values = parameters.map(({ name }) => given[name] ?? "'{}'");
  await pool.query("analyze"); // autovacuum would, a minute later
  for (const settings of [
    "plan_cache_mode = force_generic_plan; set enable_seqscan = off", // as on a direct connection
    "plan_cache_mode = force_custom_plan", // as behind a pooler
  ]) {
    const client = new pg.Client(cluster.url);
    await client.connect();
    await client.query(`set ${settings}`);
    await client.query(`prepare pulse as ${text}`);
    const { rows } = await client.query(
      `explain (analyze, costs off, timing off) execute pulse (${values.join(", ")})`,
    );
    await client.end();
    const plan: string[] = rows.map((row) => row["QUERY PLAN"]);
    console.log(`${settings}: ${plan.at(-1)}`);
    expect(plan.filter((line) => /Seq Scan on runs/.test(line))).toEqual([]);
  }
  await within(3);
  const before = await scansOfRuns();
  const told = await within(10);
  const mean = await pool.query(
    "select round((sum(total_exec_time) / sum(calls))::numeric, 2)::float8 as ms from pg_stat_statements where query like '%/* sweeps.pulse */%'",
  );
  console.log(`${told.get("sweeps.pulse")} pulses in 10 s, ${mean.rows[0].ms} ms each`);
  expect(told.get("sweeps.pulse")).toBeGreaterThan(5);
  expect(await scansOfRuns()).toEqual(before);
});
