import { fileURLToPath } from "node:url";
import { createKey, remote, SCOPES, type Scope, toJson } from "@tidebase/core";
import { expect, onTestFinished, test } from "vitest";
import { collect, startProgram, useFolder } from "../../cli/test/support/program.ts";
import { ada, local, operationNamed, useDatabase } from "../../core/test/support/database.ts";
import { end, untilPrinted } from "../support/process.ts";
import { startServerProcess } from "../support/servers.ts";
import type { Waited } from "../support/waiting-worker.ts";
import { passWeek } from "../support/week.ts";

const db = useDatabase();
const folder = useFolder();
const PROGRAM = fileURLToPath(new URL("../support/waiting-worker.ts", import.meta.url));
const WORKERS = 4;
const RUNS = 100;
const WITHIN_MS = 2000;
type Place = "server" | "terminal";
/** How many are decided together, and whether by a key at the server or at a terminal of the store. */
const GROUPS: { size: number; at: Place }[] = [
  ...Array.from({ length: 20 }, () => ({ size: 1, at: "server" as const })),
  ...Array.from({ length: 8 }, () => ({ size: 5, at: "server" as const })),
  ...Array.from({ length: 8 }, () => ({ size: 5, at: "terminal" as const })),
];

type Decide = (input: object) => Promise<unknown>;

async function newKey(name: string, scopes: readonly Scope[]): Promise<string> {
  return (await db.core.execute(createKey, { name, scopes }, local)).key;
}

/** Programs that open their gates, suspend, and end; the runs they left, in the order they printed them. */
async function askAndLeave(env: Record<string, string>): Promise<string[]> {
  const workers = Array.from({ length: WORKERS }, async () => {
    const child = startProgram(folder, ["ask", `${RUNS / WORKERS}`], env, PROGRAM);
    const [stdout, stderr] = [collect(child.stdout), collect(child.stderr)];
    const code = await new Promise((resolve) => child.once("close", resolve));
    expect({ code, stderr: stderr() }).toEqual({ code: 0, stderr: "" });
    return stdout().trim().split("\n");
  });
  return (await Promise.all(workers)).flat();
}

/** The run's only gate, which has this status. */
async function gateOf(runId: string, status: string): Promise<{ gateId: string; digest: string }> {
  const { gates } = await db.call("gates.list", { runId, status });
  const [listed, ...others] = gates as { gateId: string }[];
  expect(others).toEqual([]);
  const { gate } = await db.call("gates.get", { gateId: listed?.gateId });
  return gate as { gateId: string; digest: string };
}

async function countOf(query: string): Promise<number> {
  return Number((await db.pool.query(`select count(*) as n ${query}`)).rows[0].n);
}

/** Milliseconds from each decision to the next event of a type in its run, by the database's clock. */
async function delays(runIds: readonly string[], type: string): Promise<number[]> {
  const { rows } = await db.pool.query(
    `select extract(epoch from next.at - d.at) * 1000 as ms from tidebase.events d cross join lateral (
       select at from tidebase.events e where e.run_id = d.run_id and e.seq > d.seq and e.type = $2 order by seq limit 1) next
      where d.run_id = any ($1) and d.type = 'gate.resolved' order by ms`,
    [runIds.map((runId) => runId.slice(4)), type],
  );
  expect(rows).toHaveLength(runIds.length);
  return rows.map(({ ms }) => Number(ms));
}

async function report(at: string, runIds: readonly string[]): Promise<void> {
  for (const type of ["run.begun", "run.completed"]) {
    const ms = await delays(runIds, type);
    const [half = 0, most = 0] = [ms[Math.floor(ms.length / 2)], ms.at(-1)];
    console.log(
      `${at}: gate.resolved → ${type}: p50 ${Math.round(half)} ms, p100 ${Math.round(most)} ms`,
    );
    expect(most).toBeLessThan(WITHIN_MS);
  }
}

/** Decides group by group, each once the runs of the one before are completed; which were decided where. */
async function decideAll(
  runIds: readonly string[],
  places: Record<Place, Decide>,
): Promise<Record<Place, string[]>> {
  const decided: Record<Place, string[]> = { server: [], terminal: [] };
  let done = 0;
  for (const { size, at } of GROUPS) {
    const group = runIds.slice(done, done + size);
    done += size;
    await Promise.all(
      group.map(async (runId, n) => {
        const { gateId, digest } = await gateOf(runId, "open");
        const decision = (done + n) % 4 === 0 ? "rejected" : "approved";
        await places[at]({ gateId, digest, decision });
      }),
    );
    decided[at].push(...group);
    const completed = () => countOf("from tidebase.runs where status = 'completed'");
    await expect.poll(completed, { timeout: 30_000, interval: 20 }).toBe(done);
  }
  expect(done).toBe(RUNS);
  return decided;
}

test(`${RUNS} runs wait for a week without a process, and each goes on within two seconds of its decision`, async () => {
  const worker = await newKey("worker", ["read", "work", "enqueue"]);
  const [admin, human] = [
    await newKey("admin", SCOPES),
    await newKey("human", ["read", "approve"]),
  ];
  const server = await startServerProcess(db.url, { TIDEBASE_WEBHOOK_ALLOW: "127.0.0.1" });
  onTestFinished(() => server.stop());
  const env = { TIDEBASE_URL: server.url, TIDEBASE_API_KEY: worker };
  const at = (apiKey: string) => remote({ url: server.url, apiKey });
  const webhook = async (name: string, input: object) =>
    JSON.parse(toJson(await at(admin).execute(operationNamed(`webhooks.${name}`), input)));
  const hook = { name: "worker", url: "http://127.0.0.1:9/", workflows: ["waits"], invokes: true };
  const { webhookId, secret } = await webhook("create", hook);

  const runIds = await askAndLeave(env);
  expect(new Set(runIds).size).toBe(RUNS);
  await passWeek(db);
  expect(
    await countOf("from tidebase.runs where status = 'waiting' and epoch = 1 and attempts = 0"),
  ).toBe(RUNS);
  expect(await countOf("from tidebase.gates where status = 'open'")).toBe(RUNS);
  expect(await countOf("from tidebase.deliveries")).toBe(0);

  const child = startProgram(folder, ["receive", secret], env, PROGRAM);
  onTestFinished(async () => void (await end(child, "SIGTERM")));
  const [url] = await untilPrinted(child, /http:\S+/);
  await webhook("update", { webhookId, url });

  const resolve = operationNamed("gates.resolve");
  const decided = await decideAll(runIds, {
    server: (input) => at(human).execute(resolve, input),
    terminal: (input) => db.core.execute(resolve, input, ada), // in a process that sends nothing
  });
  for (const [place, runs] of Object.entries(decided)) await report(place, runs);
  expect(
    await countOf("from tidebase.runs where status = 'completed' and epoch = 2 and attempts = 0"),
  ).toBe(RUNS);
  for (const runId of runIds) {
    const { result } = await db.call("runs.get", { runId, include: ["result"] });
    const { approved, pids } = result as Waited;
    await gateOf(runId, approved ? "approved" : "rejected");
    expect(pids.map((pid) => pid === child.pid)).toEqual([false, true]);
  }
  await db.advance("2 minutes"); // a message that is taken is looked at again after one
  await expect
    .poll(() => countOf("from tidebase.deliveries where status = 'delivered' and attempts = 1"), {
      timeout: 30_000,
    })
    .toBe(RUNS);
  expect(await countOf("from tidebase.deliveries")).toBe(RUNS);
});
