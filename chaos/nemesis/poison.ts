import { setTimeout as delay } from "node:timers/promises";
import { openCore } from "@tidebase/core";
import type pg from "pg";
import { bare, text } from "../checks/rows.ts";
import { type Caller, callerOf } from "../crash-points/chore.ts";
import { type FinalRead, type Look, now, type Row } from "../history/evidence.ts";
import { readFinally } from "../history/final-read.ts";
import type { World } from "../world/world.ts";
import type { Blow, Fault } from "./fault.ts";
import { stateOfFailure, withHostile } from "./hostile-client.ts";
import { KINDS, NAME } from "./poisoned-rows.ts";
import { until } from "./seen.ts";

/** What is still late then, C13 calls late. */
const LASTS_MS = 17_000;

/** A sequence counts what is rolled back. A delivery is refused by its webhook, which is there before it. */
const PREPARE = `
  create schema hostile;
  create table hostile.planted (run_id uuid primary key);
  create table hostile.poisoned (id uuid primary key, kind text not null);
  create function hostile.refuse() returns trigger language plpgsql as $$
  declare v_kind text := (select kind from hostile.poisoned where id = (to_jsonb(old) ->> tg_argv[0])::uuid);
  begin
    if v_kind is null then return new; end if;
    perform nextval(('hostile.' || v_kind)::regclass);
    raise exception 'poisoned';
  end $$;
  create trigger hostile before update on tidebase.runs for each row
    when (old.status is distinct from new.status) execute function hostile.refuse('run_id');
  create trigger hostile before update on tidebase.gates for each row
    when (old.status is distinct from new.status) execute function hostile.refuse('gate_id');
  create trigger hostile before update on tidebase.deliveries for each row execute function hostile.refuse('webhook_id')`;

const DEADLOCK = "40P01";

/** Runs first, as everybody locks them; a child is told of by two columns that are called otherwise. */
const CLEAN = `do $$
  declare v_name text;
  begin
    if to_regclass('hostile.planted') is null then return; end if;
    perform from tidebase.runs where run_id in (select run_id from hostile.planted) order by run_id for update;
    delete from tidebase.children where parent_run_id in (select run_id from hostile.planted);
    for v_name in select table_name from information_schema.columns join information_schema.tables using (table_schema, table_name)
      where table_schema = 'tidebase' and column_name = 'run_id' and table_type = 'BASE TABLE' order by table_name = 'runs'
    loop
      execute format('delete from tidebase.%I where run_id in (select run_id from hostile.planted)', v_name);
    end loop;
    delete from tidebase.schedules where name = '${NAME}';
    delete from tidebase.webhooks where name = '${NAME}';
    if to_regclass('public.deleted_runs') is not null then
      delete from public.deleted_runs where run_id in (select run_id from hostile.planted); -- retention did not do it
    end if;
    drop schema hostile cascade;
  end $$`;

const COUNTS = `select sequencename as kind, coalesce(last_value, 0)::int as n from pg_sequences where schemaname = 'hostile'
  union all select 'schedules', failures from tidebase.schedules where name = '${NAME}' order by 1`;

/**
 * F25: a row of each sweep, a claim, a delivery and a schedule that nobody can settle, each beside sound ones. They last
 * longer than C13 is patient; it reads the store before they go.
 */
export const poisonFault: Fault = {
  id: "F25",
  title: "a row of each kind that cannot be settled",
  lastsMs: 0, // its healing waits
  async fire(world) {
    try {
      const bad = await withHostile(world, (client) => poison(world, client));
      await until("each poisoned row was refused", async () =>
        (await counts(world)).every(({ n }) => n > 0),
      );
      return blowOf(world, bad);
    } catch (error) {
      await clean(world);
      throw error;
    }
  },
};

function blowOf(world: World, bad: ReadonlySet<string>): Blow {
  const since = now();
  let told = "";
  let look: Look | undefined;
  return {
    get told() {
      return told;
    },
    get look() {
      return look;
    },
    async heal() {
      await delay(Math.max(0, since + LASTS_MS - now()));
      const final = without(await readFinally(world), bad);
      look = { since, at: now(), final };
      const refused = await counts(world);
      told = `refused ${refused.map(({ kind, n }) => `${kind} ${n} times`).join(", ")}`;
      await clean(world);
    },
  };
}

