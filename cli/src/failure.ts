import { ERRORS, StoreError, TidebaseError, TransferError } from "@tidebase/core";
import { plain } from "./output.ts";

/** Exit codes of every command; `runs verdict` has more of its own. */
export const EXIT = { ok: 0, failure: 1, usage: 2 } as const;

/** The command was not given what it needs, or what it cannot take. */
export class UsageError extends Error {
  override readonly name = "UsageError";
  readonly fix: string;

  constructor(message: string, fix: string) {
    super(message);
    this.fix = fix;
  }
}

/** The command cannot do it here; `code` names why, `fix` says what to do. */
export class CommandError extends Error {
  override readonly name = "CommandError";
  readonly code: string;
  readonly fix: string;
  readonly data: Readonly<Record<string, unknown>>;

  constructor(
    code: string,
    {
      message,
      fix,
      data = {},
      cause,
    }: Pick<Failure, "message" | "fix" | "data"> & { cause?: unknown },
  ) {
    super(message, { cause });
    this.code = code;
    this.fix = fix;
    this.data = data;
  }
}

/** What is told of a failure, and with which code the program ends. */
export interface Failure {
  readonly code: string;
  readonly message: string;
  readonly fix: string;
  /** Ids and numbers that the message is about. */
  readonly data?: Readonly<Record<string, unknown>>;
  readonly exitCode: number;
}

/** Tells a thrown value: ours with its fix, a file's with its path, all else as a bug. */
export function describeFailure(thrown: unknown): Failure {
  if (thrown instanceof UsageError)
    return { code: "usage", message: thrown.message, fix: thrown.fix, exitCode: EXIT.usage };
  if (thrown instanceof TidebaseError) return ofOperation(thrown);
  if (thrown instanceof CommandError) {
    const { code, message, fix, data } = thrown;
    return { code, message, fix, ...told(data), exitCode: EXIT.failure };
  }
  if (thrown instanceof StoreError || thrown instanceof TransferError) {
    const { code, message, fix } = thrown;
    const exitCode = code.startsWith("variable_") ? EXIT.usage : EXIT.failure;
    return { code, message, fix, exitCode };
  }
  const { code, message } = Object(thrown) as { code?: unknown; message?: unknown };
  if (typeof code === "string" && /^E[A-Z]+$/.test(code)) {
    const fix = "Check the path, its permissions and the space on the disk.";
    return { code: "file_failed", message: `${String(message)}.`, fix, exitCode: EXIT.failure };
  }
  return {
    code: "internal",
    message: `Tidebase failed: ${String(message ?? thrown)}`,
    fix: "This is a bug of Tidebase; please report it with the command that showed it.",
    exitCode: EXIT.failure,
  };
}

function ofOperation({ code, data }: TidebaseError): Failure {
  const { title, detail } = ERRORS[code];
  const exitCode = code === "input_invalid" ? EXIT.usage : EXIT.failure;
  return { code, message: title, fix: detail, ...told(data), exitCode };
}

function told(data: Readonly<Record<string, unknown>>): Pick<Failure, "data"> {
  return Object.keys(data).length === 0 ? {} : { data };
}

/** The failure for people: what happened, and what to do. */
export function failureText({ message, fix, data = {} }: Failure): string {
  const about = Object.entries(data)
    .filter(([, value]) => value !== undefined && value !== null)
    .map(([name, value]) => `${name}: ${typeof value === "string" ? value : JSON.stringify(value)}`)
    .join(", ");
  return `tidebase: ${plain(message)}${about === "" ? "" : ` (${plain(about)})`}\n  fix: ${plain(fix)}`;
}

/** The failure for programs. */
export function failureJson({ exitCode: _, ...error }: Failure): string {
  return JSON.stringify({ error });
}
