import { ensureCluster } from "../embedded/cluster.ts";
import { openClock, type ThrowawayClock } from "./clock.ts";
import { atDatabase, dropDatabase, makeDatabase } from "./databases.ts";

/** Where a throw-away store is made: on a Postgres of the caller, or in the embedded one of this home. */
export type ThrowawayPlace = { readonly databaseUrl: string } | { readonly home: string };

/** A migrated store in a database of its own, for a test. */
export interface Throwaway {
  readonly databaseUrl: string;
  readonly clock: ThrowawayClock;
  /** Drops the database; close every connection of yours before. A second call does nothing. */
  drop(): Promise<void>;
}

/**
 * Makes a store that nobody else uses, and whose clock may be moved. What processes that were killed
 * left behind is dropped on the way. Throws StoreError.
 */
export async function openThrowaway(place: ThrowawayPlace): Promise<Throwaway> {
  const server = await serverOf(place);
  try {
    const made = await makeDatabase(server.url);
    const clock = openClock(made);
    let dropping: Promise<void> | undefined;
    const drop = async (): Promise<void> => {
      await clock.close();
      await dropDatabase(server.url, made).finally(server.leave);
    };
    return {
      databaseUrl: made.url,
      clock,
      drop() {
        dropping ??= drop();
        return dropping;
      },
    };
  } catch (error) {
    await server.leave();
    throw error;
  }
}

async function serverOf(place: ThrowawayPlace): Promise<{ url: string; leave(): Promise<void> }> {
  if ("databaseUrl" in place) return { url: place.databaseUrl, leave: async () => {} };
  const { url, leave } = await ensureCluster({ home: place.home });
  return { url: atDatabase(url, "postgres"), leave };
}
