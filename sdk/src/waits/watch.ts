import type { Connection } from "../connection.ts";
import { sleep } from "../pause.ts";
import { followEvents, type RunEvent } from "../runs/events.ts";

/** Without the stream of events, waits are looked at so often. */
const LOOK_EVERY_MS = 5000;

/**
 * Tells of the run's events until the signal, and of `undefined` whenever some may have been missed.
 * Never rejects: the stream makes a wait end sooner, looking again is what ends it.
 */
export async function watch(
  connection: Connection,
  runId: string,
  signal: AbortSignal,
  onEvent: (event: RunEvent | undefined) => void,
): Promise<void> {
  while (!signal.aborted) {
    try {
      const { run } = await connection.call("runs.get", { runId }, { signal });
      onEvent(undefined);
      const follow = followEvents(connection, runId, { afterSeq: run.lastSeq, signal });
      for await (const event of follow) onEvent(event);
    } catch {
      onEvent(undefined);
    }
    await sleep(LOOK_EVERY_MS, signal).catch(() => {});
  }
}
