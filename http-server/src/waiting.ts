import type { AnyOperation } from "@tidebase/core";

/** Whether the operation may wait for something: only such a one has a use for a signal. */
export function mayWait({ input }: AnyOperation): boolean {
  return Object.hasOwn(input.shape, "waitMs");
}

/** Does work that answers early when its caller has left or the server stops. */
export async function whileHeard<T>(
  { signal: caller }: Request,
  stopping: AbortSignal | undefined,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const unheard = new AbortController();
  const abort = () => unheard.abort();
  const both = stopping === undefined ? [caller] : [caller, stopping];
  for (const signal of both) {
    signal.addEventListener("abort", abort);
    if (signal.aborted) abort();
  }
  try {
    return await work(unheard.signal);
  } finally {
    for (const signal of both) signal.removeEventListener("abort", abort);
  }
}
