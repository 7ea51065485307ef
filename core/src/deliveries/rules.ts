import type { Outcome } from "./send.ts";

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

/** After each failure; the last repeats until the day is over. */
const PAUSES = [
  5 * SECOND,
  30 * SECOND,
  2 * MINUTE,
  10 * MINUTE,
  30 * MINUTE,
  HOUR,
  2 * HOUR,
  4 * HOUR,
];
const JITTER = 0.2;
const RETRY_AFTER_MAX = HOUR;
/** A receiver took a `run.invoke`; if the run has not begun by then, it is sent again. */
const INVOKE_AGAIN_MS = MINUTE;

/** Milliseconds until the attempt after `attempts` failed ones; `random` is in [0, 1). */
export function pauseAfter(attempts: number, random: number): number {
  const pause = PAUSES[Math.min(attempts, PAUSES.length) - 1] ?? PAUSES[0] ?? 0;
  return Math.round(pause * (1 - JITTER + 2 * JITTER * random));
}

/** Milliseconds that a Retry-After asks for (RFC 9110 §10.2.3), at most an hour; undefined when it asks nothing. */
export function retryAfterMs(header: string | undefined, now: number): number | undefined {
  if (header === undefined) return undefined;
  const ms = /^\d{1,9}$/.test(header) ? Number(header) * SECOND : Date.parse(header) - now;
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(ms, 0), RETRY_AFTER_MAX);
}

/** What an attempt means for its delivery and its webhook. */
export interface Judgement {
  /** `asked`: the receiver took the `run.invoke`; whether it begins the run is still to be seen. */
  readonly verdict: "delivered" | "asked" | "failed";
  /** The receiver wants nothing more, ever. */
  readonly gone: boolean;
  readonly pauseMs: number;
}

/** Success is 2xx alone; a redirect is a failure like any other. 410 ends the webhook. */
export function judge(
  { status = 0, retryAfter }: Outcome,
  { type, attempts }: { type: string; attempts: number },
  { now, random }: { now: number; random: number },
): Judgement {
  const isInvoke = type === "run.invoke";
  if (status >= 200 && status < 300) {
    const verdict = isInvoke ? "asked" : "delivered";
    return { verdict, gone: false, pauseMs: INVOKE_AGAIN_MS };
  }
  const wished = status === 429 || status === 503 ? retryAfterMs(retryAfter, now) : undefined;
  const pause = pauseAfter(attempts, random);
  // A `run.invoke` is repeated every minute as long as it is taken: a failure in between changes nothing.
  const pauseMs = Math.max(isInvoke ? Math.min(pause, INVOKE_AGAIN_MS) : pause, wished ?? 0);
  return { verdict: "failed", gone: status === 410, pauseMs };
}

/** Operations after which the outbox cannot have grown: the hot path wakes nobody. */
const QUIET = /^(?:steps\.(?:begin|complete|fail)|state\.|runs\.heartbeat|keys\.)/;

/** Whether this operation may have left a message to send, by its answer too: a claim of nothing wrote nothing. */
export function fillsOutbox(
  { name, effect }: { name: string; effect: string },
  answer: object = {},
): boolean {
  const isEmpty = "runs" in answer && Array.isArray(answer.runs) && answer.runs.length === 0;
  return effect !== "read" && !isEmpty && !QUIET.test(name);
}
