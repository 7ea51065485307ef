import { randomUUID } from "node:crypto";
import { setMaxListeners } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { newRunId, type Operations, Tidebase, TidebaseError } from "@tidebase/sdk";
import { isRefusal } from "../history/recorder.ts";
import type { Load } from "./workload.ts";

/** Calls an operation and sends it once: whether it is sent again is the driver's to decide, and to record. */
export type Once = <Name extends keyof Operations>(
  name: Name,
  input: Operations[Name]["input"],
  timeoutMs?: number,
) => Promise<Operations[Name]["output"]>;

type Item = Operations["runs.enqueue"]["input"]["items"][number];

/** What became of an enqueued run; `runId` is the one that is active under the dedupe key. */
export interface Queued {
  readonly runId: string;
  readonly outcome: string;
  readonly dedupeKey?: string;
}

const TIMEOUT_MS = 5000;
/** What all that follows depends on may take longer, and is tried for as long as the load lasts. */
export const SETUP_MS = 15_000;
export const SETUP = { tries: Number.POSITIVE_INFINITY };
const TRIES = 4;
const PAUSE_MS = 150;
const LONGEST_PAUSE_MS = 1200;

/** The queue of every workload that needs no limits of its own. */
const QUEUE = "work";

/** Opens a client of the servers for as long as the work takes. */
export async function withClient(
  { world, stop }: Load,
  apiKey: string,
  work: (once: Once, tide: Tidebase) => Promise<void>,
): Promise<void> {
  setMaxListeners(0, stop); // every reader and every pause listens
  const tide = new Tidebase({ url: world.url, apiKey, log: () => {} });
  const once: Once = (name, input, timeoutMs = TIMEOUT_MS) =>
    tide.call(name, input, { patienceMs: 0, timeoutMs });
  try {
    await work(once, tide);
  } finally {
    await tide.close();
  }
}

/**
 * A recorded call that is made again, as a call of its own, while its answer is lost: what it does must be
 * known again by its key. Undefined when it was refused, or nothing answered. After the load has stopped it is
 * made again only where something depends on it (`mustBe`).
 */
export async function repeated<T>(
  load: Load,
  op: { readonly f: string; readonly key: string; readonly value?: unknown },
  call: () => Promise<T>,
  { tries = TRIES, mustBe = false }: { tries?: number; mustBe?: boolean } = {},
): Promise<T | undefined> {
  for (let tried = 1; ; tried++) {
    let refused = false;
    const answer = await load.recorded(op, async () => {
      try {
        return await call();
      } catch (error) {
        refused = isRefusal(error);
        throw error;
      }
    });
    const isOver = tried === tries || (load.stop.aborted && !mustBe);
    if (answer !== undefined || refused || isOver) return answer;
    await sleep(Math.min(PAUSE_MS * 2 ** tried, LONGEST_PAUSE_MS));
  }
}

/**
 * Creates a run that is in no queue; its id, once that is certain. Under an idempotency key the server makes the id,
 * and whoever asks again is to be given the same.
 */
export async function createPlain(
  load: Load,
  once: Once,
  content: Omit<Operations["runs.create"]["input"], "runId">,
): Promise<string | undefined> {
  const { workflow, idempotencyKey } = content;
  const runId = newRunId();
  const named = idempotencyKey === undefined ? { runId } : {};
  const keyed = idempotencyKey === undefined ? {} : { idempotencyKey };
  const op = { f: "runs.create", key: idempotencyKey ?? runId, value: { workflow, ...keyed } };
  const made = await repeated(load, op, async () => {
    const { runId: is, status } = await once("runs.create", { ...content, ...named });
    return { runId: is, workflow, status };
  });
  return made?.runId;
}

/** Makes the same act twice at once under one idempotency key: as who was not answered, and does not wait. */
export async function twice<T>(act: (idempotencyKey: string) => Promise<T>): Promise<T> {
  const key = randomUUID();
  const [first] = await Promise.all([act(key), act(key)]);
  return first;
}

/**
 * Queues a run and records that under its dedupe key, or its id where it has none. Each call has an id of its own: under
 * one idempotency key the first of them is everybody's.
 */
export function enqueue(
  load: Load,
  once: Once,
  item: Omit<Item, "runId">,
): Promise<Queued | undefined> {
  const runId = newRunId();
  const { workflow, queue = QUEUE, dedupeKey, idempotencyKey } = item;
  const keyed = {
    ...(dedupeKey !== undefined && { dedupeKey }),
    ...(idempotencyKey !== undefined && { idempotencyKey }),
  };
  const value = { runId, workflow, queue, ...keyed };
  const op = { f: "queues.enqueue", key: dedupeKey ?? runId, value };
  return repeated(load, op, async () => {
    const { results } = await once("runs.enqueue", { items: [{ ...item, queue, runId }] });
    const [result] = results;
    if (result?.runId === undefined)
      throw new TidebaseError("server_answer_invalid", `Enqueued as ${result?.outcome}.`);
    return { runId: result.runId, outcome: result.outcome, ...keyed };
  });
}
