/**
 * Durable steps against the floors of the same machine, in interleaved rounds; see ../docs/performance.md.
 *
 *   npm run bench -- [--workload W1,W2,W3,W4,W5] [--rounds 5] [--json FILE] [--profile FOLDER]
 *
 * Client, server and Postgres are processes of their own. TIDEBASE_BENCH_DATABASE_URL names another Postgres than the
 * embedded one; its user must be allowed to create a database.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { insertFloor, pgbenchFloor, postFloor } from "./floors.mjs";
import { startPostgres } from "./postgres.mjs";
import { startServer } from "./processes.mjs";
import { machine, printCost, printTable, summarize } from "./report.mjs";
import { openWorkloads } from "./tidebase.mjs";

const WORKLOADS = ["W1", "W2", "W3", "W4", "W5"];

const { values: options } = parseArgs({
  options: {
    workload: { type: "string", default: WORKLOADS.join() },
    rounds: { type: "string", default: "5" },
    json: { type: "string" },
    profile: { type: "string" },
  },
});
const wanted = options.workload.toUpperCase().split(",");
const unknown = wanted.filter((name) => !WORKLOADS.includes(name));
if (unknown.length > 0)
  throw new Error(`No workload ${unknown.join(", ")}; there are ${WORKLOADS.join(", ")}.`);

/** V8 compiles the hot code of client and servers only after some thousand calls. */
const WARM_UP_CALLS = 2000;
const COST_RUNS = 5;

const atMost = (limit) => ({ text: `≤ ${limit}`, met: (reached) => reached <= limit });
const atLeast = (limit) => ({ text: `≥ ${limit}`, met: (reached) => reached >= limit });

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const folder = await mkdtemp(join(tmpdir(), "tidebase-bench-files-"));
const closing = [() => rm(folder, { recursive: true, force: true })];
let closed;
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => void interrupt());
try {
  await bench();
} finally {
  await closeAll();
}

async function bench() {
  const postgres = await startPostgres(process.env.TIDEBASE_BENCH_DATABASE_URL);
  closing.push(postgres.stop);
  const insert = await insertFloor(postgres);
  closing.push(insert.close);
  const pgbench = await pgbenchFloor(postgres, folder);
  const env = { TIDEBASE_DATABASE_URL: postgres.url };
  const floorServer = await startServer({ file: here("floor-server.mjs"), path: "/ready", env });
  closing.push(floorServer.stop);
  const post = postFloor(floorServer.url);
  closing.push(post.close);
  const server = await startServer({
    file: here("../http-server/dist/main.js"),
    path: "/ready",
    env,
    profile: options.profile,
  });
  closing.push(server.stop);
  const tidebase = openWorkloads(server.url);
  closing.push(tidebase.close);

  const measures = [...floorsOf(insert, post, pgbench), ...workloadsOf(tidebase)];
  await warmUp(post, tidebase);
  const rounds = [];
  for (let round = 0; round <= Number(options.rounds); round++) {
    const figures = {};
    for (const { id, measure } of measures) Object.assign(figures, named(id, await measure()));
    if (round > 0) rounds.push(figures); // round 0 warms up
  }
  const shown = measures.flatMap((measure) => [measure, ...(measure.also ?? [])]);
  const lines = summarize(shown, rounds);
  const costs = await costsOf(postgres, tidebase);
  await report({ about: machine(postgres), lines, costs });
}

/** The servers first, the database last; once, whoever asks. */
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

/** A measure is one figure, or several: `median` of W1 is `W1`, its `mean` is `W1.mean`. */
function named(id, figures) {
  if (typeof figures === "number") return { [id]: figures };
  return Object.fromEntries(
    Object.entries(figures).map(([name, value], n) => [n === 0 ? id : `${id}.${name}`, value]),
  );
}

function floorsOf(insert, post, pgbench) {
  const c = [
    {
      id: "pgbench",
      title: "INSERT + COMMIT, pgbench (mean)",
      unit: "ms",
      measure: pgbench?.alone,
    },
    { id: "pgbench.16", title: "  16 clients", unit: "/s", measure: pgbench?.sixteen },
  ];
  return [
    ...(pgbench === undefined ? [] : c),
    { id: "insert", title: "INSERT + COMMIT, node-postgres", unit: "ms", measure: insert.alone },
    { id: "insert.16", title: "  16 clients", unit: "/s", measure: insert.sixteen },
    { id: "post.16", title: "Hono POST + INSERT, 16 clients", unit: "/s", measure: post.sixteen },
    { id: "post", title: "Hono POST + INSERT", unit: "ms", measure: post.alone },
  ];
}

