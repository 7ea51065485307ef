import { readFileSync } from "node:fs";
import { Writable } from "node:stream";
import { createServer, serveStdio } from "./adapter-v1.ts";
import { HELP, readArguments } from "./arguments.ts";
import { connectLazily, openConnection } from "./connection.ts";
import { toolsFor } from "./tools/index.ts";

/** What `main.ts` alone may take from the process. */
export interface Program {
  readonly given: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** Writes to the real standard output. */
  readonly write: typeof process.stdout.write;
  readonly log: (text: string) => void;
}

const USAGE_ERROR = 2;

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
  { readOnly, allowWrites }: { readOnly: boolean; allowWrites: boolean },
): Promise<void> {
  const connection = connectLazily(() => openConnection({ env, cwd, readOnly, allowWrites }));
  const server = createServer({
    tools: toolsFor({ readOnly }),
    connection,
    version: readVersion(),
    onError: (error) => log(lineOf(error)),
  });
  const output = new Writable({
    write: (chunk, _, done) => {
      write(chunk, (error) => done(error));
    },
  });
  const end = endOnce(async () => {
    await server.close();
    await connection.close();
  });
  process.stdin.once("end", () => void server.idle().then(() => end(0)));
  process.stdin.once("close", () => void server.idle().then(() => end(0)));
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(signal, () => end(0));
  for (const stream of [process.stdout, output]) stream.once("error", () => end(1)); // nobody reads
  await serveStdio(server, process.stdin, output);
}
