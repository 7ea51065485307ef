import { randomUUID } from "node:crypto";
import { v7 } from "uuid";

/**
 * A new run id, time-ordered (RFC 9562, version 7). Keep it and give it as `runId` to find the same
 * run again, whether or not it was ever created.
 */
export function newRunId(): string {
  return `run_${v7()}`;
}

/** Names one grant of a lease, so that a begin that is sent again finds its own. */
export function newGrantId(): string {
  return `grant_${randomUUID()}`;
}
