import type { TestDatabase } from "./database.ts";

type Pool = TestDatabase["pool"];

/** A column of a table, by the catalogue. */
interface Column {
  readonly table: string;
  readonly column: string;
}

/** Columns that tell whose row it is. */
const OWNERS = ["run_id", "parent_run_id", "child_run_id", "gate_id"];
/** Rows that only point at a run: it may be gone. */
const POINTERS = ["runs.parent_run_id", "schedule_fires.run_id"];

/** Every column that names the run, or the gate of a run, that a row belongs to: of tables of later versions too. */
export async function owners(pool: Pool): Promise<Column[]> {
  const all = await columns(pool, "true");
  return all.filter(
    ({ table, column }) => OWNERS.includes(column) && !POINTERS.includes(`${table}.${column}`),
  );
}

/** Every column that can hold somebody's text, of every table whose rows belong to runs. */
export async function texts(pool: Pool): Promise<string[]> {
  const tables = new Set((await owners(pool)).map(({ table }) => table));
  const all = await columns(
    pool,
    "c.data_type in ('text', 'jsonb', 'json', 'ARRAY', 'USER-DEFINED')",
  );
  return all.flatMap(({ table, column }) => (tables.has(table) ? [`${table}.${column}`] : []));
}

/** The columns of the whole store that hold this text somewhere, whatever their type. */
export async function holding(pool: Pool, needle: string): Promise<string[]> {
  const all = await columns(pool, "true");
  const asked = all.map(
    ({ table, column }) =>
      `select '${table}.${column}' as place from tidebase.${table} where ${column}::text like $1`,
  );
  const { rows } = await pool.query(`${asked.join(" union ")} order by 1`, [`%${needle}%`]);
  return rows.map(({ place }) => place);
}

/** How many rows of each table belong to these runs or gates; tables that have none are left out. */
export async function rowsOf(pool: Pool, ids: readonly string[]): Promise<Record<string, number>> {
  const bare = ids.map((id) => id.slice(id.indexOf("_") + 1));
  const asked = (await owners(pool)).map(
    ({ table, column }) =>
      `select '${table}.${column}' as place, count(*)::int as n from tidebase.${table} where ${column} = any ($1)`,
  );
  const { rows } = await pool.query(`${asked.join(" union all ")} order by 1`, [bare]);
  return Object.fromEntries(rows.flatMap(({ place, n }) => (n === 0 ? [] : [[place, n]])));
}

async function columns(pool: Pool, which: string): Promise<Column[]> {
  const { rows } =
    await pool.query(`select c.table_name::text as table, c.column_name::text as column
    from information_schema.columns c join information_schema.tables t using (table_schema, table_name)
    where c.table_schema = 'tidebase' and t.table_type = 'BASE TABLE' and c.table_name <> 'migrations' and ${which} order by 1, 2`);
  return rows;
}
