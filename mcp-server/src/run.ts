import { HELP, readArguments } from "./arguments.ts";
import type { Program } from "./program.ts";
import { isReadOnly } from "./read-only.ts";
import { serve } from "./stdio.ts";
import { readVersion } from "./version.ts";

const USAGE_ERROR = 2;

/** Answers the options that print, does a subcommand, or serves one client on standard input and output. */
export async function run(program: Program): Promise<void> {
  const request = await readArguments(program.given);
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
