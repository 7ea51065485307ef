import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { fileURLToPath, pathToFileURL } from "node:url";
import { afterAll } from "vitest";
import { runProgram as runMain } from "../../src/program.ts";
import { openTerminal } from "../../src/terminal.ts";

const TSX = pathToFileURL(createRequire(import.meta.url).resolve("tsx")).href;
const MAIN = fileURLToPath(new URL("../../src/main.ts", import.meta.url));
/** Nothing of the machine's own settings leads to a store. */
const INHERITED = ["PATH", "HOME", "USER", "TMPDIR", "SYSTEMROOT", "LANG"];

export type Env = Readonly<Record<string, string>>;

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A folder of this test file, which goes with it. */
export function useFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), `tidebase-test-${process.pid}-`));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A program of this repository, from its source, in the folder. */
export function startProgram(
  folder: string,
  args: readonly string[],
  env: Env,
  main: string = MAIN,
): ChildProcess {
  const inherited = INHERITED.map((name) => [name, process.env[name]]);
  return spawn(process.execPath, ["--import", TSX, "--conditions=tidebase-source", main, ...args], {
    cwd: folder,
    env: { ...Object.fromEntries(inherited), ...env },
  });
}

/**
 * The same program inside this process, for the many cases in which its own process is not the point.
 * `typed` makes its streams a terminal, or only those that are named, and is what is typed there.
 */
export async function runInside(
  folder: string,
  args: readonly string[],
  env: Env = {},
  typed?: string,
  terminals: readonly ("stdin" | "stdout" | "stderr")[] = ["stdin", "stdout", "stderr"],
): Promise<Ended> {
  const stream = (name: (typeof terminals)[number]) =>
    Object.assign(new PassThrough(), { isTTY: typed !== undefined && terminals.includes(name) });
  const [stdin, stdout, stderr] = [stream("stdin"), stream("stdout"), stream("stderr")];
  const [out, err] = [collect(stdout), collect(stderr)];
  stdin.end(typed);
  const code = await runMain(args, {
    terminal: openTerminal({ stdin, stdout, stderr }, env),
    env,
    cwd: folder,
    version: "0.0.0",
    leaving: new Set(),
  });
  return { code, stdout: out(), stderr: err() };
}

/** Runs the real program to its end. */
export async function runProgram(
  folder: string,
  args: readonly string[],
  env: Env = {},
  input: string | Buffer = "",
): Promise<Ended> {
  const child = startProgram(folder, args, env);
  const [stdout, stderr] = [collect(child.stdout), collect(child.stderr)];
  child.stdin?.on("error", () => {}); // it may end without having read
  child.stdin?.end(input);
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  return { code, stdout: stdout(), stderr: stderr() };
}

/** What the stream has said so far. */
export function collect(stream: NodeJS.ReadableStream | null): () => string {
  const decoder = new TextDecoder();
  let text = "";
  stream?.on("data", (chunk: Uint8Array) => {
    text += decoder.decode(chunk, { stream: true });
  });
  return () => text;
}
