import { setTimeout as delay } from "node:timers/promises";
import type { Actor, World } from "../world/world.ts";
import { leaseMsOf, revive, strike } from "./aim.ts";
import type { Blow, Fault } from "./fault.ts";
import { openInspector } from "./inspector.ts";

const LEASES = 3;
/** A loop that turns answers within this. */
const SILENCE_MS = 300;

/**
 * F7: the event loop of a server or worker does nothing else for three leases, as if by a long computation of its own. The
 * programs have no route or flag for that: their inspector is opened by a signal and runs the loop in their main thread.
 */
export const eventLoopFault: Fault = {
  id: "F7",
  title: "event loop blocked for three leases",
  lastsMs: 4500,
  fire: (world, random) =>
    strike(random(2) === 0 ? world.servers : world.workers, random, (actor) =>
      blocked(actor, world),
    ),
};

async function blocked(actor: Actor, world: World): Promise<Blow> {
  const { name } = actor;
  const ms = LEASES * (await leaseMsOf(world));
  const inspector = await openInspector(actor);
  const block = inspector.evaluate(busyFor(ms));
  block.catch(() => {}); // told when it is healed
  const turned = inspector.evaluate("new Promise((resolve) => setImmediate(resolve, true))");
  turned.catch(() => {});
  const isFree = await Promise.race([turned, delay(SILENCE_MS, false)]);
  if (isFree !== false) throw new Error(`The event loop of ${name} went on.`);
  return {
    told: `blocked the event loop of ${name} for ${ms} ms`,
    async heal() {
      const blockedMs = Number(await block);
      if (!(blockedMs >= ms)) throw new Error(`${name} was blocked for ${blockedMs} ms only.`);
      await turned;
      await inspector.close();
      await revive(actor);
    },
  };
}

/** In a turn of the loop of its own: what the inspector evaluates at once may interrupt a function that runs. */
function busyFor(ms: number): string {
  return `new Promise((resolve) => setImmediate(() => {
    const from = performance.now();
    while (performance.now() - from < ${ms});
    resolve(performance.now() - from);
  }))`;
}
