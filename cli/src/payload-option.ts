import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { text } from "node:stream/consumers";
import type { Cli } from "./cli.ts";
import { UsageError } from "./failure.ts";

/** The `input` that --input gives: JSON, `@file` for a file of JSON, or `@-` for standard input. */
export async function payloadOf(
  { terminal, cwd }: Cli,
  given: string | undefined,
): Promise<{ readonly input?: unknown }> {
  if (given === undefined) return {};
  if (!given.startsWith("@")) return { input: parsed(given, "--input") };
  const file = given.slice(1);
  if (file !== "-") return { input: parsed(await readFile(resolve(cwd, file), "utf8"), file) };
  if (terminal.interactive)
    throw new UsageError("There is nothing to read.", "Name the file, or redirect it.");
  return { input: parsed(await text(terminal.input), "Standard input") };
}

function parsed(json: string, what: string): unknown {
  try {
    return JSON.parse(json);
  } catch (cause) {
    const fix = "A string needs its quotes, a file an @ in front.";
    throw Object.assign(new UsageError(`${what} is no JSON.`, fix), { cause });
  }
}
