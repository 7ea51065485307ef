import { checkSchema, DEFAULT_SCHEMA } from "./schema-name.ts";
import { withClient } from "./store-connection.ts";
import {
  type Ask,
  listMigrations,
  listSequences,
  listTables,
  quoted,
  SETTINGS,
  type Table,
} from "./transfer-catalog.ts";
import {
  FORMAT,
  FORMAT_VERSION,
  invalid,
  type Line,
  lineWriter,
  type MigrationRecord,
  type Row,
  readLines,
  type Sequence,
  TransferError,
} from "./transfer-lines.ts";

export interface TransferOptions {
  readonly databaseUrl: string;
  /** `tidebase` unless given. */
  readonly schema?: string | undefined;
}

export interface Transferred {
  /** Rows of each table, the tables by name. */
  readonly tables: Readonly<Record<string, number>>;
  readonly rows: number;
}

/** About as much text as one round trip carries. */
const BATCH_CHARACTERS = 4_000_000;
const BATCH_ROWS = 1000;
/** Tables that a migration itself puts rows into; an import replaces those. */
const SEEDED = new Set(["clock"]);

/**
 * Writes the whole store, as it was at one instant, to the sink; whoever works on it is not held up.
 * The text is JSON lines, see transfer-lines.ts. Throws `store_missing`, StoreError, and whatever the
 * sink throws.
 */
export async function exportStore(
  { databaseUrl, schema: name = DEFAULT_SCHEMA }: TransferOptions,
  sink: (text: string) => Promise<void>,
): Promise<Transferred & { readonly bytes: number; readonly sha256: string }> {
  const schema = checkSchema(name);
  return await overOneConnection(databaseUrl, async (ask) => {
    await ask("begin isolation level repeatable read read only");
    await ask(SETTINGS);
    const { write, end } = lineWriter(sink);
    const migrations = await listMigrations(ask, schema);
    await write([{ format: FORMAT, version: FORMAT_VERSION, migrations }]);
    const counts: Record<string, number> = {};
    for (const table of await listTables(ask, schema)) {
      await write([{ table: table.name, columns: [...table.columns] }]);
      counts[table.name] = 0;
      for await (const rows of readRows(ask, schema, table)) {
        counts[table.name] = (counts[table.name] ?? 0) + rows.length;
        await write(rows);
      }
    }
    // Read after the rows: a sequence heeds no snapshot, and may only be further than they are.
    for (const sequence of await listSequences(ask, schema))
      await write(
        await ask<Line>(
          `select $1::text as sequence, last_value::text as value, is_called as called from ${quoted(schema, sequence)}`,
          [sequence],
        ),
      );
    await ask("commit");
    const done = transferred(counts);
    return { ...done, ...(await end(done.rows)) };
  });
}

/** In batches of about the same size, however large the rows are. */
async function* readRows(ask: Ask, schema: string, table: Table): AsyncGenerator<Row[], void> {
  const columns = table.columns.map((column) => `${quoted(column)}::text`).join(", ");
  const order =
    table.key.length === 0 ? "" : ` order by ${table.key.map((k) => quoted(k)).join(", ")}`;
  await ask(
    `declare export_rows no scroll cursor for select ${columns} from ${quoted(schema, table.name)}${order}`,
  );
  for (let count = 10; ; ) {
    const rows = await ask<Row>(`fetch ${count} from export_rows`, [], true);
    if (rows.length > 0) yield rows;
    if (rows.length < count) break;
    const size = rows.reduce((sum, row) => sum + charactersOf(row), 0);
    count = Math.max(1, Math.min(BATCH_ROWS, Math.floor((BATCH_CHARACTERS * count) / size)));
  }
  await ask("close export_rows");
}

function charactersOf(row: Row): number {
  return row.reduce((sum, value) => sum + (value?.length ?? 0), 1);
}

function transferred(counts: Record<string, number>): Transferred {
  return { tables: counts, rows: Object.values(counts).reduce((sum, count) => sum + count, 0) };
}

/**
 * Reads an export into a store that holds nothing yet and has had the same migrations: all of it, or,
 * when it throws, none. Throws TransferError, StoreError, and whatever the source throws.
 */
export async function importStore(
  { databaseUrl, schema: name = DEFAULT_SCHEMA }: TransferOptions,
  source: AsyncIterable<Uint8Array>,
): Promise<Transferred> {
  const schema = checkSchema(name);
  const lines = readLines(source);
  const first = (await lines.next()).value ?? [];
  if (!("format" in first) || first.format !== FORMAT) throw invalid("it is not one of Tidebase's");
  if (first.version !== FORMAT_VERSION)
    throw otherVersion(
      `The export has format ${first.version}; this program reads ${FORMAT_VERSION}.`,
    );
  const { migrations } = first;
  return await overOneConnection(databaseUrl, async (ask) => {
    await ask("begin isolation level read committed read write");
    await ask(SETTINGS);
    refuseOtherMigrations(await listMigrations(ask, schema), migrations);
    const tables = await listTables(ask, schema);
    const all = tables.map((table) => quoted(schema, table.name)).join(", ");
    await ask(`lock table ${all} in share row exclusive mode`);
    await refuseRows(ask, schema, tables);
    const counts = await insertLines(ask, schema, tables, lines);
    await ask("commit");
    return transferred(counts);
  });
}

