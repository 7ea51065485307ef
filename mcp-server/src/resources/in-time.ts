import { setTimeout as delay } from "node:timers/promises";

const PATIENCE_MS = 2000;

/**
 * What the work brings, or undefined when it fails or takes longer than two seconds: for what can be told
 * without it. `onError` is told of a failure, however late.
 */
export async function inTime<Result>(
  work: Promise<Result>,
  onError?: (error: unknown) => void,
): Promise<Result | undefined> {
  const over = new AbortController();
  const late = delay(PATIENCE_MS, undefined, { signal: over.signal }).catch(() => undefined);
  const done = work.catch((error: unknown) => {
    onError?.(error);
    return undefined;
  });
  try {
    return await Promise.race([done, late]);
  } finally {
    over.abort();
  }
}
