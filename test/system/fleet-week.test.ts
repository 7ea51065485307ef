import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { afterAll, expect, test } from "vitest";
import { useDatabase } from "../../core/test/support/database.ts";
import { callerAt } from "../support/callers.ts";
import { end, untilPrinted } from "../support/process.ts";
import { type ServerProcess, startServerProcess } from "../support/servers.ts";
import { passWeek } from "../support/week.ts";

const db = useDatabase();
const root = fileURLToPath(new URL("../../", import.meta.url));
const RUNS = 100;
const WORKERS = 3;
const WITHIN_MS = 2000;

let server: ServerProcess | undefined;
const fleet: ChildProcess[] = [];
afterAll(async () => {
  await Promise.all(fleet.map((worker) => end(worker, "SIGKILL")));
  await server?.stop();
});

async function scaleUp(url: string, key: string): Promise<void> {
  const args = ["--import", "tsx", "--conditions=tidebase-source", "test/support/fleet-worker.ts"];
  const env = { ...process.env, TIDEBASE_URL: url, TIDEBASE_API_KEY: key };
  for (let n = 0; n < WORKERS; n++) fleet.push(spawn(process.execPath, args, { cwd: root, env }));
  await Promise.all(fleet.map((worker) => untilPrinted(worker, /working/)));
}

async function scaleToZero(): Promise<void> {
  await Promise.all(fleet.map((worker) => end(worker, "SIGTERM")));
  fleet.length = 0;
}

const countOf = async (status: string): Promise<number> => {
  const text = "select count(*)::int as n from tidebase.runs where queue = 'asks' and status = $1";
  return (await db.pool.query(text, [status])).rows[0].n;
};

test("a fleet scaled to zero for a week costs the runs at their gates nothing; each goes on within 2 s of its decision", async () => {
  server = await startServerProcess(db.url);
  const { url } = server;
  const { key } = await db.call("keys.create", { name: "fleet", scopes: ["read", "work"] });
  const enqueuer = await callerAt(db, url, ["enqueue"]);
  const human = await callerAt(db, url, ["read", "approve"]);
  const jobs = Array.from({ length: RUNS }, () => ({ workflow: "asks", queue: "asks" }));
  await enqueuer("runs.enqueue", { items: jobs });
  await scaleUp(url, String(key));
  await expect.poll(() => countOf("waiting"), { timeout: 60_000 }).toBe(RUNS);
  await scaleToZero();
  await passWeek(db);
  expect(await countOf("waiting")).toBe(RUNS);

  await scaleUp(url, String(key));
  const { rows: gates } = await db.pool.query(
    "select 'gate_' || gate_id as gate_id, digest from tidebase.gates where status = 'open'",
  );
  expect(gates).toHaveLength(RUNS);
  for (const { gate_id: gateId, digest } of gates)
    await human("gates.resolve", { gateId, digest, decision: "approved" });
  await expect.poll(() => countOf("completed"), { timeout: 60_000 }).toBe(RUNS);

  const { rows } = await db.pool.query(`
    select r.attempts, r.epoch::int, p.result, extract(epoch from b.at - d.at) * 1000 as ms
      from tidebase.runs r join tidebase.payloads p using (run_id)
      join tidebase.events d on d.run_id = r.run_id and d.type = 'gate.resolved'
      cross join lateral (select at from tidebase.events e
        where e.run_id = r.run_id and e.seq > d.seq and e.type = 'run.begun' order by seq limit 1) b
     where r.queue = 'asks'`);
  expect(rows).toHaveLength(RUNS);
  const ms = rows.map((row) => Number(row.ms)).sort((a, b) => a - b);
  console.log(
    `gate.resolved → run.begun: p50 ${Math.round(ms[50] ?? 0)} ms, p100 ${Math.round(ms.at(-1) ?? 0)} ms`,
  );
  expect(ms.at(-1)).toBeLessThan(WITHIN_MS);
  for (const { attempts, epoch, result } of rows) {
    expect({ attempts, epoch }).toEqual({ attempts: 0, epoch: 2 });
    expect(JSON.parse(result)).toMatchObject({ approved: true });
  }
});
