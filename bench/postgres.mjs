import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { ensureCluster, stopCluster } from "../core/dist/index.js";

/** Postgres's own defaults for durability, and room enough that no checkpoint falls into a round. */
const SETTINGS = {
  fsync: "on",
  synchronous_commit: "on",
  shared_buffers: "512MB",
  max_wal_size: "4GB",
  max_connections: "300",
  shared_preload_libraries: "plpgsql,pg_stat_statements",
  "pg_stat_statements.track": "top",
};

/**
 * The one Postgres of all systems: the given server, else an embedded one in a temporary folder that lives as long as the
 * bench. What is still there at its stop is dropped.
 */
export async function startPostgres(given) {
  const server = given === undefined ? await startEmbedded() : { url: given, stop: async () => {} };
  const admin = new pg.Client(server.url);
  await admin.connect();
  const databases = new Set();
  async function create(name) {
    const database = `tidebase_bench_${process.pid}_${name.toLowerCase().replace(/\W/g, "_")}`;
    await admin.query(`create database ${database}`);
    databases.add(database);
    return { database, url: Object.assign(new URL(server.url), { pathname: database }).href };
  }
  async function drop(database) {
    databases.delete(database);
    await admin.query(`drop database if exists ${database} with (force)`);
  }
  const counters = await create("counters");
  const db = new pg.Client(counters.url);
  await db.connect();
  const { rows } = await db.query(
    "select current_setting('server_version') as version, current_setting('fsync') as fsync",
  );
  const counting = await canCount(db);
  return {
    ...rows[0],
    embedded: given === undefined,
    /** A fresh database: its name and its address. */
    create,
    drop,
    /** What `work` costs a database; statements are counted where pg_stat_statements is to be had. */
    costOf: (database, work) => costOf(db, { counting, database }, work),
    async stop() {
      await db.end();
      for (const database of databases) await drop(database);
      await admin.end();
      await server.stop();
    },
  };
}

/** Whether pg_stat_statements is installed and preloaded. */
async function canCount(db) {
  try {
    await db.query("create extension pg_stat_statements");
    await db.query("select from pg_stat_statements limit 1");
    return true;
  } catch {
    return false;
  }
}

async function startEmbedded() {
  const home = await mkdtemp(join(tmpdir(), "tidebase-bench-"));
  const cluster = await ensureCluster({ home, settings: SETTINGS });
  return {
    url: cluster.url,
    async stop() {
      await stopCluster({ home });
      await rm(home, { recursive: true, force: true });
    },
  };
}

/**
 * Statements of the database by pg_stat_statements; write transactions by the transaction ids given out (xact_commit lags
 * by seconds); WAL bytes by its position. The last two are of the whole server.
 */
async function costOf(db, { counting, database }, work) {
  const before = await countersOf(db, { counting, database });
  await work();
  const after = await countersOf(db, { counting, database });
  const calls = new Map(before.statements);
  const statements = after.statements
    .map(([text, count]) => ({ text, calls: count - (calls.get(text) ?? 0) }))
    .filter((statement) => statement.calls > 0)
    .sort((a, b) => b.calls - a.calls);
  return {
    statements: counting ? statements.reduce((sum, { calls }) => sum + calls, 0) : undefined,
    commits: after.commits - before.commits,
    walBytes: after.walBytes - before.walBytes,
    each: statements,
  };
}

async function countersOf(db, { counting, database }) {
  const { rows } = await db.query(`select
      pg_snapshot_xmax(pg_current_snapshot())::text::float8 as commits,
      (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::float8 as wal_bytes`);
  const [{ commits, wal_bytes: walBytes }] = rows;
  if (!counting) return { statements: [], commits, walBytes };
  const counted = await db.query({
    text: `select query, sum(calls)::float8 from pg_stat_statements s
      join pg_database d on d.oid = s.dbid and d.datname = $1 where toplevel group by query`,
    values: [database],
    rowMode: "array",
  });
  return { statements: counted.rows, commits, walBytes };
}
