import { sleep } from "../pause.ts";

/** Told how far the clock was moved, in milliseconds. */
type Moved = (ms: number) => void;

/**
 * The clock of a store that a test may move. What this process waits for by a timer of its own is over
 * then as well.
 */
export class MovableClock {
  readonly #waiting = new Set<Moved>();
  readonly #watching = new Set<(ms: number) => void>();

  /** Somebody waits here for so long, and is told of every move until the returned function is called. */
  wait(ms: number, keepsProcess: boolean, moved: Moved): () => void {
    this.#waiting.add(moved);
    if (keepsProcess) for (const watch of this.#watching) watch(ms);
    return () => void this.#waiting.delete(moved);
  }

  /** The clock was moved. */
  moved(ms: number): void {
    for (const moved of [...this.#waiting]) moved(ms);
  }

  /** Tells of each wait that keeps the process until the returned function is called. */
  watch(told: (ms: number) => void): () => void {
    this.#watching.add(told);
    return () => void this.#watching.delete(told);
  }
}

const clocks = new Map<string, MovableClock>();

/** The clock of the store at this address; undefined unless it is a test's. */
export function movableClock(url: string): MovableClock | undefined {
  return clocks.get(url);
}

/** From now on waits for the store at this address follow the clock; `forgetClock` ends that. */
export function makeMovable(url: string): MovableClock {
  const clock = new MovableClock();
  clocks.set(url, clock);
  return clock;
}

/** The store is gone. */
export function forgetClock(url: string): void {
  clocks.delete(url);
}

/** A pause between two attempts: over as well when the clock was moved past its end. */
export async function pauseBy(url: string, ms: number, signal: AbortSignal): Promise<void> {
  const clock = movableClock(url);
  if (clock === undefined) return sleep(ms, signal);
  let dueAt = performance.now() + ms;
  while (performance.now() < dueAt) {
    const nudge = new AbortController();
    const stop = () => nudge.abort(signal.reason);
    signal.addEventListener("abort", stop, { once: true });
    const leave = clock.wait(dueAt - performance.now(), true, (by) => {
      dueAt -= by;
      nudge.abort();
    });
    await sleep(dueAt - performance.now(), nudge.signal).catch(() => {});
    leave();
    signal.removeEventListener("abort", stop);
    signal.throwIfAborted();
  }
}