/** Plants everything and makes it due; the ids of what stays late: poisoned rows, and the runs that came with them. */
async function poison(world: World, client: pg.Client): Promise<ReadonlySet<string>> {
  const core = openCore({
    databaseUrl: world.postgres.url,
    sweeps: false,
    poolMax: 2,
    webhooks: { allow: ["127.0.0.1"] },
  });
  try {
    const call = callerOf(core);
    await lockTables(client, PREPARE);
    const bad = await plantRows(call, client);
    await spoilSchedule(call, client);
    return new Set([...bad, await spoilDelivery(call, client)]);
  } finally {
    await core.close();
  }
}

/** The first of each kind is poisoned, the second is not. */
async function plantRows(call: Caller, client: pg.Client): Promise<string[]> {
  const bad: string[] = [];
  const due: (() => Promise<unknown>)[] = [];
  for (const kind of KINDS) {
    const first = await kind.plant(call);
    await spoil(client, kind.name, first.row);
    const sound = kind.isAlone === true ? [] : (await kind.plant(call)).runs;
    const runs = [...first.runs, ...sound];
    await plantedRuns(client, runs);
    bad.push(first.row, ...first.runs);
    due.push(() => client.query(kind.due, [runs]));
  }
  for (const make of due) await make();
  return bad;
}

/** Nothing listens there: it would be no good delivery if it were not refused. The run that it is about. */
async function spoilDelivery(call: Caller, client: pg.Client): Promise<string> {
  const workflow = `${NAME}-delivery`;
  const { webhookId } = await call("webhooks.create", {
    ...{ name: NAME, url: "http://127.0.0.1:1/", events: ["run.created"], workflows: [workflow] },
  });
  await spoil(client, "deliveries", bare(webhookId));
  const runId = bare((await call("runs.create", { workflow }))["runId"]);
  await plantedRuns(client, [runId]);
  return runId;
}

async function spoilSchedule(call: Caller, client: pg.Client): Promise<void> {
  const yearly = { workflow: NAME, cron: "0 0 1 1 *", queue: NAME };
  await call("schedules.put", { name: NAME, ...yearly });
  await client.query(
    "update tidebase.schedules set cron = 'rubbish', next_fire_at = tidebase.now() where name = $1",
    [NAME],
  );
}

async function spoil(client: pg.Client, kind: string, id: string): Promise<void> {
  await client.query(`create sequence hostile.${kind}`);
  await client.query("insert into hostile.poisoned values ($1, $2)", [id, kind]);
}

async function plantedRuns(client: pg.Client, runs: readonly string[]): Promise<void> {
  await client.query("insert into hostile.planted select unnest($1::uuid[])", [runs]);
}

/** The read without what was poisoned; who waits for whom under load says nothing. */
function without(final: FinalRead, bad: ReadonlySet<string>): FinalRead {
  const isBad = (row: Row) => bad.has(bare(row["run_id"])) || row["name"] === NAME;
  const tables = Object.entries(final.tables).map(([name, rows]): [string, readonly Row[]] => [
    name,
    rows.filter((row) => !isBad(row)),
  ]);
  return { ...final, tables: Object.fromEntries(tables), stuck: [] };
}

async function counts({ query }: World): Promise<{ kind: string; n: number }[]> {
  const rows = await query(COUNTS);
  return rows.map(({ kind, n }) => ({ kind: text(kind), n: Number(n) }));
}

async function clean(world: World): Promise<void> {
  await withHostile(world, (client) => lockTables(client, CLEAN));
}

/** Does it as a whole; whoever works meanwhile locks the same tables in another order. */
async function lockTables(client: pg.Client, text: string): Promise<void> {
  await until("tables were locked without a deadlock", async () => {
    const state = await stateOfFailure(client.query(text));
    if (state !== undefined && state !== DEADLOCK) throw new Error(`It was refused: ${state}.`);
    return state === undefined;
  });
}
