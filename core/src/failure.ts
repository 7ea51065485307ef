import { TidebaseError } from "./errors.ts";

/** Whether the database is away, or busy: no row is at fault. */
export function isAway(failure: unknown): boolean {
  return failure instanceof TidebaseError && failure.code !== "input_refused";
}

/** What Postgres says of the row that is at fault, as it is kept beside the row: at most 500 characters. */
export function faultOf(failure: unknown): string {
  const cause = failure instanceof TidebaseError ? failure.cause : failure;
  return cause instanceof Error ? cause.message.slice(0, 500) : "unknown";
}
