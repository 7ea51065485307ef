import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { MODELS } from "./model.ts";
import { startProgram, stopAll } from "./processes.ts";
import { tellStory } from "./story.ts";
import { paint, say } from "./terminal.ts";

const HELP = `npm run demo -- [options]

Kills a working agent with SIGKILL and lets it resume, while a coding assistant looks on.

  --seed <n>          kill at the same place as the run that printed this seed
  --question <text>   what the agent is to find out about this repository
  --llm <name>        local (default: plain rules, no key, always the same answer),
                      anthropic (needs ANTHROPIC_API_KEY) or openai (needs OPENAI_API_KEY)
  --model <name>      the hosted model to ask
  --pace <ms>         how long a step takes at least, so that you can follow (default 300)
  --out <folder>      where the report and the traces go (default ./tidebase-demo)
  --keep              keep the store, and say how to look into it
  --help              this text`;

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: String(Date.now() % 100_000) },
    question: { type: "string" },
    llm: { type: "string", default: "local" },
    model: { type: "string" },
    pace: { type: "string", default: "300" },
    out: { type: "string", default: "tidebase-demo" },
    keep: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});

function complain(): string | undefined {
  if (!Number.isSafeInteger(Number(values.seed))) return "--seed is a whole number.";
  if (!(Number(values.pace) >= 20)) return "--pace is a number of milliseconds, 20 or more.";
  if (!MODELS.some((name) => name === values.llm)) return `--llm is one of ${MODELS.join(", ")}.`;
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
  if (!values.keep) await rm(home, { recursive: true, force: true });
}

/** Only when the server could not: it stops its Postgres when it is the last to leave. */
async function stopPostgres(home: string): Promise<void> {
  const env = { ...process.env, TIDEBASE_HOME: home };
  await startProgram("cli/src/main.ts", ["db", "stop"], { env }).ended;
}

async function main(): Promise<number> {
  const complaint = complain();
  if (values.help || complaint !== undefined) {
    console.log(complaint === undefined ? HELP : `${complaint}\n\n${HELP}`);
    return complaint === undefined ? 0 : 1;
  }
  const home = await mkdtemp(join(tmpdir(), "tidebase-demo-"));
  const interrupted = new Promise<number>((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => resolve(130));
  });
  const story = tellStory(values, home).catch((error: unknown) => {
    say(paint("red", error instanceof Error ? error.message : String(error)));
    return 1;
  });
  const code = await Promise.race([story, interrupted]);
  await cleanUp(home);
  return code;
}

process.exit(await main());
