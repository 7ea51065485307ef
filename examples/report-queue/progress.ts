import type { Queue } from "@tidebase/sdk";
import { say } from "../research-agent/terminal.ts";

const WIDTH = 30;
/** Where nothing can be overwritten, a line is worth so much progress. */
const PART = 0.25;

/** One line that shows how far a queue is, overwritten where there is a terminal. */
export class Progress {
  readonly #total: number;
  #said = -1;
  /** The largest age of a run that was ready. */
  oldestMs = 0;

  constructor(total: number) {
    this.#total = total;
  }

  /** Gives how many of them are neither in the queue nor failed. */
  show(queue: Queue): number {
    const { ready, delayed, running, waiting, failed } = queue;
    this.oldestMs = Math.max(this.oldestMs, queue.oldestReadyMs ?? 0);
    const done = Math.max(0, this.#total - ready - delayed - running - waiting - failed);
    const filled = Math.min(WIDTH, Math.round((done / this.#total) * WIDTH));
    const bar = "█".repeat(filled) + "░".repeat(WIDTH - filled);
    const line = `${bar} ${done}/${this.#total} · ${running} running · ${ready} ready · ${delayed} delayed · ${failed} dead`;
    if (process.stdout.isTTY === true) process.stdout.write(`\r\u001b[K   ${line}`);
    else if (this.#isNews(done)) say(line);
    return done;
  }

  /** Leaves the line as it is, for what comes next. */
  end(): void {
    if (process.stdout.isTTY === true) process.stdout.write("\n");
  }

  #isNews(done: number): boolean {
    const part = Math.floor(done / this.#total / PART);
    if (part <= this.#said) return false;
    this.#said = part;
    return true;
  }
}
