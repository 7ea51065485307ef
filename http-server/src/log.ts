import { type DestinationStream, destination, type Logger, pino } from "pino";

export type { Logger } from "pino";

/** pino's levels, the gravest first. */
export const LOG_LEVELS = ["fatal", "error", "warn", "info", "debug", "trace", "silent"] as const;
/** One of the levels. */
export type LogLevel = (typeof LOG_LEVELS)[number];

/**
 * Lines of JSON on stderr: ids, sizes, codes and stacks. Never a body, a query string or a key.
 * Requests that went well are `debug`, the caller's mistakes `info`, refusals and an absent
 * database `warn`, our own failures `error`.
 */
export function openLog(
  level: LogLevel,
  stream: DestinationStream = destination({ dest: 2, sync: true }),
): Logger {
  return pino({ level, base: { pid: process.pid }, serializers: { err: describe } }, stream);
}

/** What happened, without a stack: the message and code, of the first where several failed. */
export function inOneLine(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { message } = error;
  const code: unknown = Reflect.get(error, "code");
  if (message === "" && error instanceof AggregateError && error.errors.length > 0)
    return inOneLine(error.errors[0]);
  const line = message.split("\n", 1)[0] || error.name;
  return typeof code !== "string" || line.includes(code) ? line : `${line} (${code})`;
}

interface Described {
  readonly type: string;
  readonly message: string;
  readonly stack?: string | undefined;
  readonly code?: unknown;
  readonly cause?: Described | undefined;
}

/** A failure without its other members: those of a database error may quote the row. */
function describe(error: unknown): Described {
  if (!(error instanceof Error)) return { type: typeof error, message: String(error) };
  const { name, message, stack, cause } = error;
  const code: unknown = Reflect.get(error, "code");
  return {
    type: name,
    message,
    stack,
    code,
    ...(cause instanceof Error && { cause: describe(cause) }),
  };
}
