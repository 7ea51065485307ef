import pg from "pg";
import type { World } from "../world/world.ts";

/**
 * A connection of somebody else to the trial's database, past all links. `deaf` to what becomes of it: a statement tells.
 */
export async function connectTo({ postgres }: World): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: postgres.url, application_name: "hostile" });
  client.on("error", () => {}); // the next statement tells
  await client.connect();
  return client;
}

/** Does the work on such a connection and ends it. */
export async function withHostile<T>(
  world: World,
  work: (client: pg.Client) => Promise<T>,
): Promise<T> {
  const client = await connectTo(world);
  try {
    return await work(client);
  } finally {
    await client.end().catch(() => {});
  }
}

/** What a statement that fails is known by, such as `40P01`; undefined for one that works. */
export async function stateOfFailure(work: Promise<unknown>): Promise<string | undefined> {
  try {
    await work;
    return undefined;
  } catch (error) {
    return String((error as { code?: unknown }).code);
  }
}
