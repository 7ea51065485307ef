/** Tidebase, its peers and the floors of one machine, side by side; `--help` and ../docs/performance.md say how. */
import { appendFile, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openLargeStore } from "./large-store.mjs";
import { readOptions } from "./options.mjs";
import { startPostgres } from "./postgres.mjs";
import { figure, machine, machineText, printCost, printTable } from "./report.mjs";
import { openStage } from "./stage.mjs";
import { summarize, summarizeCost } from "./summary.mjs";
import { describe } from "./systems/start.mjs";

const COST_RUNS = 5;

const options = readOptions(process.argv.slice(2));
const closing = [];
let closed;
if (options !== undefined) {
  for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => void interrupt());
  try {
    await bench();
  } catch (error) {
    if (closed === undefined) throw error; // else it is the interruption that is felt here
  } finally {
    await closeAll();
  }
}

async function bench() {
  const folder = await mkdtemp(join(tmpdir(), "tidebase-bench-files-"));
  closing.push(() => rm(folder, { recursive: true, force: true }));
  const postgres = await startPostgres(process.env.TIDEBASE_BENCH_DATABASE_URL);
  closing.push(postgres.stop);
  const about = { at: new Date().toISOString(), rounds: options.rounds, ...machine(postgres) };
  if (options.json !== undefined) await writeFile(options.json, "");
  await record("machine", [{ ...about, sizes: options.sizes }]);
  await record("system", describe(options.systems));
  console.log(`${machineText(about)}; ${options.rounds} rounds`);
  const largeStore = openLargeStore({ postgres, folder, runs: options.sizes.runs, told: progress });
  for (const workload of options.workloads)
    await measure(workload, { postgres, folder, largeStore });
}

/** One workload: warmed up, measured in rounds that take all contenders in turn, and its costs counted. */
async function measure(workload, { postgres, folder, largeStore }) {
  const leftOut = new Set();
  async function leaveOut(name, error) {
    if (closed !== undefined) return;
    leftOut.add(name);
    progress(`${workload.id} leaves out ${name}: ${error.stack ?? error}`);
    await record("left-out", [{ workload: workload.id, contender: name, reason: error.message }]);
  }
  const stage = openStage({ postgres, folder, options, largeStore, leaveOut, told: progress });
  closing.push(stage.close);
  progress(`${workload.id} starts: ${workload.title}`);
  const contenders = await workload.open(stage);
  const rounds = [];
  const { warmUps = 1 } = workload;
  for (let round = 1 - warmUps; round <= options.rounds && closed === undefined; round++) {
    const figures = new Map();
    for (const one of inTurn(contenders, round).filter(({ name }) => !leftOut.has(name))) {
      const measured = await one.measure().catch((error) => leaveOut(one.name, error));
      if (measured === undefined) continue;
      figures.set(one.name, measured);
      progress(`${workload.id} ${round < 1 ? "warm-up" : `round ${round}`} ${told(one, measured)}`);
    }
    if (round > 0) rounds.push(figures);
  }
  if (closed !== undefined) return;
  const present = contenders.filter(({ name }) => !leftOut.has(name));
  const lines = summarize(workload, present, rounds);
  printTable(workload, lines);
  await record("figure", lines);
  await record("cost", await costsOf(workload, present, postgres));
  await stage.close();
}

/** Nobody is always the first. */
function inTurn(contenders, round) {
  const first = Math.abs(round) % contenders.length;
  return [...contenders.slice(first), ...contenders.slice(0, first)];
}

async function costsOf(workload, contenders, postgres) {
  const costs = [];
  for (const one of contenders.filter(({ cost }) => cost?.database !== undefined)) {
    const counted = await postgres.costOf(one.cost.database, async () => {
      for (let n = 0; n < COST_RUNS; n++) await one.cost.work();
    });
    costs.push(summarizeCost(workload, one, { counted, runs: COST_RUNS }));
    printCost(costs.at(-1));
  }
  return costs;
}

function told({ name }, figures) {
  const each = Object.entries(figures).map(([id, value]) => `${id} ${figure(value)}`);
  return `${name}: ${each.join(", ")}`;
}

function progress(text) {
  process.stderr.write(`${text}\n`);
}

/** Line by line, so that an interrupted bench keeps what it has measured. */
async function record(kind, lines) {
  if (options.json === undefined || closed !== undefined) return;
  const text = lines.map((line) => `${JSON.stringify({ kind, ...line })}\n`).join("");
  await appendFile(options.json, text);
}

/** The latest first, the database and the files last; once, whoever asks. */
function closeAll() {
  closed ??= (async () => {
    for (const close of closing.reverse()) await close();
  })();
  return closed;
}

/** Nothing is left running when somebody loses patience. */
async function interrupt() {
  await closeAll().catch(() => {});
  process.exit(130);
}