function refuseOtherMigrations(
  here: readonly MigrationRecord[],
  there: readonly MigrationRecord[],
): void {
  const at = here.findIndex(({ name, checksum }, n) => {
    const other = there[n];
    return other === undefined || other.name !== name || other.checksum !== checksum;
  });
  if (at < 0 && here.length === there.length) return;
  const differs = at < 0 ? there[here.length]?.name : here[at]?.name;
  throw otherVersion(
    `The export was made of a store with ${there.length} migrations, and this one has ${here.length}; they differ from ${differs} on.`,
  );
}

function otherVersion(message: string): TransferError {
  return new TransferError("export_other_version", {
    message,
    fix: "Import it with the version of Tidebase that exported it; then upgrade and run `npx tidebase migrate`.",
  });
}

async function refuseRows(ask: Ask, schema: string, tables: readonly Table[]): Promise<void> {
  const filled: string[] = [];
  for (const { name } of tables) {
    const place = quoted(schema, name);
    if (SEEDED.has(name)) await ask(`delete from ${place}`);
    else if ((await ask(`select 1 from ${place} limit 1`)).length > 0) filled.push(name);
  }
  if (filled.length === 0) return;
  throw new TransferError("store_not_empty", {
    message: `The store is not empty: it has rows in ${filled.join(", ")}.`,
    fix: "Import into a new store: another schema, another database, or the embedded one after `npx tidebase db reset`.",
  });
}

async function insertLines(
  ask: Ask,
  schema: string,
  tables: readonly Table[],
  lines: AsyncIterable<Line>,
): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  let insert: ((rows: readonly Row[]) => Promise<void>) | undefined;
  const sequences: Sequence[] = [];
  let rows: Row[] = [];
  let size = 0;
  async function flush(): Promise<void> {
    if (rows.length > 0) await insert?.(rows);
    rows = [];
    size = 0;
  }
  let table = "";
  for await (const line of lines) {
    if (isRow(line)) {
      if (insert === undefined) throw invalid("a row stands before its table");
      rows.push(line);
      size += charactersOf(line);
      counts[table] = (counts[table] ?? 0) + 1;
      if (rows.length >= BATCH_ROWS || size >= BATCH_CHARACTERS) await flush();
      continue;
    }
    await flush();
    if ("table" in line) {
      table = line.table;
      counts[table] = 0;
      insert = inserter(ask, schema, tables, line);
    } else if ("sequence" in line) sequences.push(line);
  }
  // Last, when the whole export has been read: no rollback takes it back.
  for (const sequence of sequences) await setSequence(ask, schema, sequence);
  return counts;
}

function isRow(line: Line): line is Row {
  return Array.isArray(line);
}

function inserter(
  ask: Ask,
  schema: string,
  tables: readonly Table[],
  { table: name, columns }: { table: string; columns: string[] },
): (rows: readonly Row[]) => Promise<void> {
  const table = tables.find((one) => one.name === name);
  if (table === undefined || [...table.columns].sort().join() !== [...columns].sort().join())
    throw invalid(`this store has no table ${JSON.stringify(name)} with its columns`);
  const names = columns.map((column) => quoted(column)).join(", ");
  const values = columns.map(
    (column, n) => `r.c${n}::${table.types[table.columns.indexOf(column)]}`,
  );
  const arrays = columns.map((_, n) => `$${n + 1}::text[]`).join(", ");
  const aliases = columns.map((_, n) => `c${n}`).join(", ");
  const text = `insert into ${quoted(schema, name)} (${names}) overriding system value
    select ${values.join(", ")} from unnest(${arrays}) as r(${aliases})`;
  return async (rows) => {
    if (rows.some((row) => row.length !== columns.length))
      throw invalid(`a row of ${name} is not as long as its columns`);
    await ask(
      text,
      columns.map((_, n) => rows.map((row) => row[n])),
    );
  };
}

async function setSequence(
  ask: Ask,
  schema: string,
  { sequence, value, called }: Sequence,
): Promise<void> {
  if (!(await listSequences(ask, schema)).includes(sequence))
    throw invalid(`this store has no sequence ${JSON.stringify(sequence)}`);
  const place = quoted(schema, sequence);
  await ask("select setval($1::regclass, $2::bigint, $3::boolean)", [place, value, called]);
}

/** What the database refuses is told as StoreError; everything else passes as it was thrown. */
async function overOneConnection<T>(
  databaseUrl: string,
  work: (ask: Ask) => Promise<T>,
): Promise<T> {
  const outcome = await withClient(databaseUrl, async (client) => {
    const refused = new Set<unknown>();
    const ask = async <R>(text: string, values: readonly unknown[] = [], array = false) => {
      try {
        const config = { text, values: [...values], ...(array ? { rowMode: "array" } : {}) };
        return (await client.query(config)).rows as R[];
      } catch (error) {
        refused.add(error);
        throw error;
      }
    };
    try {
      return { answer: await work(ask) };
    } catch (error) {
      await client.query("rollback").catch(() => {});
      if (refused.has(error)) throw error;
      return { thrown: error };
    }
  });
  if ("thrown" in outcome) throw outcome.thrown;
  return outcome.answer;
}
