import { fileURLToPath } from "node:url";
import { insertFloor, pgbenchFloor, postFloor } from "./floors.mjs";
import { fillStore } from "./large-store.mjs";
import { freePort, startServer } from "./processes.mjs";
import { SYSTEMS } from "./systems/index.mjs";
import { startSystem } from "./systems/start.mjs";

const FLOOR_SERVER = fileURLToPath(new URL("floor-server.mjs", import.meta.url));

/**
 * What one part of the bench runs on: fresh databases and processes for it, all of which `close` takes away again. A
 * system that does not start is reported to `leaveOut` and left out.
 */
export function openStage({ postgres, folder, options, largeStore, leaveOut, told }) {
  const closing = [];
  const { sizes, systems, profile } = options;

  async function guarded(name, start) {
    try {
      return [await start()];
    } catch (error) {
      leaveOut(name, error);
      return [];
    }
  }

  async function contender(id, name, { roles, store }, contenderOf) {
    const label = `${id}_${name}_${closing.length}`;
    const given = { postgres, folder, profile, roles, label, store: await store?.() };
    const system = await startSystem(name, given);
    closing.push(system.stop);
    const { title, lacks = [] } = SYSTEMS[name];
    const made = await contenderOf({ ...system, name, lacks });
    const kind = name === "tidebase" ? "ours" : "peer";
    const cost = made.cost && { ...made.cost, database: system.database };
    return { name, title, kind, ...made, cost };
  }

  return {
    sizes,
    largeStore,

    /** A store with so many finished runs. */
    async filledStore(runs) {
      const store = await postgres.create(`filled_${closing.length}`);
      closing.push(() => postgres.drop(store.database));
      await fillStore({ postgres, folder, store, runs, told });
      return store;
    },

    /** A contender of every wanted system that can do it. */
    async systems(id, needs, contenderOf) {
      const able = systems.filter((name) => id in SYSTEMS[name].can);
      const started = [];
      for (const name of able)
        started.push(...(await guarded(name, () => contender(id, name, needs, contenderOf))));
      return started;
    },

    /** Tidebase, when it is wanted and the workload starts its processes by itself. */
    async ours(start) {
      if (!systems.includes("tidebase")) return [];
      return guarded("tidebase", async () => {
        const { close, ...made } = await start();
        closing.push(close);
        return { name: "tidebase", title: SYSTEMS.tidebase.title, kind: "ours", ...made };
      });
    },

    /** A contender of every floor. */
    async floors(contenderOf) {
      const { database, url } = await postgres.create("floors");
      closing.push(() => postgres.drop(database));
      const floors = await startFloors(url, folder, closing);
      return floors.map(({ name, title, floor }) => {
        return { name, title, kind: "floor", ...contenderOf(floor) };
      });
    },

    async close() {
      for (const close of closing.splice(0).reverse()) await close();
    },
  };
}

async function startFloors(url, folder, closing) {
  const insert = await insertFloor(url);
  closing.push(insert.close);
  const port = await freePort();
  const address = `http://127.0.0.1:${port}`;
  const env = { TIDEBASE_DATABASE_URL: url, PORT: String(port) };
  const server = await startServer({ args: [FLOOR_SERVER], ready: [`${address}/ready`], env });
  closing.push(server.stop);
  const post = postFloor(address);
  closing.push(post.close);
  const pgbench = await pgbenchFloor(url, folder);
  return [
    { name: "pgbench", title: "floor: INSERT + COMMIT, pgbench (mean)", floor: pgbench },
    { name: "insert", title: "floor: INSERT + COMMIT, node-postgres", floor: insert },
    { name: "post", title: "floor: Hono POST with that INSERT", floor: post },
  ].filter(({ floor }) => floor !== undefined);
}
