/** A run that this process holds, or a worker. */
export interface Releasable {
  /** Hands the run back, if it can, without waiting long. Never rejects. */
  release(): Promise<void>;
  /** Takes its time to come to an end; `release` hurries it. Never rejects. */
  drain?(): Promise<void>;
}

const SIGNALS = ["SIGINT", "SIGTERM"] as const;
/** A process that was asked to end does not stay longer for the sake of its runs. */
const LONGEST_MS = 2000;

const held = new Set<Releasable>();
let draining: Promise<void> | undefined;
let releasing: Promise<void> | undefined;

/**
 * Until the returned function is called, the run is released when the process is told to end or has
 * nothing left to do, so that nobody waits for a dead process; a worker is drained first. The
 * listeners are there only while something is held, and change nothing else: a signal that nobody
 * else handles still ends the process.
 */
export function releaseOnExit(run: Releasable): () => void {
  if (held.size === 0 && draining === undefined && releasing === undefined) listen();
  held.add(run);
  return () => {
    const isLast = held.delete(run) && held.size === 0;
    if (isLast && draining === undefined && releasing === undefined) silence();
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

/** A second signal does not wait for a drain, and a further one not for a release. */
function onSignal(signal: NodeJS.Signals): void {
  const isOurs = process.listenerCount(signal) === 1;
  const end = () => {
    silence();
    if (isOurs) process.kill(process.pid, signal);
  };
  if (releasing !== undefined) end();
  else if (draining !== undefined) void releaseHeld().then(end);
  else void drainHeld().then(end);
}

function onBeforeExit(): void {
  if (held.size > 0 && releasing === undefined) void releaseHeld().then(silence);
}

/** Workers drain while all else is released. */
async function drainHeld(): Promise<void> {
  const workers = [...held].filter(({ drain }) => drain !== undefined);
  if (workers.length > 0) {
    const others = [...held].filter(({ drain }) => drain === undefined);
    const drained = Promise.all([releaseAll(others), ...workers.map((worker) => worker.drain?.())]);
    draining = drained.then(() => {});
    await draining;
    draining = undefined;
  }
  await releaseHeld();
}

function releaseHeld(): Promise<void> {
  releasing ??= releaseAll(held).finally(() => {
    held.clear();
    releasing = undefined;
  });
  return releasing;
}
