import type { Hub } from "./hub.ts";

/** Waits for a change. Opened before one looks: what happens between look and wait is not missed. */
interface Watch {
  /**
   * Resolves once there was a change since the last call (or since the watch was opened), after `ms`
   * milliseconds, or when nobody waits any more; never rejects. True: there was a change, as far as a hint goes.
   */
  next(ms: number): Promise<boolean>;
  end(): void;
}

/** What can be waited for. */
export interface Watching {
  /** Changes when the queue may have a run to claim. */
  queue(queue: string): Watch;
  /** Changes when one of the runs has new events. */
  runs(runIds: readonly string[]): Watch;
}

type Subscribe = (wake: () => void) => (() => void)[];

/**
 * What one call watches. `signal` is aborted when the store closes or the caller leaves, and with it
 * every watch ends; `end` ends them with the call.
 */
export function openWatching(
  hub: Hub,
  closing: AbortSignal,
  caller: AbortSignal | undefined,
): Watching & { readonly signal: AbortSignal; end(): void } {
  const { signal, unlink } = either(closing, caller);
  const opened: Watch[] = [];
  const open = (subscribe: Subscribe): Watch => {
    const watch = openWatch(subscribe, signal);
    opened.push(watch);
    return watch;
  };
  return {
    signal,
    queue: (queue) => open((wake) => [hub.watchQueue(queue, wake)]),
    runs: (runIds) => open((wake) => runIds.map((runId) => hub.watch(runId, wake))),
    end() {
      for (const watch of opened) watch.end();
      unlink();
    },
  };
}

function openWatch(subscribe: Subscribe, signal: AbortSignal): Watch {
  let changed = false;
  let over = signal.aborted;
  let proceed = () => {};
  const subscribed = over
    ? []
    : subscribe(() => {
        changed = true;
        proceed();
      });
  signal.addEventListener("abort", end);

  function end(): void {
    over = true;
    for (const leave of subscribed.splice(0)) leave();
    signal.removeEventListener("abort", end);
    proceed();
  }

  async function next(ms: number): Promise<boolean> {
    if (!changed && !over)
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, ms);
        proceed = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    const told = changed;
    changed = false;
    return told;
  }
  return { next, end };
}

/** Aborted as soon as one of the two is. (`AbortSignal.any` is younger than the oldest Node we run on.) */
function either(
  closing: AbortSignal,
  caller: AbortSignal | undefined,
): { signal: AbortSignal; unlink(): void } {
  if (caller === undefined) return { signal: closing, unlink: () => {} };
  const either = new AbortController();
  const abort = () => either.abort();
  const both = [closing, caller];
  if (both.some(({ aborted }) => aborted)) abort();
  for (const signal of both) signal.addEventListener("abort", abort);
  return {
    signal: either.signal,
    unlink() {
      for (const signal of both) signal.removeEventListener("abort", abort);
    },
  };
}
