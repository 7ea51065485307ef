import { checkSchema, DEFAULT_SCHEMA } from "../schema-name.ts";
import {
  type Ask,
  listMigrations,
  listSequences,
  listTables,
  quoted,
  SETTINGS,
  type Table,
} from "./catalog.ts";
import { overOneConnection, type TransferOptions } from "./connection.ts";
import { invalid, TransferError } from "./error.ts";
import {
  FORMAT,
  FORMAT_VERSION,
  type Line,
  type MigrationRecord,
  type Row,
  readLines,
  type Sequence,
} from "./lines.ts";
import {
  BATCH_CHARACTERS,
  BATCH_ROWS,
  charactersOf,
  type Transferred,
  transferred,
} from "./rows.ts";

/** Tables that a migration itself puts rows into; an import replaces those. */
const SEEDED = new Set(["clock", "retention"]);

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
