import { parseArgs } from "node:util";
import { SYSTEMS } from "./systems/index.mjs";
import { WORKLOADS } from "./workloads/index.mjs";

/** How much each workload does. */
const SIZES = {
  steps: [200, "steps of W1"],
  jobs: [10_000, "jobs of W4"],
  pickups: [200, "jobs of W5"],
  gates: [20, "decisions of W7"],
  readers: [200, "readers of W8"],
  history: [200_000, "finished runs of W6"],
  runs: [1_000_000, "runs of the large store of W6 and W9"],
};

const HELP = `Measures Tidebase, its peers and the floors of this machine side by side; see docs/performance.md.

npm run bench -- [options]

  --only NAMES        of ${Object.keys(SYSTEMS).join(", ")}; all unless given
  --workload NAMES    of ${[...new Set(WORKLOADS.map(({ id }) => id))].join(", ")}; all unless given
  --rounds N          rounds that count, after those that warm up (5)
  --json FILE         every figure, as JSON lines; node bench/table.mjs FILE makes tables of it
  --profile FOLDER    V8's CPU profiles of Tidebase's server, client and worker
${Object.entries(SIZES)
  .map(([name, [size, what]]) => `  --${`${name} N`.padEnd(16)}  ${what} (${size})`)
  .join("\n")}

TIDEBASE_BENCH_DATABASE_URL names another Postgres than the embedded one; its user must be allowed to create databases.
`;

/** What the command line asks for; undefined when it asked for help. Throws for what there is not. */
export function readOptions(args) {
  const { values } = parseArgs({ args, options: flags() });
  if (values.help) {
    console.log(HELP);
    return undefined;
  }
  const workloads = names(
    values.workload?.toUpperCase(),
    WORKLOADS.map(({ id }) => id),
  );
  return {
    systems: names(values.only, Object.keys(SYSTEMS)),
    workloads: WORKLOADS.filter(({ id }) => workloads.includes(id)),
    rounds: count("rounds", values.rounds),
    json: values.json,
    profile: values.profile,
    sizes: Object.fromEntries(Object.keys(SIZES).map((name) => [name, count(name, values[name])])),
  };
}

function flags() {
  const text = (value) => ({ type: "string", ...(value !== undefined && { default: value }) });
  return {
    help: { type: "boolean", short: "h" },
    only: text(),
    workload: text(),
    rounds: text("5"),
    json: text(),
    profile: text(),
    ...Object.fromEntries(
      Object.entries(SIZES).map(([name, [size]]) => [name, text(String(size))]),
    ),
  };
}

function names(given, known) {
  const wanted = given?.split(",") ?? known;
  const unknown = wanted.filter((name) => !known.includes(name));
  if (unknown.length === 0) return wanted;
  throw new Error(
    `There is no ${unknown.join(", ")}; there are ${[...new Set(known)].join(", ")}.`,
  );
}

function count(name, given) {
  const number = Number(given);
  if (Number.isInteger(number) && number > 0) return number;
  throw new Error(`--${name} is "${given}": it is a whole number above 0.`);
}
