import type { Environment } from "@tidebase/core";

/** What `main.ts` alone may take from the process. */
export interface Program {
  readonly given: readonly string[];
  readonly env: Environment;
  readonly cwd: string;
  /** Writes to the real standard output. */
  readonly write: typeof process.stdout.write;
  readonly log: (text: string) => void;
}

/** For the log: what happened, never an answer to the agent. */
export function lineOf(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}
