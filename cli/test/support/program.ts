import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { afterAll } from "vitest";

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
  return spawn(
    process.execPath,
    ["--import", TSX, "--conditions=tidebase-source", main, ...args],
    { cwd: folder, env: { ...Object.fromEntries(inherited), ...env } },
  );
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
  const chunks: Buffer[] = [];
  stream?.on("data", (chunk: Buffer) => chunks.push(chunk));
  return () => Buffer.concat(chunks).toString();
}
