import { rmSync } from "node:fs";

/* What has to end with the harness, however the harness ends. */

const processes = new Map<number, NodeJS.Signals>();
const folders = new Set<string>();
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

function sweep(): void {
  for (const [pid, signal] of processes) {
    try {
      process.kill(pid, signal);
      process.kill(pid, "SIGCONT"); // one that was stopped would never hear of it
    } catch {
      // it is gone
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
