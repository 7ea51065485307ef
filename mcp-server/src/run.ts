import { readFileSync } from "node:fs";
import { Writable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import type { Environment } from "@tidebase/core";
import { createServer, serveStdio } from "./adapter-v1.ts";
import { HELP, type Request, readArguments } from "./arguments.ts";
import { connectLazily, openConnection } from "./connection.ts";
import { toolsFor } from "./tools/index.ts";

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
/** How long the end may take, in milliseconds: clients kill a server soon after. */
const PATIENCE_MS = 5000;

/** Answers the options that print, or serves until standard input ends or a signal comes. */
export async function run(program: Program): Promise<void> {
  const request = readArguments(program.given);
  if (request.kind === "help") program.write(HELP);
  else if (request.kind === "version") program.write(`${readVersion()}\n`);
  else if (request.kind === "refused") {
    program.log(`${request.because}\n\n${HELP}`);
    process.exitCode = USAGE_ERROR;
  } else await serve(program, request);
}

async function serve(
  { env, cwd, write, log }: Program,
  { readOnly, allowWrites, toolsets }: Extract<Request, { kind: "serve" }>,
): Promise<void> {
  const enqueues = toolsets.includes("start");
  const connection = connectLazily(() =>
    openConnection({ env, cwd, readOnly, allowWrites, enqueues }),
  );
  const server = createServer({
    tools: toolsFor({ readOnly, toolsets }),
    connection,
    version: readVersion(),
    ownRunId: env["TIDEBASE_RUN_ID"],
    onError: (error) => log(lineOf(error)),
  });
  const output = new Writable({
    write: (chunk, _, done) => {
      write(chunk, (error) => done(error));
    },
  });
  const end = once(async () => {
    await server.close();
    await new Promise<void>((resolve) => output.end(resolve));
    await connection.close();
  });
  const whenIdle = async (): Promise<void> => {
    await Promise.race([server.idle(), delay(PATIENCE_MS, undefined, { ref: false })]);
    await end();
  };
  process.stdin.once("end", whenIdle).once("close", whenIdle);
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(signal, end);
  for (const stream of [process.stdout, output]) stream.once("error", end); // nobody reads it
  await serveStdio(server, process.stdin, output);
}

/** Ends the process after the work, done once; and without it when it takes too long. */
function once(work: () => Promise<void>): () => Promise<void> {
  let ending: Promise<void> | undefined;
  return () => {
    ending ??= Promise.race([work(), delay(PATIENCE_MS)]).finally(() => process.exit());
    return ending;
  };
}

/** For the log: what happened, never an answer to the agent. */
function lineOf(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}

/** Of the package this file was published in. */
function readVersion(): string {
  const text = readFileSync(new URL("../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}