function workloadsOf({ w1, w2, w3, w4, w5 }) {
  const workloads = {
    W1: [
      {
        id: "W1",
        title: "W1 sequential step of 1 KB",
        unit: "ms",
        floor: "post",
        target: atMost(2.2),
        measure: () => w1(),
        also: [
          {
            id: "W1.mean",
            title: "  mean, with begin and end of the run",
            unit: "ms",
            floor: "post",
          },
        ],
      },
    ],
    W2: [
      {
        id: "W2",
        title: "W2 16 runs × 50 steps at once",
        unit: "/s",
        floor: "post.16",
        target: atLeast(0.8),
        measure: () => w2(),
      },
    ],
    W3: [100, 1000, 5000].map((count) => ({
      id: `W3.${count}`,
      title: `W3 resume after ${count.toLocaleString("en-US")} steps`,
      unit: "ms",
      measure: () => w3(count),
      also: [
        {
          id: `W3.${count}.requests`,
          title: "  HTTP requests",
          unit: "",
          ...(count === 1000 ? { target: atMost(5) } : {}),
        },
      ],
    })),
    W4: [false, true].map((batched) => ({
      id: batched ? "W4.batched" : "W4",
      title: `W4 enqueue 10,000${batched ? ", 1,000 a call" : ", 16 in flight"}`,
      unit: "/s",
      measure: () => w4(batched),
      also: [
        {
          id: `${batched ? "W4.batched" : "W4"}.done`,
          title: "  drained by one worker at 16",
          unit: "/s",
        },
      ],
    })),
    W5: [
      {
        id: "W5",
        title: "W5 pickup by an idle worker, median",
        unit: "ms",
        target: atMost(5),
        measure: w5,
        also: [{ id: "W5.p99", title: "  p99", unit: "ms", target: atMost(50) }],
      },
    ],
  };
  return wanted.flatMap((name) => workloads[name]);
}

async function warmUp(post, { w1 }) {
  for (let calls = 0; calls < WARM_UP_CALLS; calls += 200) {
    await w1();
    await post.alone();
  }
}

async function costsOf(postgres, { w1, w2 }) {
  const steps = { W1: [200, w1], W2: [800, w2] };
  const costs = [];
  for (const id of wanted.filter((name) => name in steps)) {
    const [count, work] = steps[id];
    const cost = await postgres.costOf(async () => {
      for (let n = 0; n < COST_RUNS; n++) await work();
    });
    const perStep = (value) => value && value / (count * COST_RUNS);
    costs.push({
      id,
      statements: perStep(cost.statements),
      commits: perStep(cost.commits),
      walBytes: perStep(cost.walBytes),
      counted: cost.counted,
      each: cost.each.map(({ text, calls }) => ({ text: nameOf(text), calls: perStep(calls) })),
    });
  }
  return costs;
}

/** Ours carry their name in a comment; Postgres 18 keeps only those behind the first word. */
function nameOf(text) {
  return /\/\* (\S+) \*\//.exec(text)?.[1] ?? text.replace(/\s+/g, " ").slice(0, 80);
}

async function report({ about, lines, costs }) {
  console.log(
    `${about.cpus} × ${about.cpu}, ${about.memoryGb} GB, ${about.system}, Node ${about.node}, ` +
      `Postgres ${about.postgres}${about.embedded ? " (embedded)" : ""}, fsync ${about.fsync}; ${options.rounds} rounds\n`,
  );
  printTable(lines);
  console.log();
  for (const cost of costs) printCost(cost);
  if (options.json === undefined) return;
  const records = [
    { kind: "machine", at: new Date().toISOString(), rounds: Number(options.rounds), ...about },
    ...lines.map((line) => ({ kind: "measure", ...line })),
    ...costs.map((cost) => ({ kind: "cost", ...cost })),
  ];
  await writeFile(options.json, records.map((record) => `${JSON.stringify(record)}\n`).join(""));
}
