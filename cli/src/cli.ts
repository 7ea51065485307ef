import { toJson } from "@tidebase/core";
import { type Paint, plainJson } from "./output.ts";
import type { Terminal } from "./terminal.ts";

/** The flags that every command takes. */
export interface Flags {
  readonly json?: boolean;
  readonly url?: string;
  readonly databaseUrl?: string;
  readonly schema?: string;
}

/** What main.ts hands in. */
export interface Surroundings {
  readonly terminal: Terminal;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly version: string;
  /** What a signal has to leave in order. */
  readonly leaving: Set<() => Promise<void>>;
}

/** What a command works with. */
export interface Cli extends Surroundings {
  readonly paint: Paint;
  /** As they were given; known once the command line was read. */
  flags(): Flags;
  /** Another end than 0 and 1, which the command documents. */
  exitWith(code: number): void;
}

/** Prints what an operation answered: as it is with --json, else as the text that is made of it. */
export async function printAnswer<Answer>(
  { terminal, flags }: Cli,
  answer: Answer,
  text: (answer: Answer) => string,
): Promise<void> {
  if (flags().json !== true) return await terminal.out(text(answer));
  const json = `${toJson(answer)}\n`;
  await terminal.out(terminal.screen ? `${plainJson(json.trimEnd())}\n` : json);
}

/** Does the work, and whatever happens leaves afterwards; also when a signal ends the program. */
export async function andLeave<T>(
  { leaving }: Cli,
  leave: () => Promise<void>,
  work: () => Promise<T>,
): Promise<T> {
  leaving.add(leave);
  try {
    return await work();
  } finally {
    leaving.delete(leave);
    await leave();
  }
}
