import { setTimeout as delay } from "node:timers/promises";
import type { Actor, World } from "../world/world.ts";
import { portsOf } from "./process-facts.ts";

const AGAIN_MS = 25;
const PATIENCE_MS = 30_000;
/** A server at its limits answers after seconds; one that is stopped never does. */
const ANSWER_MS = 10_000;

/** Asks until the answer is neither false nor undefined, and returns it. Throws, naming what it waited for, when that takes too long. */
export async function until<T>(
  what: string,
  ask: () => Promise<T | false | undefined>,
  patienceMs: number = PATIENCE_MS,
): Promise<T> {
  for (const since = performance.now(); ; await delay(AGAIN_MS)) {
    const answer = await ask();
    if (answer !== false && answer !== undefined) return answer;
    if (performance.now() - since > patienceMs)
      throw new Error(`Waited ${patienceMs} ms in vain: ${what}.`);
  }
}

/** Where this server itself listens, past the links; undefined while it does not. */
export async function addressOf(server: Actor): Promise<string | undefined> {
  const [port] = await portsOf(server.pid);
  return port === undefined ? undefined : `http://127.0.0.1:${port}`;
}

/** Whether it says that it can do its work, by `/ready`. */
export async function isReady(server: Actor): Promise<boolean> {
  const address = await addressOf(server);
  if (address === undefined) return false;
  try {
    const signal = AbortSignal.timeout(ANSWER_MS);
    const response = await fetch(`${address}/ready`, { signal, headers: { connection: "close" } });
    await response.arrayBuffer();
    return response.status === 200;
  } catch {
    return false;
  }
}

/** Waits until every server that runs is ready. */
export async function serversWork({ servers }: World): Promise<void> {
  await Promise.all(
    servers.map((server) =>
      until(`${server.name} is ready`, async () => !server.running || (await isReady(server))),
    ),
  );
}

/** Does the work again and again, at least so many ms apart; the returned function ends it, and throws what it threw. */
export function repeating(pauseMs: number, work: () => Promise<void>): () => Promise<void> {
  const ending = new AbortController();
  async function go(): Promise<void> {
    while (!ending.signal.aborted) {
      await work();
      await delay(pauseMs, undefined, { signal: ending.signal }).catch(() => {});
    }
  }
  const gone = go();
  gone.catch(() => {}); // told at the end
  return async () => {
    ending.abort();
    await gone;
  };
}
