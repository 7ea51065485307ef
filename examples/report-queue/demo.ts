import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { startProgram, stopAll } from "../research-agent/processes.ts";
import { paint, say } from "../research-agent/terminal.ts";
import { type Options, tellStory } from "./story.ts";

/** For output that is still on its way. */
const LINGER_MS = 500;

const HELP = `npm run demo:queue -- [options]

Queues a run for each of 200 documents of this repository, has three worker processes report on them,
kills one with SIGKILL in the middle, and counts afterwards what ran how often.

  --documents <n>     how many (default 200)
  --pace <ms>         how long a step takes at least (default 40)
  --out <folder>      where reports go, below it in a folder of their own (default ./tidebase-demo)
  --server <url>      a server that runs already, without reports of this example
  --keep              keep the store, and say how to look into it
  --help              this text`;

const { values } = parseArgs({
  options: {
    documents: { type: "string" },
    pace: { type: "string" },
    out: { type: "string" },
    server: { type: "string" },
    keep: { type: "boolean" },
    help: { type: "boolean" },
  },
});

const options: Options = {
  documents: Number(values.documents ?? 200),
  paceMs: Number(values.pace ?? 40),
  out: resolve(values.out ?? "tidebase-demo", `reports-${Date.now().toString(36)}`),
  server: values.server,
  keep: values.keep === true,
};

function complain(): string | undefined {
  const { documents, paceMs } = options;
  if (!Number.isInteger(documents) || documents < 50 || documents > 400)
    return "--documents is a number from 50 to 400.";
  if (!(paceMs >= 0)) return "--pace is a number of milliseconds.";
  return undefined;
}

/** Nothing of ours is left running, and nothing on the disk but what was asked for. */
async function cleanUp(home: string): Promise<void> {
  await stopAll();
  const files = await readdir(home).catch(() => []);
  const found = await Promise.all(files.map((file) => readdir(join(home, file)).catch(() => [])));
  if (found.flat().includes("postmaster.pid")) {
    // Only when the server could not: it stops its Postgres when it is the last to leave.
    const env = { ...process.env, TIDEBASE_HOME: home };
    await startProgram("cli/src/main.ts", ["db", "stop"], { env }).ended;
  }
  if (!options.keep) await rm(home, { recursive: true, force: true, maxRetries: 5 });
}

async function main(): Promise<number> {
  const complaint = complain();
  if (values.help === true || complaint !== undefined) {
    console.log(complaint === undefined ? HELP : `${complaint}\n\n${HELP}`);
    return complaint === undefined ? 0 : 1;
  }
  const home = await mkdtemp(join(tmpdir(), "tidebase-demo-"));
  let stopping = false;
  const interrupted = new Promise<number>((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const)
      process.on(signal, () => {
        stopping = true;
        resolve(130);
      });
  });
  const story = tellStory(options, home).catch((error: unknown) => {
    if (!stopping) say(paint("red", error instanceof Error ? error.message : String(error)));
    return 1;
  });
  const code = await Promise.race([story, interrupted]);
  await cleanUp(home);
  return code;
}

process.exitCode = await main();
setTimeout(() => process.exit(), LINGER_MS).unref();
