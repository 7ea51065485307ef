import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import type { World } from "../world/world.ts";
import type { Fault } from "./fault.ts";
import { connectTo, stateOfFailure, withHostile } from "./hostile-client.ts";
import { repeating, serversWork, until } from "./seen.ts";

const STATEMENT_TIMEOUT = "50ms";
const LOCK_TIMEOUT = "100ms";
/** Longer than either. */
const HELD_MS = 150;
const PAUSE_MS = 200;
const CANCELLED = "57014";

const IMPATIENT = `do $$ begin
  execute format('alter database %I set statement_timeout = ''${STATEMENT_TIMEOUT}''', current_database());
  execute format('alter database %I set lock_timeout = ''${LOCK_TIMEOUT}''', current_database());
end $$`;
const AS_BEFORE = `do $$ begin
  execute format('alter database %I reset statement_timeout', current_database());
  execute format('alter database %I reset lock_timeout', current_database());
end $$`;
/** A connection has the settings of the time when it was made. */
const END_OURS =
  "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name = 'tidebase'";
/** Also those of the harness that were made while it lasted. */
const END_ALL =
  "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()";
const NEW_ONES =
  "select count(*)::int as n from pg_stat_activity where datname = current_database() and application_name = 'tidebase'";
const HOLD =
  "select from tidebase.runs where run_id in (select run_id from tidebase.runs where status = 'running' order by md5(run_id::text || $1) limit 3) for update skip locked";

/** F14: the database's own patience is short, and somebody holds runs for longer than that now and then. */
export const timeoutFault: Fault = {
  id: "F14",
  title: `statement_timeout ${STATEMENT_TIMEOUT}, lock_timeout ${LOCK_TIMEOUT}`,
  lastsMs: 3000,
  async fire(world, random) {
    const holder = await connectTo(world); // made before: it may wait
    let holds = 0;
    let stop = async (): Promise<void> => {};
    async function heal(): Promise<void> {
      try {
        await stop();
      } finally {
        await holder.end().catch(() => {});
        await withHostile(world, async (client) => {
          await client.query("set statement_timeout = 0; set lock_timeout = 0");
          for (const text of [AS_BEFORE, END_ALL]) await client.query(text);
        });
      }
      await serversWork(world);
    }
    try {
      for (const text of [IMPATIENT, END_OURS]) await holder.query(text);
      await seenByClients(world);
      stop = repeating(PAUSE_MS, async () => {
        await holder.query("begin");
        await holder.query(HOLD, [String(random(1_000_000))]);
        await delay(HELD_MS);
        await holder.query("rollback");
        holds += 1;
      });
      await until("runs were held", async () => holds > 0);
    } catch (error) {
      await heal();
      throw error;
    }
    return {
      get told() {
        return `statements ended after ${STATEMENT_TIMEOUT}; runs held ${holds} times for ${HELD_MS} ms`;
      },
      heal,
    };
  },
};

/** Whoever connects as a server does is cut short, and servers have connected anew. */
async function seenByClients(world: World): Promise<void> {
  const url = Object.assign(new URL(world.postgres.url), { port: String(world.databaseLink.port) });
  const client = new pg.Client({ connectionString: url.href, application_name: "hostile" });
  client.on("error", () => {});
  await client.connect();
  try {
    const state = await stateOfFailure(client.query("select pg_sleep(1)"));
    if (state !== CANCELLED) throw new Error("A slow statement was not cancelled.");
  } finally {
    await client.end().catch(() => {});
  }
  await until("servers connect anew", async () => {
    const [row] = await world.query(NEW_ONES);
    return Number(row?.["n"]) > 0;
  });
}
