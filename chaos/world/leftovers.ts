import { type ChildProcess, execFileSync } from "node:child_process";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";

/* What has to end with the harness, however the harness ends. */

const processes = new Map<number, NodeJS.Signals>();
const folders = new Set<string>();
const mounts = new Set<string>();
const harnesses = new Set<ChildProcess>();
const HARNESS_MS = 10_000;
let isWatching = false;

function watch(): void {
  if (isWatching) return;
  isWatching = true;
  process.once("exit", sweep);
}

/** A process that gets this signal when the harness exits; the result forgets it, once it is gone. */
export function followed(pid: number, signal: NodeJS.Signals = "SIGKILL"): () => void {
  watch();
  processes.set(pid, signal);
  return () => void processes.delete(pid);
}

/** A folder that is removed when the harness exits; the result forgets it. */
export function temporary(folder: string): () => void {
  watch();
  folders.add(folder);
  return () => void folders.delete(folder);
}

/** A place where something is mounted until the harness exits; the result forgets it. */
export function mounted(path: string): () => void {
  watch();
  mounts.add(path);
  return () => void mounts.delete(path);
}

/** Takes the mount off at once; what still has files of it open keeps them to itself until it ends. */
export function unmount(path: string): void {
  execFileSync("umount", ["-l", path], { stdio: "ignore" });
}

/** A harness of its own below this one: it has leftovers too. A run of tests leaves its own to the next one. */
export function harness(child: ChildProcess): void {
  harnesses.add(child);
  child.once("exit", () => harnesses.delete(child));
}

/** Asks them to end, and waits for it so long. */
export async function endHarnesses(): Promise<void> {
  const ends = [...harnesses].map((child) => {
    const ended = once(child, "exit");
    child.kill("SIGTERM");
    return ended;
  });
  await Promise.race([Promise.all(ends), delay(HARNESS_MS)]);
}

function sweep(): void {
  for (const [pid, signal] of processes) {
    try {
      process.kill(pid, signal);
      process.kill(pid, "SIGCONT"); // one that was stopped would never hear of it
    } catch {
      // it is gone
    }
  }
  for (const path of mounts) {
    try {
      unmount(path);
    } catch {
      // the next harness finds it by its mark
    }
  }
  for (const folder of folders) {
    try {
      rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
    } catch {
      // something in it was still being written: it lies in the system's temporary folder
    }
  }
}
