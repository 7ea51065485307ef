import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { collect, startProgram, useFolder } from "../../cli/test/support/program.ts";
import { useDatabase } from "../../core/test/support/database.ts";
import { end, untilPrinted } from "../support/process.ts";
import { type ServerProcess, startServerProcess } from "../support/servers.ts";

const db = useDatabase();
const folder = useFolder();
const EXAMPLE = new URL("../../examples/report-queue/", import.meta.url);
const path = (name: string) => fileURLToPath(new URL(name, EXAMPLE));
const DOCUMENTS = 200;
const CONCURRENCY = 6;
type Json = Record<string, unknown>;

/** A line that a step's function left behind. */
interface Trace {
  readonly pid: number;
  readonly runId: string;
  readonly step: string;
  readonly path: string;
  readonly at: "begun" | "done" | "threw";
}

let server: ServerProcess;
let printed: string;
let code: number | null;
/** Where the demo's reports and traces are. */
let out: string;
let traces: Trace[];
let runs: Json[];

beforeAll(async () => {
  server = await startServerProcess(db.url);
  const args = ["--server", server.url, "--out", folder, "--documents", String(DOCUMENTS)];
  const child = startProgram(folder, args, {}, path("demo.ts"));
  const [stdout, stderr] = [collect(child.stdout), collect(child.stderr)];
  code = await new Promise((resolve) => child.once("close", resolve));
  printed = stdout() + stderr();
  out = join(folder, readdirSync(folder).find((name) => name.startsWith("reports-")) ?? "");
  traces = filesIn(join(out, "trace")).flatMap((file) => linesOf(file));
  runs = await allRuns({ workflow: "document-report" });
});
afterAll(() => server.stop());

function filesIn(of: string): string[] {
  return readdirSync(of, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.path, entry.name));
}

function linesOf(file: string): Trace[] {
  const lines = readFileSync(file, "utf8").split("\n");
  return lines.filter((line) => line !== "").map((line) => JSON.parse(line) as Trace);
}

async function allRuns(filters: Json): Promise<Json[]> {
  const found: Json[] = [];
  for (let cursor: unknown; cursor !== null; ) {
    const page = await db.call("runs.list", {
      ...filters,
      limit: 200,
      ...(cursor ? { cursor } : {}),
    });
    found.push(...(page["runs"] as Json[]));
    cursor = page["nextCursor"];
  }
  return found;
}

async function eventsOf(runId: unknown, type: string): Promise<Json[]> {
  const { events } = await db.call("events.list", { runId, limit: 1000 });
  return (events as Json[]).filter((event) => event["type"] === type);
}

/** Documents that somebody edited between the first night and the second: none, in a quiet place. */
function changed(): number {
  return Number(/Triggered now: (\d+) new/.exec(printed)?.[1]);
}

/** The process that was killed, as the demo says. */
function killed(): number {
  return Number(/kill -9 (\d+)/.exec(printed)?.[1]);
}

/** By run. */
function callsOf(step: string): Map<string, Trace[]> {
  const calls = new Map<string, Trace[]>();
  for (const trace of traces.filter((one) => one.step === step))
    calls.set(trace.runId, [...(calls.get(trace.runId) ?? []), trace]);
  return calls;
}

