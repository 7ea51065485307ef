import type { Actor, World } from "../world/world.ts";
import { restartWith, revive, strike } from "./aim.ts";
import type { Fault } from "./fault.ts";
import { connectionsTo, peakMemory, variableOf } from "./process-facts.ts";
import { addressOf } from "./seen.ts";

const POOL = 2;
/** A server that waits for notifications has a connection for them besides. */
const BESIDES = 1;
const BURST = 200;
const LOOKS = 10;

const HEAP = "--max-old-space-size=64";
const BODIES = 6;
/** Under the limit of a request's body and over that of a payload, in bytes. */
const BODY_BYTES = 12 * 1024 * 1024;
const PATIENCE_MS = 60_000;

/** F15 and F23: a server with too little of something, and much to do. */
export const smallServerFaults: readonly Fault[] = [
  {
    id: "F15",
    title: `${BURST} requests at once at a server with ${POOL} connections`,
    lastsMs: 1000,
    fire: (world, random) =>
      strike(world.servers, random, (server) =>
        cramped(server, { CHAOS_POOL_MAX: String(POOL) }, () => burst(world, server)),
      ),
  },
  {
    id: "F23",
    title: "large bodies at a server with a heap of 64 MB",
    lastsMs: 1000,
    fire: (world, random) =>
      strike(world.servers, random, (server) =>
        cramped(server, { NODE_OPTIONS: HEAP }, () => largeBodies(world, server)),
      ),
  },
];

/** Statuses, with how often each was answered; 0: no answer came. */
type Answers = Map<number, number>;

/** Restarts it with these variables and does the work to it; its healing throws when an answer was 500 or none. */
async function cramped(
  server: Actor,
  variables: Readonly<Record<string, string>>,
  work: () => Promise<{ told: string; answers: Answers }>,
) {
  await restartWith(server, variables);
  const { name } = server;
  const asBefore = () => (server.running ? restartWith(server, {}) : revive(server));
  try {
    const { told, answers } = await work();
    const counts = [...answers].map(([status, count]) => `${count} × ${status}`).join(", ");
    return {
      told: `${name}: ${told}; answered ${counts}`,
      async heal() {
        await asBefore();
        if (answers.has(500) || answers.has(0)) throw new Error(`${name} answered ${counts}.`);
      },
    };
  } catch (error) {
    await asBefore();
    throw error;
  }
}

async function burst({ databaseLink, keys }: World, server: Actor) {
  const url = `${await addressOf(server)}/v1/overview`;
  const headers = { authorization: `Bearer ${keys.worker}` };
  const asked = countAnswers(Array.from({ length: BURST }, () => fetch(url, ask({ headers }))));
  let most = 0;
  for (let look = 0; look < LOOKS; look++)
    most = Math.max(most, await connectionsTo(server.pid, databaseLink.port));
  const answers = await asked;
  if (most === 0 || most > POOL + BESIDES) throw new Error(`It had ${most} connections.`);
  return { told: `${BURST} requests on ${most} connections`, answers };
}

/** Two at a time: each is in memory wholly while it is read. None of them may leave a run behind. */
async function largeBodies({ keys }: World, server: Actor) {
  const { pid } = server;
  if ((await variableOf(pid, "NODE_OPTIONS")) !== HEAP) throw new Error("Its heap is not small.");
  const url = `${await addressOf(server)}/v1/runs`;
  const body = JSON.stringify({ workflow: "large", input: "x".repeat(BODY_BYTES) });
  const headers = {
    authorization: `Bearer ${keys.worker}`,
    "content-type": "application/json",
  };
  const answers: Answers = new Map();
  for (let sent = 0; sent < BODIES; sent += 2) {
    const pair = [0, 1].map(() => fetch(url, ask({ method: "POST", headers, body })));
    for (const [status, count] of await countAnswers(pair))
      answers.set(status, (answers.get(status) ?? 0) + count);
  }
  if (answers.has(200) || answers.has(201)) throw new Error("It took a payload over its limit.");
  const memory = `${await peakMemory(pid)} MiB at most`;
  return { told: `${BODIES} bodies of ${BODY_BYTES} bytes, ${memory}`, answers };
}

function ask(init: RequestInit): RequestInit {
  return { ...init, signal: AbortSignal.timeout(PATIENCE_MS) };
}

async function countAnswers(asked: readonly Promise<Response>[]): Promise<Answers> {
  const answers: Answers = new Map();
  const ended = asked.map(async (one) => {
    const response = await one.catch(() => undefined);
    await response?.arrayBuffer().catch(() => {});
    const status = response?.status ?? 0;
    answers.set(status, (answers.get(status) ?? 0) + 1);
  });
  await Promise.all(ended);
  return answers;
}
