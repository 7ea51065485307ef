import type { Actor, World } from "../world/world.ts";
import type { Blow, Random } from "./fault.ts";
import { variableOf } from "./process-facts.ts";
import { isReady, until } from "./seen.ts";

/** Those that a fault has in its hands: none is hit twice at a time. */
const hurt = new WeakSet<Actor>();

/** Hits one of them that is sound, until it is healed. Throws when all are down or being hurt. */
export async function strike(
  actors: readonly Actor[],
  random: Random,
  hit: (actor: Actor) => Promise<Blow>,
): Promise<Blow> {
  const sound = actors.filter((actor) => actor.running && !hurt.has(actor));
  const actor = sound[random(Math.max(1, sound.length))];
  if (actor === undefined) throw new Error("Nobody sound is left to be hit.");
  hurt.add(actor);
  try {
    const blow = await hit(actor);
    return {
      get told() {
        return blow.told;
      },
      heal: () => blow.heal().finally(() => hurt.delete(actor)),
    };
  } catch (error) {
    hurt.delete(actor);
    throw error;
  }
}

/** Starts an actor that is down, as it was meant to be; resolves when it works. */
export async function revive(actor: Actor): Promise<void> {
  if (!actor.running) await actor.restart();
  if (actor.role === "server") await until(`${actor.name} is ready`, () => isReady(actor));
}

/** Ends it in order and starts it with these variables besides; resolves when it works. Where it does not, it is as before. */
export async function restartWith(
  actor: Actor,
  variables: Readonly<Record<string, string>>,
): Promise<void> {
  await actor.signal("SIGTERM");
  try {
    await actor.restart(variables);
    if (actor.role === "server") await until(`${actor.name} is ready`, () => isReady(actor));
  } catch (error) {
    await actor.signal("SIGKILL");
    await revive(actor);
    throw error;
  }
}

/** How long leases last in this trial, by what its servers were told, ms. */
export async function leaseMsOf({ servers, workers }: World): Promise<number> {
  for (const { pid } of [...workers, ...servers])
    for (const name of ["CHAOS_LEASE_MS", "TIDEBASE_LEASE_MS"]) {
      const text = await variableOf(pid, name);
      if (text !== undefined) return Number(text);
    }
  throw new Error("No process of the trial says how long its leases last.");
}
