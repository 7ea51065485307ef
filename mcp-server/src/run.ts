import { Writable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import type { Environment } from "@tidebase/core";
import { createServer, serveStdio } from "./adapter-v1.ts";
import { isEmbedded, serveBeside } from "./api/beside.ts";
import { HELP, type Request, readArguments } from "./arguments.ts";
import { connectLazily, openConnection } from "./connection.ts";
import { inputLines } from "./input-lines.ts";
import { isReadOnly } from "./settings.ts";
import { toolsFor } from "./tools/index.ts";
import { readVersion } from "./version.ts";

/** What `main.ts` alone may take from the process. */
export interface Program {
  readonly given: readonly string[];
  readonly env: Environment;
  readonly cwd: string;
  /** Writes to the real standard output. */
  readonly write: typeof process.stdout.write;
  readonly log: (text: string) => void;
}

const USAGE_ERROR = 2;

/** Answers the options that print, does a subcommand, or serves one client on standard input and output. */
export async function run(program: Program): Promise<void> {
  const request = readArguments(program.given);
  switch (request.kind) {
    case "help":
      program.write(HELP);
      break;
    case "version":
      program.write(`${readVersion()}\n`);
      break;
    case "refused":
      program.log(`${request.because}\n\n${HELP}`);
      process.exitCode = USAGE_ERROR;
      break;
    case "install": {
      const { install } = await import("./install/install.ts");
      process.exitCode = await install(program, request.args);
      break;
    }
    case "http": {
      const { serveHttp } = await import("./http/serve.ts");
      await serveHttp(program, { ...request, readOnly: isTightened(program, request) });
      break;
    }
    case "serve":
      await serve(program, { ...request, readOnly: isTightened(program, request) });
  }
}

/** The environment may only take away. */
function isTightened({ env }: Program, { readOnly }: { readonly readOnly: boolean }): boolean {
  return readOnly || isReadOnly(env);
}

type Serving = Extract<Request, { kind: "serve" }>;

async function serve(program: Program, settings: Serving): Promise<void> {
  const { env, write, log } = program;
  const { readOnly, toolsets } = settings;
  const tools = toolsFor({ readOnly, toolsets, tools: settings.tools });
  const { connection, begin, close } = openStoreFor(program, {
    ...settings,
    enqueues: tools.some(({ toolset }) => toolset === "start"),
  });
  const server = createServer({
    tools,
    connection,
    version: readVersion(),
    ownRunId: env["TIDEBASE_RUN_ID"],
    onError: (error) => log(lineOf(error)),
  });
  const output = new Writable({
    write: (chunk, _, done) => {
      write(chunk, (error) => done(error));
      begin(); // the first answer is that to `initialize`
    },
  });
  const end = once(async () => {
    await server.close();
    await new Promise<void>((resolve) => output.end(resolve));
    await close();
  });
  const whenIdle = async (): Promise<void> => {
    const since = performance.now();
    const patience = connection.isOpening() ? START_MS : ANSWER_MS;
    await Promise.race([server.idle(), delay(patience)]);
    await end(Math.max(END_MS - (performance.now() - since), CLOSE_MS));
  };
  const input = process.stdin.pipe(
    inputLines((answer) => {
      log("A message was too long, and refused.");
      if (answer !== undefined) output.write(answer);
    }),
  );
  input.once("end", whenIdle);
  process.stdin.once("close", () => input.end());
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const)
    process.on(signal, () => end(END_MS));
  for (const stream of [process.stdout, output]) stream.once("error", () => end(END_MS)); // nobody reads it
  await serveStdio(server, input, output);
}

/** The program is gone within this after the end of its input, in milliseconds: clients kill it soon after. */
const END_MS = 900;
/** Of that, what is kept for closing … */
const CLOSE_MS = 450;
/** … and what calls under way may take: one that waits for a run is not answered any more … */
const ANSWER_MS = END_MS - CLOSE_MS;
/** … but those that wait for the store itself are: whoever pipes two lines into us waits for the answer. */
const START_MS = 5000;

/** Until then a client that only wants to know what there is has left again. */
const SETTLED_MS = 500;
/** Programs wait for the API, and no call of a tool may ever come. */
const AGAIN_MS = 10_000;

/** The store of the tools, with its API beside them where that is asked for; `begin` does not wait for a call. */
function openStoreFor({ env, cwd, log }: Program, settings: Serving & { enqueues: boolean }) {
  const { readOnly, allowWrites, enqueues, api } = settings;
  const open = () => openConnection({ env, cwd, readOnly, allowWrites, enqueues });
  const beside = api ? serveBeside({ env, open, log }) : { open, close: async () => {} };
  const connection = connectLazily(beside.open);
  let begun = !api || readOnly;

  let failure: string | undefined;
  async function connect(): Promise<void> {
    if (!(await isEmbedded(env, cwd))) return;
    try {
      await connection.get();
    } catch (error) {
      if (failure !== lineOf(error)) log(lineOf(error));
      failure = lineOf(error);
      setTimeout(connect, AGAIN_MS).unref();
    }
  }

  function begin(): void {
    if (!begun) setTimeout(connect, SETTLED_MS).unref();
    begun = true;
  }

  async function close(): Promise<void> {
    await beside.close();
    await connection.close();
  }
  return { connection, begin, close };
}

/** Ends the process after the work, done once; and without it when it takes longer than `withinMs`. */
function once(work: () => Promise<void>): (withinMs: number) => Promise<void> {
  let ending: Promise<void> | undefined;
  return (withinMs) => {
    ending ??= Promise.race([work(), delay(withinMs)]).finally(() => process.exit());
    return ending;
  };
}

/** For the log: what happened, never an answer to the agent. */
function lineOf(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}
