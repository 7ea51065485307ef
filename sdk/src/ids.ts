import { randomUUID } from "node:crypto";
import { v7 } from "uuid";
import { TidebaseError } from "./errors.ts";

const RUN_ID = /^run_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/**
 * A new run id, time-ordered (RFC 9562, version 7). Keep it and give it as `runId` to find the same
 * run again, whether or not it was ever created.
 */
export function newRunId(): string {
  return `run_${v7()}`;
}

/** Throws `input_invalid` before any request for what can be the id of no run. */
export function checkRunId(runId: unknown): void {
  if (typeof runId === "string" && RUN_ID.test(runId)) return;
  throw new TidebaseError(
    "input_invalid",
    "runId must be run_ and a lower-case uuid; newRunId() makes one.",
    { runId },
  );
}

/** Names one signal, so that sending it again because of a lost answer changes nothing. */
export function newSignalKey(): string {
  return randomUUID();
}

/** Names one worker: random, so that none is ever taken for another that had its name before. */
export function newWorkerId(): string {
  return `worker_${randomUUID()}`;
}

/** Names one grant of a lease, so that a begin that is sent again finds its own. */
export function newGrantId(): string {
  return `grant_${randomUUID()}`;
}
