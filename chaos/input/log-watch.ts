import type { ChildProcess } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";

/** What a program writes on its outputs: into a file, so that a busy reader never makes it wait. */
export interface WatchedLog {
  /** Where the program's outputs go. */
  readonly fd: number;
  /** What it first matches. Throws with all of it when the program ends before that. */
  until(child: ChildProcess, pattern: RegExp): Promise<RegExpExecArray>;
  lines(): readonly string[];
  /** The lines that hold this text. */
  holding(text: string): string[];
  /** Sentences about lines that no log may hold; `marks` are texts that were sent and may not come back. */
  problems(marks?: readonly string[]): string[];
  close(): void;
}

/** What may never stand unescaped in a line: a terminal, a parser or a reader would take it for more than text. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const UNESCAPED = /[\u0000-\u0008\u000b-\u001f\u007f\u0080-\u009f\u202a-\u202e\u2066-\u2069]/;

const PROBLEMS_MAX = 10;
const START_MS = 60_000;

/** A new file at this path. */
export function watchLog(path: string): WatchedLog {
  const fd = openSync(path, "ax");
  const text = () => readFileSync(path, "utf8");
  const lines = () => text().split("\n").slice(0, -1);
  return {
    fd,
    async until(child, pattern) {
      for (const late = performance.now() + START_MS; performance.now() < late; await delay(25)) {
        const match = pattern.exec(text());
        if (match !== null) return match;
        if (child.exitCode !== null || child.signalCode !== null) break;
      }
      throw new Error(`It did not print ${pattern}, but: ${text()}`);
    },
    lines,
    holding: (wanted) => lines().filter((line) => line.includes(wanted)),
    problems(marks = []) {
      const bad = lines().flatMap((line) => {
        const wrong = wrongOf(line, marks);
        if (wrong === undefined) return [];
        return [`A line of the log ${wrong}: ${JSON.stringify(line.slice(0, 400))}`];
      });
      return bad.slice(0, PROBLEMS_MAX);
    },
    close: () => closeSync(fd),
  };
}

function wrongOf(line: string, marks: readonly string[]): string | undefined {
  if (UNESCAPED.test(line)) return "holds a character that is not escaped";
  const mark = marks.find((one) => line.includes(one));
  if (mark !== undefined) return `repeats what was sent (${mark})`;
  if (!line.startsWith("{")) return undefined;
  try {
    JSON.parse(line);
    return undefined;
  } catch {
    return "begins like JSON and is none";
  }
}
