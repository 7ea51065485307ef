import { setTimeout as delay } from "node:timers/promises";
import type { World } from "../world/world.ts";
import type { Blow, Fault, Random } from "./fault.ts";
import { repeating, serversWork, until } from "./seen.ts";

const AGAIN_MS = 200;
/** Whose backends: the product's, which names its connections so; nobody's of the harness. */
const OURS = "datname = current_database() and application_name = 'tidebase'";

const TERMINATED = "select count(*) filter (where pg_terminate_backend(pid))::int as n from";

/** Every one that rests in the pool. */
const END_IDLE = `${TERMINATED} pg_stat_activity where ${OURS} and state = 'idle' and query not ilike 'listen %'`;
/** One of all, in an order that the seed gives. */
const END_ANY = `${TERMINATED} (
  select pid from pg_stat_activity where ${OURS} order by md5(pid::text || $1) limit 1) one`;
const END_LISTENING = `${TERMINATED} pg_stat_activity where ${OURS} and query ilike 'listen %'`;

/** F8, F9 and F18: what ends on the other side of a server's connections. */
export const backendFaults: readonly Fault[] = [
  {
    id: "F8",
    title: "backends terminated every 200 ms, idle ones and random ones",
    lastsMs: 3000,
    fire(world, random) {
      let turn = 0;
      return ended(world, "backends", () =>
        turn++ % 2 === 0
          ? world.query(END_IDLE)
          : world.query(END_ANY, [String(random(1_000_000))]),
      );
    },
  },
  // Back at once or seconds later: what it did to those who come back is a part of it.
  { id: "F9", title: "immediate restart of Postgres", lastsMs: 1500, fire: postgresRestarted },
  {
    id: "F18",
    title: "LISTEN dead: its backends terminated, or notifications dropped",
    lastsMs: 4000,
    fire: (world, random) =>
      random(2) === 0
        ? ended(world, "listening backends", () => world.query(END_LISTENING))
        : deafened(world),
  },
];

/** Again and again until it is healed; throws when there was none to end. */
async function ended(
  world: World,
  what: string,
  end: () => ReturnType<World["query"]>,
): Promise<Blow> {
  let count = 0;
  const stop = repeating(AGAIN_MS, async () => {
    const [row] = await end();
    count += Number(row?.["n"]);
  });
  try {
    await until(`${what} were terminated`, async () => count > 0);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    get told() {
      return `terminated ${count} ${what}`;
    },
    async heal() {
      await stop();
      await serversWork(world);
    },
  };
}

/** Who listens is not told: its connection stays, and it hears nothing. */
async function deafened(world: World): Promise<Blow> {
  const { databaseLink } = world;
  const before = databaseLink.unheard;
  databaseLink.deafen();
  try {
    await until("notifications were dropped", async () => databaseLink.unheard > before);
  } catch (error) {
    databaseLink.heal();
    throw error;
  }
  return {
    get told() {
      return `dropped ${databaseLink.unheard - before} notifications`;
    },
    async heal() {
      databaseLink.heal();
      await serversWork(world);
    },
  };
}

async function postgresRestarted(world: World, random: Random): Promise<Blow> {
  const { postgres } = world;
  const before = await postgres.pid();
  const downMs = random(3000);
  await postgres.restart(() => delay(downMs));
  if ((await postgres.pid()) === before) throw new Error("Postgres was not restarted.");
  return {
    told: `Postgres was away for ${downMs} ms and the time of its recovery`,
    heal: () => serversWork(world),
  };
}
