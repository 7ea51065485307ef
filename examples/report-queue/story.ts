import { existsSync } from "node:fs";
import { join, relative } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { type Queue, Tidebase } from "@tidebase/sdk";
import { closeFirst, ROOT, startProgram } from "../research-agent/processes.ts";
import { heading, paint, say } from "../research-agent/terminal.ts";
import { type Document, findDocuments } from "./documents.ts";
import { type Enqueued, enqueueAll } from "./enqueue-all.ts";
import { gather, render } from "./evidence.ts";
import { reportPath } from "./files.ts";
import { Fleet } from "./fleet.ts";
import type { FolderInput } from "./folder-index.ts";
import { QUEUE, WORKFLOWS } from "./names.ts";
import { NIGHTLY, planNights } from "./nightly.ts";
import { Progress } from "./progress.ts";

/** What the command line of the demo says. */
export interface Options {
  readonly documents: number;
  readonly paceMs: number;
  readonly out: string;
  /** A server that is there already, instead of one of the demo's own. */
  readonly server: string | undefined;
  readonly keep: boolean;
}

interface Scene extends Options {
  readonly tide: Tidebase;
  readonly fleet: Fleet;
  readonly documents: number;
}

const CONCURRENCY = 6;
const LOOK_EVERY_MS = 100;
const FOLDER = "docs";
/** How much is done when a worker is killed, and when one is drained. */
const [KILL_AT, DRAIN_AT] = [0.25, 0.6];

/** Plays the demo with its store in `home`. Returns the exit code: 1 when a promise was broken. */
export async function tellStory(options: Options, home: string): Promise<number> {
  const began = Date.now();
  const env = cleanEnvironment(home);
  heading(1, "A Tidebase server, on a real Postgres that came with npm");
  const url = options.server ?? (await startServer(env));
  say(`Ready at ${url} after ${secondsSince(began)}.`);

  const tide = new Tidebase({ url });
  closeFirst(() => tide.close());
  const { out, paceMs } = options;
  const given = { env: { ...env, TIDEBASE_URL: url }, out, paceMs, concurrency: CONCURRENCY };
  const scene: Scene = { ...options, tide, fleet: new Fleet(given) };

  await queueAll(scene);
  const documents = await findDocuments(ROOT, options.documents);
  const defect = documents[Math.floor(documents.length / 2)]?.path ?? "";
  const { killed, oldestMs } = await work(scene, defect);
  await redrive(scene, defect);
  await index(scene, documents);
  await planAndTrigger(scene);
  for (const _ of scene.fleet.working.slice()) await scene.fleet.drain();

  heading(7, "What really happened, counted from the files that the steps left behind");
  const violations = await conclude(scene, killed, oldestMs);
  say(
    `Reports and indexes: ${relative(process.cwd(), out)}. Everything took ${secondsSince(began)}.`,
  );
  if (options.keep) say(`\nThe store is kept: TIDEBASE_HOME=${home}`);
  return violations.length === 0 ? 0 : 1;
}

async function queueAll({ tide, documents }: Scene): Promise<void> {
  heading(2, `${documents} documents of this repository are queued, a run for each`);
  const began = Date.now();
  const first = await enqueueAll(tide, ROOT, documents);
  if (first.created !== documents)
    throw new Error(
      `Only ${first.created} of ${documents} are new: the store has been used before.`,
    );
  say(`${said(first)}, in one commit, after ${Date.now() - began} ms.`);
  say(`Queued once more: ${said(await enqueueAll(tide, ROOT, documents))}.`);
}

/** Gives the process that was killed, and the largest age of a run that could have been begun. */
async function work(scene: Scene, defect: string): Promise<{ killed: number; oldestMs: number }> {
  const { tide, fleet, documents } = scene;
  heading(3, "Three workers; one is killed in the middle, one is replaced as in a deployment");
  await tide.queues.pause(QUEUE);
  await fleet.start(3, "1", defect);
  await tide.queues.resume(QUEUE);
  const progress = new Progress(documents);
  let killed = 0;
  const acts = [
    {
      at: KILL_AT,
      async act() {
        killed = (await fleet.kill()).child.pid;
      },
    },
    { at: DRAIN_AT, act: () => fleet.drain() },
  ];
  const replaced: Promise<void>[] = [];
  for (;;) {
    const { queue } = await tide.queues.get(QUEUE);
    const done = progress.show(queue);
    if (isAtRest(queue)) break;
    if (done >= documents * (acts[0]?.at ?? 2)) {
      progress.end();
      await acts.shift()?.act();
      replaced.push(fleet.start(1, "1", defect));
    }
    await pause(LOOK_EVERY_MS);
  }
  await Promise.all(replaced);
  progress.end();
  say(
    paint(
      "dim",
      "Runs of the killed process went back to the queue at once: no lease had to run out.",
    ),
  );
  return { killed, oldestMs: progress.oldestMs };
}

async function redrive({ tide, fleet, documents }: Scene, defect: string): Promise<void> {
  heading(4, "A dead letter: version 1 has a defect. Version 2 is deployed, and it is redriven");
  const { runs } = await tide.runs.list({ queue: QUEUE, status: ["failed"] });
  for (const { runId, failureClass, attempts, errorMessage } of runs)
    say(`${runId} failed (${failureClass}) after ${attempts} attempts: ${errorMessage}`);
  for (const _ of fleet.working.slice()) await fleet.drain();
  await fleet.start(3, "2");
  const counted = await tide.queues.redrive(QUEUE);
  say(`Counted: ${counted.matching}, ${defect}. Only what was counted is redriven.`);
  await tide.queues.redrive(QUEUE, { dryRun: false, until: counted.until });
  await untilRest(tide, documents);
}

