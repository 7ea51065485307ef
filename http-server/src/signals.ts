/** Everything there is to close gets this long, then the process goes anyway. */
const STOP_MS = 10_000;

/**
 * The first signal finishes what is under way and ends the process, the second ends it at once; `fail` is
 * told what kept the end from being a clean one.
 */
export function stopOnSignal(stop: () => Promise<void>, fail: (error: unknown) => never): void {
  let stopping = false;
  const onSignal = () => {
    if (stopping) process.exit(1);
    stopping = true;
    setTimeout(() => process.exit(1), STOP_MS).unref();
    stop().then(() => process.exit(0), fail);
  };
  process.on("SIGTERM", onSignal).on("SIGINT", onSignal);
}
