import { randomUUID } from "node:crypto";
import type { Bench } from "./bench.ts";

/** The rows of a prepared run, to be put into the store again and again under new ids. */
export interface Original {
  /** Bare uuids, the run's first. */
  readonly ids: Ids;
  /** JSON arrays of rows, in the order of `TABLES`. */
  readonly rows: readonly string[];
}

/** Bare uuids of a run, its child and its gate; those that it does not have stand for nothing. */
export interface Ids {
  readonly run: string;
  readonly child: string;
  readonly gate: string;
}

/** Tables with rows of a prepared run; by which column they are its. */
const TABLES = [
  ["runs", "run_id"],
  ["payloads", "run_id"],
  ["holders", "run_id"],
  ["steps", "run_id"],
  ["events", "run_id"],
  ["gates", "run_id"],
  ["timers", "run_id"],
  ["children", "parent_run_id"],
] as const;

const NOBODY: Ids = { run: randomUUID(), child: randomUUID(), gate: randomUUID() };

/** The statement that takes one run away and puts the next one in its place: no sweep ever sees two. */
export async function placing({ query }: Bench): Promise<string> {
  const columns = await query<{ table: string; names: string }>(
    `select table_name::text as table, string_agg(quote_ident(column_name), ', ') as names
       from information_schema.columns where table_schema = 'tidebase' and is_generated = 'NEVER' group by 1`,
  );
  const inserts = TABLES.map(([table], n) => {
    const names = columns.find((one) => one.table === table)?.names;
    return `${table}_in as (insert into tidebase.${table} (${names})
      select ${names} from json_populate_recordset(null::tidebase.${table}, $${n + 1}::json))`;
  });
  return `with ${inserts.join(", ")}, forks_out as (
      delete from tidebase.runs where forked_from_run_id = any ($9::uuid[])
    ), gates_out as (delete from tidebase.gates where run_id = any ($9::uuid[]))
    delete from tidebase.runs where run_id = any ($9::uuid[])`;
}

/** Takes the prepared run out of the store. */
export async function takeOut({ query }: Bench, ids: Ids): Promise<Original> {
  const owners = [ids.run, ids.child];
  const texts = TABLES.map(
    ([table, owner]) =>
      `coalesce((select json_agg(t) from tidebase.${table} t where ${owner} = any ($1::uuid[]))::text, '[]')`,
  );
  const [found] = await query<{ rows: string[] }>(`select array[${texts.join(", ")}] as rows`, [
    owners,
  ]);
  await query("delete from tidebase.runs where run_id = any ($1::uuid[])", [owners]);
  return { ids, rows: found?.rows ?? [] };
}

/**
 * Puts a copy into the store, in place of the run `before`. Runs are locked in the order of their ids, so it makes a
 * difference whether the child's is the lower one.
 */
export async function putCopy(
  bench: Bench,
  { ids, rows }: Original,
  given: { place: string; before: Ids | undefined; isChildFirst: boolean },
): Promise<Ids> {
  const [low = "", high = ""] = [randomUUID(), randomUUID()].sort();
  const gate = randomUUID();
  const copy = given.isChildFirst
    ? { run: high, child: low, gate }
    : { run: low, child: high, gate };
  const texts = rows.map((text) =>
    text
      .replaceAll(ids.run, copy.run)
      .replaceAll(ids.child, copy.child)
      .replaceAll(ids.gate, copy.gate),
  );
  const { run, child } = given.before ?? NOBODY;
  await bench.query(given.place, [...texts, [run, child]], "place");
  return copy;
}
