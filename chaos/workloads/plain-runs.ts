import { setTimeout as sleep } from "node:timers/promises";
import { isTidebaseError, type Tidebase } from "@tidebase/sdk";
import { describe, isRefusal, type Recorder } from "../history/recorder.ts";
import { PLAIN } from "./workflows.ts";

/** What a worker begins runs with that are in no queue. */
interface Resuming {
  readonly tide: Tidebase;
  readonly recorder: Recorder;
  readonly signal: AbortSignal;
}

const LOOK_EVERY_MS = 600;
const MOST_AT_ONCE = 6;
/** A run that has failed so often is left to people. */
const MOST_ATTEMPTS = 10;

/** As somebody does who starts a program again: until the signal, each of several workers races for the same runs. */
export async function resumePlainRuns({ tide, recorder, signal }: Resuming): Promise<void> {
  const underWay = new Map<string, Promise<void>>();
  while (!signal.aborted) {
    for (const runId of await ready(tide)) {
      if (signal.aborted || underWay.size >= MOST_AT_ONCE) break;
      if (underWay.has(runId)) continue;
      underWay.set(
        runId,
        resumed(tide, recorder, runId).then(() => void underWay.delete(runId)),
      );
    }
    await sleep(LOOK_EVERY_MS, undefined, { signal }).catch(() => {});
  }
  await Promise.all(underWay.values()); // released by the client's own listener
}

/** Runs that somebody may begin; none while the server is away. */
async function ready(tide: Tidebase): Promise<string[]> {
  const found: string[] = [];
  for (const workflow of PLAIN) {
    const status = ["pending", "interrupted", "failed"] as const;
    const page = await tide.runs.list({ workflow, status, limit: 50 }).catch(() => undefined);
    for (const { runId, queue, failureClass, attempts } of page?.runs ?? [])
      if (queue === null && failureClass !== "manual_review" && attempts < MOST_ATTEMPTS)
        found.push(runId);
  }
  return found;
}

/** Begins it, works on it, and records how that ended; `ok` once its result is recorded. */
async function resumed(tide: Tidebase, recorder: Recorder, runId: string): Promise<void> {
  const end = recorder.invoked({ f: "run", key: runId });
  try {
    await tide.resume(runId, { onLeased: "fail" });
    end("ok");
  } catch (error) {
    const isTaken = isRefusal(error) && isTidebaseError(error, "run_leased", "run_cancelled");
    end(isTaken ? "fail" : "info", describe(error));
  }
}
