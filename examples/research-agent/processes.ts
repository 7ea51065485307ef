import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** Runs TypeScript from its source, without a build. */
export const NODE_OPTIONS = ["--import", "tsx", "--conditions=tidebase-source"] as const;

export interface Child {
  readonly pid: number;
  /** Once it has ended and everything it said has been heard. */
  readonly ended: Promise<{ readonly code: number | null; readonly signal: string | null }>;
  /** The lines of its standard error so far, the last ones. */
  errors(): string;
  kill(signal: NodeJS.Signals): void;
}

interface ChildOptions {
  readonly env: NodeJS.ProcessEnv;
  readonly onLine?: (line: string) => void;
  readonly onMessage?: (message: unknown) => void;
}

const KEPT_ERRORS = 30;
const running = new Set<ChildProcess>();
const closers = new Set<() => Promise<void>>();

/** Has something closed before the programs are stopped. */
export function closeFirst(close: () => Promise<void>): void {
  closers.add(close);
}

/** A program of this repository as a process of its own. */
export function startProgram(path: string, args: readonly string[], options: ChildOptions): Child {
  const child = spawn(process.execPath, [...NODE_OPTIONS, path, ...args], {
    cwd: ROOT,
    env: options.env,
    // Ctrl-C reaches the demo alone, which then ends its children in order.
    detached: process.platform !== "win32",
    stdio: ["ignore", "pipe", "pipe", ...(options.onMessage ? (["ipc"] as const) : [])],
  });
  if (child.pid === undefined || child.stdout === null || child.stderr === null)
    throw new Error(`${path} could not be started.`);
  running.add(child);
  child.once("exit", () => running.delete(child));
  child.on("message", (message) => options.onMessage?.(message));
  createInterface(child.stdout).on("line", (line) => options.onLine?.(line));
  const errors: string[] = [];
  createInterface(child.stderr).on("line", (line) => {
    errors.push(line);
    if (errors.length > KEPT_ERRORS) errors.shift();
  });
  return {
    pid: child.pid,
    ended: once(child, "close").then(([code, signal]) => ({ code, signal })),
    errors: () => errors.join("\n"),
    kill: (signal) => void child.kill(signal),
  };
}

/** Ends what still runs: politely, then after ten seconds not. */
export async function stopAll(): Promise<void> {
  await Promise.allSettled([...closers].map((close) => close()));
  const children = [...running];
  for (const child of children) child.kill("SIGTERM");
  const ends = Promise.all(children.map((child) => running.has(child) && once(child, "exit")));
  await Promise.race([ends, pause(10_000, undefined, { ref: false })]);
  for (const child of running) child.kill("SIGKILL");
}
