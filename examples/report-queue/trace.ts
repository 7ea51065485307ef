import { appendFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";

/** What a process wrote when it called the function of a step, and when that ended. */
export interface Trace {
  readonly pid: number;
  /** A document that has changed has another run. */
  readonly runId: string;
  readonly step: string;
  readonly path: string;
  readonly attempt: number;
  readonly at: "begun" | "done" | "threw";
}

/** Below the output folder: a file for each process. */
export const TRACES = "trace";

/**
 * Appends to the file of this process, at once, so that a killed process leaves it whole: the proof of
 * what ran how often is kept beside the store, not in it.
 */
export function newTrace(out: string): (line: Omit<Trace, "pid">) => void {
  const folder = join(out, TRACES);
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `${process.pid}.jsonl`);
  return (line) => appendFileSync(file, `${JSON.stringify({ pid: process.pid, ...line })}\n`);
}
