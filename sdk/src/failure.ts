/** How a thrown value is recorded. Unlike the value itself it can always be written down. */
export interface RecordedFailure {
  readonly name: string;
  readonly message: string;
  readonly stack?: string;
  readonly code?: string | number;
  readonly cause?: RecordedFailure;
  readonly errors?: readonly RecordedFailure[];
}

const LONGEST_TEXT = 16_000;
const DEEPEST_CAUSE = 8;
const MOST_ERRORS = 10;

/** Name, message, stack, code, causes and the errors of an AggregateError; texts are bounded. */
export function recordFailure(thrown: unknown, depth = 0): RecordedFailure {
  try {
    if (!(thrown instanceof Error)) return { name: typeof thrown, message: bounded(show(thrown)) };
    const { code, cause } = thrown as { code?: unknown; cause?: unknown };
    const errors = thrown instanceof AggregateError ? thrown.errors : [];
    const deeper = depth < DEEPEST_CAUSE;
    return {
      name: bounded(String(thrown.name)),
      message: bounded(String(thrown.message)),
      ...(typeof thrown.stack === "string" && { stack: bounded(thrown.stack) }),
      ...((typeof code === "string" || typeof code === "number") && { code }),
      ...(cause !== undefined && deeper && { cause: recordFailure(cause, depth + 1) }),
      ...(errors.length > 0 &&
        deeper && {
          errors: errors.slice(0, MOST_ERRORS).map((error) => recordFailure(error, depth + 1)),
        }),
    };
  } catch {
    return { name: "Error", message: "An error that cannot be read was thrown." };
  }
}

/** The first line of the message, at most 2,000 characters, without what cannot be stored. */
export function lineOf({ name, message }: RecordedFailure): string {
  const line = message.split("\n", 1)[0]?.trim() || name;
  return line.slice(0, 2000).replace(/\0|\p{Surrogate}/gu, "\uFFFD");
}

function bounded(text: string): string {
  return text.length <= LONGEST_TEXT ? text : `${text.slice(0, LONGEST_TEXT)}…`;
}

function show(thrown: unknown): string {
  if (typeof thrown !== "object" || thrown === null) return String(thrown);
  return JSON.stringify(thrown) ?? String(thrown);
}
