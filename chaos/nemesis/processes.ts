import { setTimeout as delay } from "node:timers/promises";
import type { Actor, World } from "../world/world.ts";
import { leaseMsOf, revive, strike } from "./aim.ts";
import type { Blow, Fault, Random } from "./fault.ts";
import { stateOf } from "./process-facts.ts";
import { serversWork, until } from "./seen.ts";

/** So many workers are restarted besides all servers: each takes the time of its own start. */
const ROLLED_WORKERS = 2;
/** A stopped worker has lost its lease for certain after so many. */
const LEASES = 3;

/** F1 to F6: what the system does to processes, and people do with signals. */
export const processFaults: readonly Fault[] = [
  {
    id: "F1",
    title: "kill -9 of a worker",
    lastsMs: 1000,
    fire: ({ workers }, random) => killed(workers, random),
  },
  {
    id: "F2",
    title: "kill -9 of a server",
    lastsMs: 1000,
    fire: ({ servers }, random) => killed(servers, random),
  },
  {
    id: "F3",
    title: "kill -9 of everything, and an immediate restart of Postgres",
    lastsMs: 200,
    fire: everythingKilled,
  },
  { id: "F4", title: "rolling restart by SIGTERM", lastsMs: 0, fire: rolled },
  {
    id: "F5",
    title: "SIGSTOP of a worker for three leases",
    lastsMs: 4500,
    fire: async (world, random) =>
      stopped(world.workers, random, LEASES * (await leaseMsOf(world))),
  },
  {
    id: "F6",
    title: "SIGSTOP of a server",
    lastsMs: 4500,
    fire: ({ servers }, random) => stopped(servers, random, 0),
  },
];

function killed(actors: readonly Actor[], random: Random): Promise<Blow> {
  return strike(actors, random, async (actor) => {
    const { name, pid } = actor;
    await actor.signal("SIGKILL");
    await gone(name, pid);
    return { told: `killed ${name}`, heal: () => revive(actor) };
  });
}

async function everythingKilled(world: World, random: Random): Promise<Blow> {
  const actors = [...world.servers, ...world.workers].filter(({ running }) => running);
  const names = actors.map(({ name, pid }) => ({ name, pid }));
  const postmaster = await world.postgres.pid();
  await Promise.all(actors.map((actor) => actor.signal("SIGKILL")));
  await Promise.all(names.map(({ name, pid }) => gone(name, pid)));
  const downMs = 100 + random(900);
  await world.postgres.restart(() => delay(downMs));
  if ((await world.postgres.pid()) === postmaster) throw new Error("Postgres was not restarted.");
  return {
    told: `killed ${names.map(({ name }) => name).join(", ")}; Postgres away for ${downMs} ms`,
    async heal() {
      await Promise.all(world.servers.map(revive));
      await Promise.all(world.workers.map(revive));
    },
  };
}

/** Every server, one after the other, then some workers: each ends its work in order, and the next waits until it works again. */
async function rolled(world: World, random: Random): Promise<Blow> {
  const first = random(Math.max(1, world.workers.length));
  const workers = [...world.workers.slice(first), ...world.workers.slice(0, first)];
  const told: string[] = [];
  for (const actor of [...world.servers, ...workers.slice(0, ROLLED_WORKERS)]) {
    const { name, pid } = actor;
    const since = performance.now();
    await actor.signal("SIGTERM");
    await gone(name, pid);
    told.push(`${name} ended in ${Math.round(performance.now() - since)} ms`);
    await revive(actor);
  }
  return { told: told.join(", "), heal: () => serversWork(world) };
}

/** It knows nothing of the time between: timers, heartbeats and answers come late, all at once. */
function stopped(actors: readonly Actor[], random: Random, leastMs: number): Promise<Blow> {
  return strike(actors, random, async (actor) => {
    const { name, pid } = actor;
    const since = performance.now();
    await actor.signal("SIGSTOP");
    await until(`${name} stands still`, async () => (await stateOf(pid)) === "T");
    return {
      told: `stopped ${name}`,
      async heal() {
        await delay(Math.max(0, since + leastMs - performance.now()));
        await actor.signal("SIGCONT");
        await until(`${name} goes on`, async () => (await stateOf(pid)) !== "T");
        await revive(actor);
      },
    };
  });
}

/** A process that nobody has waited for yet is a zombie, and has gone. */
async function gone(name: string, pid: number): Promise<void> {
  await until(`${name} is gone`, async () => {
    const state = await stateOf(pid);
    return state === undefined || state === "Z";
  });
}
