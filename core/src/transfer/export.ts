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
import { FORMAT, FORMAT_VERSION, type Line, lineWriter, type Row } from "./lines.ts";
import {
  BATCH_CHARACTERS,
  BATCH_ROWS,
  charactersOf,
  type Transferred,
  transferred,
} from "./rows.ts";

/**
 * Writes the whole store, as it was at one instant, to the sink; whoever works on it is not held up.
 * The text is JSON lines, see lines.ts. Throws `store_missing`, StoreError, and whatever the
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
