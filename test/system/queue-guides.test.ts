import { readFile, rm, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { collect, startProgram, useFolder } from "../../cli/test/support/program.ts";
import { useDatabase } from "../../core/test/support/database.ts";
import { end, untilPrinted } from "../support/process.ts";
import { type ServerProcess, startServerProcess } from "../support/servers.ts";

const db = useDatabase();
const folder = useFolder();
const QUEUES = "queues-schedules-and-cancellation.md";
const CHILDREN = "fanout-subagents-child-runs.md";
const written: string[] = [];
let server: ServerProcess;

beforeAll(async () => {
  server = await startServerProcess(db.url);
});
afterAll(async () => {
  await server.stop();
  for (const path of written) await rm(path, { force: true });
});

/** The guide's only program that has this text, as a process. */
async function start(guide: string, containing: string) {
  const text = await readFile(new URL(`../../docs/${guide}`, import.meta.url), "utf8");
  const programs = [...text.matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map(([, code = ""]) => code);
  const [program, ...others] = programs.filter(
    (code) => code.startsWith("import ") && code.includes(containing),
  );
  expect([program === undefined, others.length]).toEqual([false, 0]);
  const name = `guide-${process.pid}-${written.length}.tmp.ts`;
  const path = fileURLToPath(new URL(name, import.meta.url));
  written.push(path);
  await writeFile(path, program ?? "");
  const env = { TIDEBASE_URL: server.url, TIDEBASE_DATABASE_URL: db.url };
  return startProgram(folder, [], env, path);
}

/** What it prints to its end. */
async function printedBy(guide: string, containing: string): Promise<string> {
  const child = await start(guide, containing);
  const [stdout, stderr] = [collect(child.stdout), collect(child.stderr)];
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  expect({ code, stderr: stderr() }).toEqual({ code: 0, stderr: "" });
  return stdout();
}

test("the guide's worker does what its programs enqueue, over HTTP and in a transaction", async () => {
  const worker = await start(QUEUES, "tide.work(");
  const mailed = collect(worker.stdout);
  await untilPrinted(worker, /worker_\S+ works/);
  expect(await printedBy(QUEUES, "tide.enqueue(")).toBe("created A7: 120 EUR\n");
  expect(await printedBy(QUEUES, "tide.enqueue(")).toBe("existing A7: 120 EUR\n");
  const transaction = await printedBy(QUEUES, "tidebase.enqueue(");
  const [runId = ""] = /run_[0-9a-f-]{36}/.exec(transaction) ?? [];
  await expect.poll(mailed).toContain(`mailed ${runId}:mail`);
  expect(await end(worker, "SIGTERM")).toBeNull(); // by the signal, as without a worker
});

test("the guide's schedule fires at two in the morning of its zone", async () => {
  const fires = await printedBy(QUEUES, "tide.schedules.put(");
  expect(fires.match(/T0[01]:00:00\.000Z/g)).toHaveLength(5);
});

test("the guide's child and fan-out give what they say", async () => {
  expect(await printedBy(CHILDREN, "run.child(")).toBe("An essay from NOTES ON TIDES.\n");
  expect(await printedBy(CHILDREN, "run.fanout<")).toBe("6\n");
});