describe("three processes report on 200 documents, and one of them is killed", () => {
  test("every document is reported, once, and the demo says so", () => {
    expect({ code, printed }).toEqual({ code: 0, printed: expect.stringContaining("✓ Nothing") });
    expect(runs.map(({ status }) => status)).toEqual(runs.map(() => "completed"));
    expect(runs).toHaveLength(DOCUMENTS + changed());
    const reports = filesIn(join(out, "reports")).filter((file) => file.endsWith(".json"));
    const told = reports.map((file) => JSON.parse(readFileSync(file, "utf8")).path as string);
    expect(new Set(told).size).toBe(DOCUMENTS);
    expect(reports).toHaveLength(DOCUMENTS);
  });

  test("a report is written once, unless its worker was killed while it wrote", () => {
    const writes = callsOf("write report");
    expect(writes.size).toBe(runs.length);
    for (const [runId, lines] of writes) {
      const others = lines.filter(({ pid }) => pid !== killed());
      const told = { runId, calls: others.map(({ at }) => at) };
      if (others.length === 0) expect(lines.map(({ at }) => at)).toEqual(["begun", "done"]);
      else expect(told).toEqual({ runId, calls: ["begun", "done"] });
    }
  });

  test("the kill costs its runs an attempt and a step each, the drain costs nothing", async () => {
    const hit = runs.filter(({ attempts }) => attempts !== 0);
    expect(hit.length).toBeGreaterThan(0);
    expect(hit.length).toBeLessThanOrEqual(CONCURRENCY);
    for (const { runId, attempts } of hit) {
      expect(attempts).toBe(1);
      const lost = (await eventsOf(runId, "run.queued")).filter(
        ({ data }) => (data as Json)["reason"] === "holder_gone",
      );
      expect(lost).toHaveLength(1);
    }
    const repeated = ["read", "analyse", "summarise", "write report"].flatMap((step) =>
      [...callsOf(step)].filter(([, lines]) => {
        const pids = new Set(lines.filter(({ at }) => at === "begun").map(({ pid }) => pid));
        return pids.has(killed()) && pids.size > 1;
      }),
    );
    expect(new Set(repeated.map(([runId]) => runId)).size).toBe(repeated.length);
    expect(printed).toMatch(/SIGTERM: drained/);
  });

  test("a dead letter is redriven once its code is repaired, and repeats no finished step", async () => {
    const [, runId = ""] =
      /(run_\S+) failed \(max_attempts\) after 3 attempts: A defect of this/.exec(printed) ?? [];
    const [redriven, ...more] = await eventsOf(runId, "recovery.requested");
    expect(redriven?.["data"]).toMatchObject({ reason: "redrive" });
    expect(more).toEqual([]);
    expect(runs.find((run) => run["runId"] === runId)).toMatchObject({ status: "completed" });
    const reads = callsOf("read").get(runId) ?? [];
    expect(reads.filter(({ pid }) => pid !== killed()).map(({ at }) => at)).toEqual([
      "begun",
      "done",
    ]);
    const { queue } = await db.call("queues.get", { queue: "reports" });
    expect(queue).toMatchObject({ failed: 0, ready: 0, delayed: 0, running: 0, waiting: 0 });
  });

  test("the folder's run is suspended while its children run, and joins them in an index", async () => {
    const [parent] = await allRuns({ workflow: "folder-index" });
    const runId = parent?.["runId"];
    const { children } = await db.call("children.list", { runId, limit: 1000 });
    const pages = (children as Json[]).map(({ key }) => String(key));
    expect(pages).toContain("docs/README.md");
    expect(await eventsOf(runId, "run.suspended")).toHaveLength(1);
    const index = readFileSync(join(out, "indexes", "docs.md"), "utf8");
    expect(pages.filter((page) => !index.includes(`(${page}, `))).toEqual([]);
  });

  test("the nights are planned in the machine's zone", async () => {
    const { schedule } = await db.call("schedules.get", { name: "nightly-reports" });
    const timezone = new Intl.DateTimeFormat().resolvedOptions().timeZone;
    expect(schedule).toMatchObject({ cron: "0 2 * * *", timezone, queue: "reports" });
    expect((schedule as Json)["nextFires"]).toHaveLength(5);
    expect((schedule as Json)["lastFire"]).toMatchObject({ kind: "manual", outcome: "manual" });
  });
});

describe("the programs by hand", () => {
  test("queued again the next day, only what has changed is worked on", async () => {
    const env = { TIDEBASE_URL: server.url };
    const args = ["--documents", "20", "--zone", "Europe/Berlin"];
    const worker = startProgram(folder, ["--out", out], env, path("worker.ts"));
    await untilPrinted(worker, /works on "reports"/);
    const { ended, stdout } = await runInFolder("enqueue.ts", args, env);
    expect({ ended, stdout }).toEqual({
      ended: 0,
      stdout: expect.stringMatching(/\d+ new, \d+ reported before, 0 still active/),
    });
    expect(stdout).toContain("Every night at 2 in Europe/Berlin");
    await expect
      .poll(async () => (await db.call("queues.get", { queue: "reports" }))["queue"])
      .toMatchObject({ ready: 0, delayed: 0, running: 0 });
    await end(worker, "SIGTERM");
  });

  test.each(["demo.ts", "worker.ts", "enqueue.ts"])("%s explains itself", async (program) => {
    const { ended, stdout } = await runInFolder(program, ["--help"], {});
    expect({ ended, stdout }).toEqual({ ended: 0, stdout: expect.stringContaining("--help") });
  });
});

async function runInFolder(program: string, args: string[], env: Record<string, string>) {
  const child = startProgram(folder, args, env, path(program));
  const stdout = collect(child.stdout);
  const ended = await new Promise<number | null>((resolve) => child.once("close", resolve));
  return { ended, stdout: stdout() };
}
