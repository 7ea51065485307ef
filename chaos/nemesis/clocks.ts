import { clockOff, secondsAhead } from "../../test/support/faketime.ts";
import type { Actor } from "../world/world.ts";
import { restartWith, strike } from "./aim.ts";
import type { Fault } from "./fault.ts";
import { addressOf } from "./seen.ts";

const OFF_SECONDS = 90;
const NEARLY_SECONDS = 10;

/** F17: a server started under another wall clock (libfaketime); its timers go on as they are. */
export const clockFault: Fault = {
  id: "F17",
  title: "clock of a server 90 s ahead or behind",
  lastsMs: 4000,
  fire: ({ servers }, random) =>
    strike(servers, random, async (server) => {
      const seconds = random(2) === 0 ? OFF_SECONDS : -OFF_SECONDS;
      await restartWith(server, clockOff(seconds));
      const heal = async (): Promise<void> => {
        if (!server.running) await server.restart();
        else await restartWith(server, {});
        await check(server, 0);
      };
      try {
        await check(server, seconds);
      } catch (error) {
        await heal();
        throw error;
      }
      return { told: `${server.name} is ${seconds} s ahead`, heal };
    }),
};

/** Throws unless its clock is ahead by about so much, by what it says in HTTP. */
async function check(server: Actor, seconds: number): Promise<void> {
  const address = await addressOf(server);
  const ahead = await secondsAhead(`${address}/health`);
  if (Math.abs(ahead - seconds) > NEARLY_SECONDS)
    throw new Error(`${server.name} is ${ahead} s ahead, not ${seconds}.`);
}
