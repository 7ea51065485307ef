import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { MODELS } from "./model.ts";
import { startProgram, stopAll } from "./processes.ts";
import { DEFAULT_OUT, type Options, tellStory } from "./story.ts";
import { paint, say } from "./terminal.ts";

/** For output that is still on its way. */
const LINGER_MS = 500;

const HELP = `npm run demo -- [options]

Kills a working agent with SIGKILL and lets it resume, while a coding assistant looks on.

  --seed <n>          kill at the same place as the run that printed this seed
  --question <text>   what the agent is to find out about this repository
  --llm <name>        local (default: plain rules, no key, always the same answer),
                      anthropic (needs ANTHROPIC_API_KEY) or openai (needs OPENAI_API_KEY)
  --model <name>      the hosted model to ask
  --pace <ms>         how long a step takes at least, so that you can follow (default 300)
  --out <folder>      where the report and the traces go, below it in a folder
                      of the run's own (default ./tidebase-demo)
  --keep              keep the store, and say how to look into it
  --verbose           print all that the assistant is told, not only the gist
  --help              this text`;

const { values } = parseArgs({
  options: {
    seed: { type: "string" },
    question: { type: "string" },
    llm: { type: "string" },
    model: { type: "string" },
    pace: { type: "string" },
    out: { type: "string" },
    keep: { type: "boolean" },
    verbose: { type: "boolean" },
    help: { type: "boolean" },
  },
});

const options: Options = {
  seed: Number(values.seed ?? Date.now() % 100_000),
  question: values.question,
  llm: values.llm ?? "local",
  model: values.model,
  paceMs: Number(values.pace ?? 300),
  out: values.out ?? DEFAULT_OUT,
  keep: values.keep === true,
  verbose: values.verbose === true,
};

function complain(): string | undefined {
  if (!Number.isSafeInteger(options.seed)) return "--seed is a whole number.";
  if (!(options.paceMs >= 100)) return "--pace is a number of milliseconds, 100 or more.";
  if (!MODELS.some((name) => name === options.llm)) return `--llm is one of ${MODELS.join(", ")}.`;
  return undefined;
}

/** Nothing of ours is left running, and nothing on the disk but what was asked for. */
async function cleanUp(home: string): Promise<void> {
  await stopAll();
  const files = await readdir(home).catch(() => []);
  const runs = (
    await Promise.all(files.map((file) => readdir(join(home, file)).catch(() => [])))
  ).flat();
  if (runs.includes("postmaster.pid")) await stopPostgres(home);
  if (!options.keep) await rm(home, { recursive: true, force: true, maxRetries: 5 });
}

/** Only when the server could not: it stops its Postgres when it is the last to leave. */
async function stopPostgres(home: string): Promise<void> {
  const env = { ...process.env, TIDEBASE_HOME: home };
  await startProgram("cli/src/main.ts", ["db", "stop"], { env }).ended;
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
