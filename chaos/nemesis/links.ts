import type { World } from "../world/world.ts";
import type { Blow, Fault, Random } from "./fault.ts";
import { serversWork, until } from "./seen.ts";

/** F11 and F12: what a network does to answers. */
export const linkFaults: readonly Fault[] = [
  {
    id: "F11",
    title: "acknowledgements of COMMIT lost, and answers of servers",
    lastsMs: 3000,
    fire: answersLost,
  },
  {
    id: "F12",
    title: "silent hole between servers and Postgres",
    lastsMs: 5000,
    fire: holed,
  },
];

/** The work was done each time, and who asked for it was not told. */
async function answersLost(world: World, random: Random): Promise<Blow> {
  const links = [world.databaseLink, world.frontLink];
  const before = links.map(({ lost }) => lost);
  const lost = () => links.map((link, n) => link.lost - (before[n] ?? 0));
  const heal = () => {
    for (const link of links) link.heal();
  };
  world.databaseLink.loseAnswers(4 + random(12));
  world.frontLink.loseAnswers(4 + random(12));
  try {
    await until("answers were lost on both links", async () => lost().every((count) => count > 0));
  } catch (error) {
    heal();
    throw error;
  }
  return {
    get told() {
      const [commits, answers] = lost();
      return `lost ${commits} acknowledgements of Postgres and ${answers} answers of servers`;
    },
    async heal() {
      heal();
      await serversWork(world);
    },
  };
}

/**
 * Connections stay as they are and nothing comes: no end, no refusal. After it they go on, or, where something in between
 * has forgotten them, are reset.
 */
async function holed(world: World, random: Random): Promise<Blow> {
  const { databaseLink } = world;
  const forgets = random(2) === 0;
  databaseLink.hole();
  try {
    await until("something was held back", async () => databaseLink.held > 0);
  } catch (error) {
    databaseLink.heal();
    throw error;
  }
  let [held, open] = [databaseLink.held, databaseLink.open];
  return {
    get told() {
      return `held back ${held} bytes of ${open} connections${forgets ? ", which were then reset" : ""}`;
    },
    async heal() {
      [held, open] = [databaseLink.held, databaseLink.open];
      if (forgets) databaseLink.cut();
      databaseLink.heal();
      await serversWork(world);
    },
  };
}
