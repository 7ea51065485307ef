/**
 * The pause before a call is sent again: 50 ms, doubled each time up to 5 s, of which at least half
 * is kept (jitter keeps many workers from coming back at the same instant).
 */
export function pauseMs(attempt: number): number {
  const longest = Math.min(5000, 50 * 2 ** (attempt - 1));
  return longest * (0.5 + Math.random() / 2);
}

/** The longest that one timer of Node runs. */
export const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** Why a timer is not waited for any longer; made once, for each would write down its stack. */
export const OVER = new Error("What was waited for is over.");

/** No longer than one timer runs. Rejects with the signal's reason as soon as it is aborted. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const wake = () => {
      signal?.removeEventListener("abort", stop);
      resolve();
    };
    const timer = setTimeout(wake, Math.min(Math.max(0, ms), LONGEST_TIMER_MS));
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    signal?.addEventListener("abort", stop, { once: true });
  });
}
