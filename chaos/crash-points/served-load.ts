import { randomUUID } from "node:crypto";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { createKey, createWebhook, LOCAL, openCore, SCOPES, type Scope } from "@tidebase/core";
import { Tidebase } from "@tidebase/sdk";
import { now } from "../history/evidence.ts";
import { readFinally } from "../history/final-read.ts";
import type { Databases, PointDatabase } from "./databases.ts";
import { judged } from "./judged.ts";
import { type Recorded, recordedSteps, repeats } from "./laws.ts";
import { readOracleFile } from "./oracle-file.ts";
import { readOutcome } from "./outcome.ts";
import type { Place } from "./place.ts";
import type { Receiver } from "./receiver.ts";
import { UNREST, untilRest } from "./rest.ts";
import type { PointLoad, Trial } from "./trial.ts";
import { type Cast, keepAlive } from "./troupe.ts";
import { QUEUE, WHOLE } from "./workflows.ts";

/** What a load of a server and a worker is given. */
export interface Stand {
  readonly databases: Databases;
  readonly receiver: Receiver;
  readonly folder: string;
}

/** The keys of the template's store. */
interface StoreKeys {
  readonly worker: string;
  readonly human: string;
}

/** The scene of one trial. */
export interface Scene {
  readonly database: PointDatabase;
  readonly oracleFile: string;
  readonly workerKey: string;
}

/** A run that passes through everything a worker writes, from its enqueueing to its rest. */
export function servedLoad(
  id: string,
  promises: readonly string[],
  { databases, receiver, folder }: Stand,
  castOf: (scene: Scene) => Promise<Cast>,
): PointLoad {
  let keys: StoreKeys | undefined;
  return {
    id,
    promises,
    async prepare() {
      await databases.template(id, async (url) => {
        keys = await prepareStore(url, receiver.url);
      });
    },
    async trial(at) {
      if (keys === undefined) throw new Error("The load was not prepared.");
      const name = randomUUID();
      const database = await databases.copy(id);
      const oracleFile = join(folder, `oracle-${name}`);
      await receiver.attach(database, name);
      const cast = await castOf({ database, oracleFile, workerKey: keys.worker });
      try {
        const played = await play(cast, database, keys, at);
        const final = await readFinally(database);
        const lines = readOracleFile(oracleFile);
        const problems = [
          ...played.problems,
          ...repeats(lines, played.seen),
          ...judged({ final, received: receiver.received(name), lines }),
        ];
        return { ...played, at, problems, outcome: await readOutcome(database) };
      } finally {
        await cast.close();
        await database.drop();
        await rm(oracleFile, { force: true });
      }
    },
  };
}

async function prepareStore(databaseUrl: string, receiverUrl: string): Promise<StoreKeys> {
  const core = openCore({ databaseUrl, sweeps: false, webhooks: { allow: ["127.0.0.1"] } });
  const admin = { ...LOCAL, scopes: SCOPES };
  const keyOf = async (name: string, scopes: readonly Scope[]): Promise<string> =>
    (await core.execute(createKey, { name, scopes }, admin)).key;
  const hook = (name: string, events: readonly string[]) =>
    core.execute(createWebhook, { name, url: receiverUrl, events }, admin);
  await hook("good", ["run.*", "gate.*", "recovery.*"]);
  await hook("flaky", ["run.completed"]);
  const worker = await keyOf("worker", ["read", "work", "enqueue"]);
  const human = await keyOf("human", ["read", "approve"]);
  await core.close();
  return { worker, human };
}

type Played = Pick<Trial, "points" | "died" | "recoveryMs" | "problems"> & {
  readonly seen: readonly { readonly at: number; readonly steps: readonly Recorded[] }[];
};

/** Until the store is at rest and the process under test has ended as it was told to. */
async function play(
  cast: Cast,
  database: PointDatabase,
  keys: StoreKeys,
  at: Place | undefined,
): Promise<Played> {
  const client = new Tidebase({ url: cast.url, apiKey: keys.worker, log: () => {} });
  const human = new Tidebase({ url: cast.url, apiKey: keys.human, log: () => {} });
  const seen: { at: number; steps: readonly Recorded[] }[] = [];
  const troupe = keepAlive(cast, at, async () => {
    const steps = await recordedSteps(database);
    seen.push({ at: now(), steps });
  });
  const over = new AbortController();
  troupe.signal.addEventListener("abort", () => over.abort());
  const enqueueing = enqueued(client, over.signal);
  try {
    const left = await untilRest(database, {
      unrest: `${UNREST} union all select 'nothing is enqueued' where not exists (select from tidebase.runs)`,
      look: () => decideGates(database, human),
      signal: troupe.signal,
    });
    const restAt = now();
    over.abort();
    await enqueueing;
    await cast.leave?.();
    const after = await troupe.stop(() => untilRest(database, { unrest: UNREST }));
    const died = troupe.died();
    return {
      seen,
      points: after.points,
      died: died?.died,
      recoveryMs: died === undefined ? 0 : Math.max(after.restAt ?? 0, restAt) - died.at,
      problems: [...left.map((what) => `not at rest: ${what}`), ...troupe.problems()],
    };
  } finally {
    troupe.kill();
    await Promise.all([client.close(), human.close()]);
  }
}

/** The same call until it is answered: its key makes it one run. */
async function enqueued(client: Tidebase, signal: AbortSignal): Promise<void> {
  const backoff = { minMs: 10, maxMs: 10 };
  const asked = { queue: QUEUE, idempotencyKey: "one", input: 7, backoff, maxAttempts: 10 };
  while (!signal.aborted) {
    const isDone = await client.enqueue(WHOLE, asked).then(
      () => true,
      () => false,
    );
    if (isDone) return;
    await delay(50);
  }
}

/** Approves what is asked; an answer that was lost is asked for again at the next look. */
async function decideGates(database: PointDatabase, human: Tidebase): Promise<void> {
  const open = await database.query(
    "select 'gate_' || gate_id as gate_id, digest from tidebase.gates where status = 'open'",
  );
  for (const { gate_id, digest } of open) {
    const decision = { gateId: String(gate_id), digest: String(digest), decision: "approved" };
    await human.call("gates.resolve", decision as never).catch(() => {});
  }
}
