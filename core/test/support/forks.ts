import type { TestDatabase } from "./database.ts";

export interface Lease {
  readonly runId: string;
  readonly epoch: number;
  readonly grantId: string;
}

interface Named {
  readonly name: string;
  readonly key: string;
}

/** The answer of `runs.fork`, as far as tests read it; `runId` is null in a plan. */
export interface Plan {
  readonly runId: string;
  readonly created: boolean;
  readonly seq: number;
  readonly keptSteps: number;
  readonly kept: readonly (Named & { readonly edited: boolean })[];
  readonly runAgainSteps: number;
  readonly runAgain: readonly (Named & { readonly repeatsEffects: boolean })[];
  readonly warnings: readonly string[];
  readonly signals: number;
}

interface Event {
  readonly seq: number;
  readonly type: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** Runs to fork, and looks at what became of them. */
export function sources(db: TestDatabase) {
  const complete = (lease: Lease, name: string, output: unknown = name, more: object = {}) =>
    db.call("steps.complete", { items: [{ ...lease, name, output, ...more }] });
  const begin = (lease: Lease, name: string, more: object = {}) =>
    db.call("steps.begin", { items: [{ ...lease, name, ...more }] });
  const plan = async ({ runId }: Pick<Lease, "runId">, more: object = {}) =>
    (await db.call("runs.fork", { runId, ...more })) as unknown as Plan;
  const fork = (source: Pick<Lease, "runId">, more: object = {}) =>
    plan(source, { ...more, dryRun: false });
  const journal = async (runId: string): Promise<Record<string, unknown>> => {
    const page = (await db.call("steps.journal", { runId })) as {
      journal: { name: string; output: unknown }[];
    };
    return Object.fromEntries(page.journal.map(({ name, output }) => [name, output]));
  };
  const eventsOf = async (runId: string) =>
    ((await db.call("events.list", { runId, limit: 1000 })) as { events: Event[] }).events;
  /** A run that completed these steps one after the other; each returned its name. */
  const finished = async (
    names: readonly string[],
    more: Readonly<Record<string, object>> = {},
    isOpen = false,
  ) => {
    const lease = await db.begun();
    for (const name of names) await complete(lease, name, name, more[name]);
    if (!isOpen) await db.complete(lease, { result: "done" });
    return lease;
  };
  return { complete, begin, plan, fork, journal, eventsOf, finished };
}

/** A row with its physical place, and the transactions that made and locked it: any write would show. */
interface Copied {
  readonly xmin: string;
}

/** Every row of every table that belongs to the run. */
export async function copyOf({ pool }: TestDatabase, runId: string): Promise<Copied[]> {
  const tables = (await owned(pool)).map(
    ({ name, column }) =>
      `select '${name}' as name, ctid::text, xmin::text, xmax::text, to_jsonb(t)::text as row from tidebase.${name} t where ${column} = $1`,
  );
  const text = `${tables.join(" union all ")} order by name, ctid`;
  return (await pool.query<Copied>(text, [runId.slice(4)])).rows;
}

/** Deletes all that belongs to the run, as a retention would. */
export async function erase({ pool }: TestDatabase, runId: string): Promise<void> {
  for (const { name, column } of await owned(pool))
    await pool.query(`delete from tidebase.${name} where ${column} = $1`, [runId.slice(4)]);
}

async function owned(pool: TestDatabase["pool"]): Promise<{ name: string; column: string }[]> {
  const { rows } = await pool.query(`select c.table_name as name, c.column_name as column
    from information_schema.columns c join information_schema.tables t using (table_schema, table_name)
    where c.table_schema = 'tidebase' and t.table_type = 'BASE TABLE'
      and c.column_name in ('run_id', 'parent_run_id', 'child_run_id') and (c.table_name, c.column_name) <> ('runs', 'parent_run_id')
    order by 1, 2`);
  return rows;
}
