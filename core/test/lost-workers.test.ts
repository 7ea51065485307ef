import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";
import { expect, test } from "vitest";
import { openDatabase } from "../src/database.ts";
import { openCore } from "../src/index.ts";
import { quarantine } from "../src/quarantine-sql.ts";
import { openSweeps } from "../src/reconciler.ts";
import { bind, fragment } from "../src/statement.ts";
import { newGrant, untilBlocked, useDatabase } from "./support/database.ts";

const db = useDatabase();
const statusOf = async (runId: string) =>
  ((await db.call("runs.get", { runId }))["run"] as { status: string }).status;

function holderOf(pid: number) {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  return {
    host: hostname(),
    bootId: readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim(),
    pidNamespace: readlinkSync("/proc/self/ns/pid"),
    pid,
    startTime: stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "",
  };
}

test("a run whose lease is over is interrupted, one attempt used, whoever else's row cannot be settled", async () => {
  const poisoned = await db.begun();
  const lost = await db.begun();
  await db.pool.query(`create function pg_temp_refuse() returns trigger language plpgsql as $$
    begin raise exception 'poisoned' using errcode = '23514'; end $$`);
  await db.pool.query(`create trigger poison before update on tidebase.runs for each row
    when (old.run_id = '${poisoned.runId.slice(4)}' and new.status = 'interrupted') execute function pg_temp_refuse()`);
  await db.advance("2 minutes");
  const core = openCore({ databaseUrl: db.url, sweepEveryMs: 20, sweepGraceMs: 0 });
  await expect.poll(() => statusOf(lost.runId)).toBe("interrupted");
  expect(await db.call("runs.get", { runId: lost.runId })).toMatchObject({
    run: { attempts: 1, leaseExpiresAt: null },
    verdict: { answer: "safe" },
  });
  const quarantined = async () =>
    (await db.call("events.list", { runId: poisoned.runId, types: ["run.quarantined"] }))["events"];
  await expect.poll(quarantined).toMatchObject([{ data: { sweep: "lost_workers" } }]);
  await core.close();
});

test("two processes that sweep at once interrupt each run once", async () => {
  const lost = await Promise.all(Array.from({ length: 20 }, () => db.begun()));
  await db.advance("2 minutes");
  const cores = [1, 2].map(() =>
    openCore({ databaseUrl: db.url, sweepEveryMs: 5, sweepGraceMs: 0 }),
  );
  for (const { runId } of lost) await expect.poll(() => statusOf(runId)).toBe("interrupted");
  for (const { runId } of lost) {
    const { events } = await db.call("events.list", { runId, types: ["run.interrupted"] });
    expect(events).toHaveLength(1);
  }
  await Promise.all(cores.map((core) => core.close()));
});

test("nobody waits for a dead process: a killed holder of this machine loses its run at once, a live one keeps it", async () => {
  const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"]);
  const pid = child.pid ?? 0;
  await expect.poll(() => holderOf(pid).startTime).not.toBe("");
  const runId = await db.pending();
  await db.call("runs.begin", { runId, grantId: newGrant(), holder: holderOf(pid) });
  const kept = await db.pending();
  await db.call("runs.begin", { runId: kept, grantId: newGrant(), holder: holderOf(process.pid) });
  const core = openCore({ databaseUrl: db.url, sweepEveryMs: 20, sweepGraceMs: 0 });
  const ended = once(child, "exit");
  child.kill("SIGKILL");
  await ended;
  await expect.poll(() => statusOf(runId)).toBe("interrupted");
  const { events } = await db.call("events.list", { runId, types: ["run.interrupted"] });
  expect(events).toMatchObject([{ data: { reason: "holder_gone" } }]);
  expect(await statusOf(kept)).toBe("running");
  await core.close();
});

test("a failure is counted under the run's lock, so whoever holds the run is never waited for in a circle", async () => {
  const { runId } = await db.begun();
  const given = { sweep: "lost_workers" as const, runId, message: "refused" };
  const values = bind(quarantine.parameters, given);
  for (let n = 0; n < 4; n++) await db.pool.query(quarantine.text, values);
  const holder = await db.pool.connect();
  await holder.query("begin");
  await holder.query("select from tidebase.runs where run_id = $1 for no key update", [
    runId.slice(4),
  ]);
  const fifth = db.pool.query(quarantine.text, values);
  await untilBlocked(db.pool, "sweeps.quarantine");
  await holder.query(quarantine.text, values);
  await holder.query("commit");
  holder.release();
  expect((await fifth).rows).toEqual([{ tries: 6 }]);
  const { events } = await db.call("events.list", { runId, types: ["run.quarantined"] });
  expect(events).toHaveLength(1);
});

test("a full batch is followed by another at once; a sweep that settled nothing rests", async () => {
  let found = 0;
  const settled = ["interrupted", "moved"];
  const { runId } = await db.begun();
  const database = openDatabase({ databaseUrl: db.url });
  const sweeps = openSweeps(
    database,
    [
      {
        name: "lost_workers",
        due: fragment`true`,
        batch: 1,
        find: async () => [{ runId, found: found++ }],
        settle: async () => [{ outcome: settled.shift() ?? "moved" }],
      },
    ],
    () => {},
  );
  sweeps.probes[0]?.told({ isReached: true, isDue: true, error: null });
  await expect.poll(() => sweeps.status()[0]?.lastRunAt).not.toBeNull();
  expect(sweeps.status()).toMatchObject([{ settled: 1, lastError: null }]);
  expect(found).toBe(2);
  await sweeps.stop();
  await database.close();
});

test("after an outage the workers speak first: a lapsed lease is not ended before the store was reached for a while", async () => {
  const lease = await db.begun();
  await db.advance("2 minutes");
  const core = openCore({ databaseUrl: db.url, sweepEveryMs: 5, sweepGraceMs: 60_000 });
  const rounds = async () => (await core.status()).sweeps[0]?.lastRunAt;
  await expect.poll(rounds).not.toBeNull();
  const first = await rounds();
  await expect.poll(rounds).not.toBe(first);
  expect(await statusOf(lease.runId)).toBe("running");
  const { results } = await db.call("steps.complete", {
    items: [{ ...lease, name: "late", output: 1 }],
  });
  expect(results).toEqual([{ outcome: "completed" }]);
  await core.close();
});

test("a holder that lives on this machine is given one more lease, and no more", async () => {
  const runId = await db.pending();
  await db.call("runs.begin", { runId, grantId: newGrant(), holder: holderOf(process.pid) });
  await db.advance("90 seconds");
  const core = openCore({ databaseUrl: db.url, sweepEveryMs: 5, sweepGraceMs: 0 });
  const rounds = async () => (await core.status()).sweeps[0]?.lastRunAt;
  await expect.poll(rounds).not.toBeNull();
  expect(await statusOf(runId)).toBe("running");
  await db.advance("90 seconds");
  await expect.poll(() => statusOf(runId)).toBe("interrupted");
  await core.close();
});
