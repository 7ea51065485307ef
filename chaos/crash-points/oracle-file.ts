import { randomUUID } from "node:crypto";
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, writeSync } from "node:fs";
import { now } from "../history/evidence.ts";

/** What a step's function did, or that its caller was told its output; on disk before anybody goes on. */
export interface Line {
  readonly kind: "effect" | "acknowledged";
  readonly at: number;
  readonly run: string;
  readonly step: string;
  readonly attempt: number;
  /** The process. */
  readonly proc: string;
  readonly nonce: string;
}

/** Writes lines to a file that several processes append to. */
export interface OracleFile {
  effect(run: string, step: string, attempt: number): void;
  acknowledged(run: string, step: string): void;
  close(): void;
}

/** Opens the file, which need not exist. */
export function openOracleFile(path: string, proc: string): OracleFile {
  const file = openSync(path, "a");
  const write = (line: Pick<Line, "kind" | "run" | "step" | "attempt">) => {
    const all: Line = { ...line, at: now(), proc, nonce: randomUUID() };
    writeSync(file, `${JSON.stringify(all)}\n`);
    fsyncSync(file);
  };
  return {
    effect: (run, step, attempt) => write({ kind: "effect", run, step, attempt }),
    acknowledged: (run, step) => write({ kind: "acknowledged", run, step, attempt: 0 }),
    close: () => closeSync(file),
  };
}

/** The lines in the order in which they were written. */
export function readOracleFile(path: string): Line[] {
  if (!existsSync(path)) return [];
  const lines = readFileSync(path, "utf8").split("\n");
  return lines.filter((line) => line !== "").map((line) => JSON.parse(line) as Line);
}
