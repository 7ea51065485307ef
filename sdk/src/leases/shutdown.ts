/** A run that this process holds. */
export interface Releasable {
  /** Hands the run back, if it can, without waiting long. Never rejects. */
  release(): Promise<void>;
}

const SIGNALS = ["SIGINT", "SIGTERM"] as const;
/** A process that was asked to end does not stay longer for the sake of its runs. */
const LONGEST_MS = 2000;

const held = new Set<Releasable>();
let releasing: Promise<void> | undefined;

/**
 * Until the returned function is called, the run is released when the process is told to end or has
 * nothing left to do, so that nobody waits for a dead process. The listeners are there only while
 * runs are held, and change nothing else: a signal that nobody else handles still ends the process.
 */
export function releaseOnExit(run: Releasable): () => void {
  if (held.size === 0) listen();
  held.add(run);
  return () => {
    if (held.delete(run) && held.size === 0 && releasing === undefined) silence();
  };
}

/** Releases these runs now; resolves after two seconds at the latest. */
export async function releaseAll(runs: Iterable<Releasable>): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const longest = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, LONGEST_MS);
  });
  const released = Promise.all(Array.from(runs, (run) => run.release()));
  await Promise.race([released, longest]);
  clearTimeout(timer);
}

function listen(): void {
  // First in line: a `once` listener of somebody else is still counted when ours runs.
  for (const signal of SIGNALS) process.prependListener(signal, onSignal);
  process.on("beforeExit", onBeforeExit);
}

function silence(): void {
  for (const signal of SIGNALS) process.removeListener(signal, onSignal);
  process.removeListener("beforeExit", onBeforeExit);
}

/** A second signal does not wait for the first one's release. */
function onSignal(signal: NodeJS.Signals): void {
  const isOurs = process.listenerCount(signal) === 1;
  const end = () => {
    silence();
    if (isOurs) process.kill(process.pid, signal);
  };
  if (releasing !== undefined) end();
  else void releaseHeld().then(end);
}

function onBeforeExit(): void {
  if (held.size > 0 && releasing === undefined) void releaseHeld().then(silence);
}

function releaseHeld(): Promise<void> {
  releasing = releaseAll(held).finally(() => {
    held.clear();
    releasing = undefined;
  });
  return releasing;
}
