import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import pg from "pg";
import { Pool } from "undici";
import { OUTPUT } from "./payload.mjs";
import { inParallel, median, rate, timeEach } from "./statistics.mjs";

const run = promisify(execFile);

const INSERT = "insert into floor (k, v) values ($1, $2)";
const values = ["run", JSON.stringify(OUTPUT)];

/** One INSERT of 1 KB and its commit through node-postgres: nothing durable on Postgres is cheaper from Node. */
export async function insertFloor(url) {
  const pool = new pg.Pool({ connectionString: url, max: 16 });
  pool.on("error", () => {}); // a connection may still be closing when the database is dropped
  await pool.query(
    "create table floor (id bigserial primary key, k text, v text, at timestamptz default now())",
  );
  const insert = () => pool.query({ name: "floor", text: INSERT, values });
  return {
    /** Median milliseconds of one. */
    alone: async () => median(await timeEach(200, insert)),
    /** How many a second with 16 clients. */
    sixteen: () => rate(1600, () => inParallel(16, 100, insert)),
    close: () => pool.end(),
  };
}

/** The same INSERT behind one Hono POST, asked for by an undici client: what a durable HTTP call costs at least. */
export function postFloor(url) {
  const pool = new Pool(url, { connections: 16 });
  const body = JSON.stringify({ k: "run", v: values[1] });
  const headers = { "content-type": "application/json" };
  async function post() {
    const answer = await pool.request({ method: "POST", path: "/insert", headers, body });
    await answer.body.text();
    if (answer.statusCode !== 200) throw new Error(`The floor answered ${answer.statusCode}.`);
  }
  return {
    alone: async () => median(await timeEach(200, post)),
    sixteen: () => rate(1600, () => inParallel(16, 100, post)),
    close: () => pool.close(),
  };
}

/** The same INSERT from C, where pgbench is installed; undefined where it is not. */
export async function pgbenchFloor(url, folder) {
  if (!(await run("pgbench", ["--version"]).catch(() => false))) return undefined;
  const script = join(folder, "insert.sql");
  await writeFile(script, `insert into floor (k, v) values ('run', '${values[1]}');\n`);
  async function perSecond(clients, transactions) {
    const load = ["-c", String(clients), "-j", "2", "-t", String(transactions)];
    const { stdout } = await run("pgbench", ["-n", "-M", "prepared", "-f", script, ...load, url]);
    return Number(/^tps = ([\d.]+)/m.exec(stdout)?.[1]);
  }
  return {
    /** Mean milliseconds of one; pgbench tells no median without a log. */
    alone: async () => 1000 / (await perSecond(1, 500)),
    sixteen: () => perSecond(16, 200),
  };
}