async function index({ tide }: Scene, documents: readonly Document[]): Promise<void> {
  heading(5, `A run for the folder ${FOLDER}/ fans out and joins its reports into an index`);
  const own = documents.filter(({ path }) => path.startsWith(`${FOLDER}/`));
  const input: FolderInput = { folder: FOLDER, documents: own };
  const { runId } = await tide.enqueue(WORKFLOWS.index, { queue: QUEUE, input });
  const file = await tide.runs.attach<string>(runId).result();
  say(`${own.length} children, four at a time, while their parent held no worker: ${file}`);
}

async function planAndTrigger({ tide, documents }: Scene): Promise<void> {
  heading(6, "Every night all of it again");
  const { cron, timezone, nextFires } = await planNights(tide, documents);
  say(`"${cron}" in ${timezone}, next:\n${nextFires.map((fire) => `  ${fire}`).join("\n")}`);
  const { runId } = await tide.schedules.trigger(NIGHTLY);
  const done = await tide.runs.attach<Enqueued>(runId).result();
  say(`Triggered now: ${said(done)}. Only what has changed is worked on again.`);
  if (done.created > 0) await untilRest(tide, documents);
}

async function conclude(scene: Scene, killed: number, oldestMs: number): Promise<string[]> {
  const { tide, out, documents } = scene;
  const evidence = gather(out, killed);
  say(render(evidence));
  const violations = [...evidence.violations];
  const runs = await reportRuns(tide);
  const completed = runs.filter(({ status }) => status === "completed").length;
  if (completed < documents) violations.push(`Only ${completed} runs are completed.`);
  const missing = (await findDocuments(ROOT, documents)).filter(
    ({ path }) => !existsSync(join(out, reportPath(path))),
  );
  for (const { path } of missing) violations.push(`The report of ${path} is missing.`);
  const lost = runs.filter(({ attempts }) => attempts > 0).length;
  const { queue } = await tide.queues.get(QUEUE);
  say(
    `\n${completed} of ${runs.length} runs completed · ${queue.failed} dead letters left · the oldest waited ${(oldestMs / 1000).toFixed(1)} s`,
  );
  const sum = (of: "cutOff" | "doneAgain") =>
    evidence.steps.reduce((total, step) => total + step[of], 0);
  const again = sum("doneAgain");
  say(toldOfKill(lost, sum("cutOff"), again));
  const [good, bad] = ["✓ Nothing was lost, and nothing was done twice", "✗ "] as const;
  const but = again === 0 ? "." : ", but what the killed process had no time to record.";
  say(
    violations.length === 0 ? paint("green", good + but) : paint("red", bad + violations.join(" ")),
  );
  return violations;
}

/** What the one kill did, from the runs down to their steps. */
function toldOfKill(runs: number, cutOff: number, unrecorded: number): string {
  const steps = (n: number) => (n === 1 ? "1 step" : `${n} steps`);
  const held = runs === 1 ? "1 run, which" : `${runs} runs, each of which`;
  return `The killed worker held ${held} lost this attempt and went on in another worker after its last recorded step. The kill cut ${steps(cutOff)} off in the middle, to be called again; ${steps(unrecorded)} had just ended unrecorded, to be done twice. The other runs were between two steps.`;
}

async function reportRuns(tide: Tidebase) {
  const filters = { workflow: WORKFLOWS.report, limit: 200 };
  let page = await tide.runs.list(filters);
  const runs = [...page.runs];
  while (page.nextCursor !== null) {
    page = await tide.runs.list({ ...filters, cursor: page.nextCursor });
    runs.push(...page.runs);
  }
  return runs;
}

async function untilRest(tide: Tidebase, total: number): Promise<void> {
  const progress = new Progress(total);
  for (;;) {
    const { queue } = await tide.queues.get(QUEUE);
    progress.show(queue);
    if (isAtRest(queue)) break;
    await pause(LOOK_EVERY_MS);
  }
  progress.end();
}

function isAtRest({ ready, delayed, running, waiting }: Queue): boolean {
  return ready + delayed + running + waiting === 0;
}

function said({ created, existing, deduplicated }: Enqueued): string {
  const active = deduplicated === 0 ? "" : `, ${deduplicated} active under the same key`;
  return `${created} new, ${existing} there already${active}`;
}

/** Nothing of the caller's own is touched: another home, and no variable that names a store. */
function cleanEnvironment(home: string): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const [name, value] of Object.entries(process.env))
    if (value !== undefined && !name.startsWith("TIDEBASE_")) kept[name] = value;
  return { ...kept, DATABASE_URL: "", TIDEBASE_HOME: home };
}

/** The address it says it listens on. Throws with what it said when it ends before. */
async function startServer(env: Record<string, string>): Promise<string> {
  return await new Promise((resolve, reject) => {
    const server = startProgram("http-server/src/main.ts", ["--port", "0"], {
      env,
      onLine(line) {
        const url = /https?:\/\/[\w.:]+/.exec(line)?.[0];
        if (url !== undefined) resolve(url);
      },
    });
    void server.ended.then(() =>
      reject(new Error(`The server did not start.\n${server.errors()}`)),
    );
  });
}

function secondsSince(instant: number): string {
  return `${((Date.now() - instant) / 1000).toFixed(1)} s`;
}
