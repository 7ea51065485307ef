import { readFileSync } from "node:fs";
import { startActor } from "../processes.mjs";
import { SYSTEMS } from "./index.mjs";
import { SERVERS } from "./servers.mjs";

/**
 * A system on a database of its own (or the given one), with its server, one client and one worker, each a process.
 * `label` names the database. Throws when one does not start; nothing is left of the others then.
 */
export async function startSystem(name, { postgres, folder, profile, label, roles, store }) {
  const system = SYSTEMS[name];
  const profiled = name === "tidebase" ? profile : undefined;
  const closing = [];
  async function stop() {
    for (const close of closing.splice(0).reverse()) await close();
  }
  try {
    const made = system.onPostgres ? (store ?? (await postgres.create(label))) : {};
    if (store === undefined && system.onPostgres) closing.push(() => postgres.drop(made.database));
    const settings = { databaseUrl: made.url, folder, profile: profiled };
    const server = await SERVERS[name]?.(settings);
    if (server !== undefined) closing.push(server.stop);
    const given = { databaseUrl: made.url, ...server?.given };
    const actors = {};
    for (const role of roles.filter((one) => system.roles.includes(one))) {
      actors[role] = await startActor({ system: name, role, given, profile: profiled });
      closing.push(actors[role].stop);
    }
    return { ...actors, url: given.url, database: made.database, databaseUrl: made.url, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** What was measured, for the report. */
export function describe(names) {
  return names.map((name) => {
    const { title, version, settings, can } = SYSTEMS[name];
    return { system: name, title, version: versionIn(version), settings, can };
  });
}

function versionIn(path) {
  try {
    return JSON.parse(readFileSync(new URL(path, import.meta.url), "utf8")).version;
  } catch {
    return "not installed";
  }
}
