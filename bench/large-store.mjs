import { fill } from "./million.mjs";
import { startSystem } from "./systems/start.mjs";

const EVENTS_OF_EACH = 10;

/** A store with very many finished runs: filled when it is first asked for, kept until the bench ends. */
export function openLargeStore({ postgres, folder, runs, told }) {
  let store;
  async function make() {
    const made = await postgres.create("large");
    await fillStore({ postgres, folder, store: made, runs, told });
    return made;
  }
  return () => {
    store ??= make();
    return store;
  };
}

/** Finished runs for a store: a server has brought its tables first. */
export async function fillStore({ postgres, folder, store, runs, told }) {
  const options = { postgres, folder, store, label: "large", roles: [] };
  const system = await startSystem("tidebase", options);
  await system.stop();
  told(`a store is filled with ${runs.toLocaleString("en-US")} runs`);
  await fill(store.url, { runs, eventsPerRun: EVENTS_OF_EACH, told: (what) => told(`  ${what}`) });
}
