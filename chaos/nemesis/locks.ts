import { setTimeout as delay } from "node:timers/promises";
import type pg from "pg";
import type { World } from "../world/world.ts";
import type { Blow, Fault, Random } from "./fault.ts";
import { connectTo, withHostile } from "./hostile-client.ts";
import { repeating, serversWork, until } from "./seen.ts";

/** One in so many statements that change runs is rolled back. */
const REFUSED_ONE_IN = 20;
const LOCKED_RUNS = 6;
const BETWEEN_LOCKS_MS = 15;
const PAUSE_MS = 40;

/** The product's side of a deadlock finds it first, and is the one that is rolled back. */
const QUICK = "alter system set deadlock_timeout = '10ms'";
const AS_BEFORE = "alter system reset deadlock_timeout";
const RELOAD = "select pg_reload_conf()";
const PATIENT = "set deadlock_timeout = '10s'; set lock_timeout = '2s'";

/** A sequence counts what is rolled back: its numbers do not come back. */
const REFUSE = `
  create schema hostile;
  create sequence hostile.refused;
  create function hostile.refuse() returns trigger language plpgsql as $$
  begin
    if current_setting('application_name') = 'tidebase' and random() * ${REFUSED_ONE_IN} < 1 then
      perform nextval('hostile.refused');
      if random() < 0.5 then raise serialization_failure; end if;
      raise deadlock_detected;
    end if;
    return null;
  end $$;
  create trigger hostile before update on tidebase.runs for each statement execute function hostile.refuse()`;
const ADMIT =
  "drop trigger if exists hostile on tidebase.runs; drop schema if exists hostile cascade";

const SOME_RUNS = `select run_id from tidebase.runs where status = 'running' order by md5(run_id::text || $1) limit ${LOCKED_RUNS}`;
const DEADLOCKS =
  "select deadlocks::int as n from pg_stat_database where datname = current_database()";
const REFUSED =
  "select case when is_called then last_value else 0 end::int as n from hostile.refused";

/**
 * F13: somebody locks runs against the product's order, so that deadlocks happen whenever a statement holds one of them and
 * wants another; and some statements end as if by a serialization failure or a deadlock, which need not wait for such luck.
 */
export const lockFault: Fault = {
  id: "F13",
  title: "deadlocks and serialization failures forced",
  lastsMs: 4000,
  async fire(world, random) {
    const [before, client] = [await count(world, DEADLOCKS), await connectTo(world)];
    let refused = 0;
    let deadlocks = 0;
    async function heal(): Promise<void> {
      try {
        await stop();
      } finally {
        await client.end().catch(() => {});
        await withHostile(world, async (own) => {
          for (const text of [ADMIT, AS_BEFORE, RELOAD]) await own.query(text);
        });
      }
      await serversWork(world);
    }
    let stop = async (): Promise<void> => {};
    try {
      await client.query(PATIENT);
      for (const text of [REFUSE, QUICK, RELOAD]) await client.query(text);
      stop = repeating(PAUSE_MS, async () => {
        await lockBackwards(client, random);
        refused = await count(world, REFUSED);
        deadlocks = (await count(world, DEADLOCKS)) - before;
      });
      await until("statements were rolled back", async () => refused > 0);
    } catch (error) {
      await heal();
      throw error;
    }
    return {
      get told() {
        return `rolled back ${refused} statements, besides ${deadlocks} real deadlocks`;
      },
      heal,
    } satisfies Blow;
  },
};

/** From the greatest run id down; the product locks upwards. */
async function lockBackwards(client: pg.Client, random: Random): Promise<void> {
  const { rows } = await client.query<{ run_id: string }>(SOME_RUNS, [String(random(1_000_000))]);
  const runIds = rows.map(({ run_id }) => run_id).sort();
  await client.query("begin");
  try {
    for (const runId of runIds.reverse()) {
      await client.query("select from tidebase.runs where run_id = $1 for update", [runId]);
      await delay(BETWEEN_LOCKS_MS);
    }
  } catch (error) {
    const code = (error as { code?: unknown }).code;
    if (code !== "40P01" && code !== "55P03") throw error; // it was the one that gave way
  } finally {
    await client.query("rollback");
  }
}

async function count({ query }: World, text: string): Promise<number> {
  const [row] = await query(text);
  return Number(row?.["n"]);
}
