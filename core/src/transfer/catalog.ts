import { TransferError } from "./error.ts";
import type { MigrationRecord } from "./lines.ts";

/** Asks this one connection; rows as objects, or as arrays when `array` is set. */
export type Ask = <R>(text: string, values?: readonly unknown[], array?: boolean) => Promise<R[]>;

/** A table as the export writes it. */
export interface Table {
  readonly name: string;
  /** Generated ones are left out: Postgres makes them again. */
  readonly columns: readonly string[];
  /** As SQL names the type of each column. */
  readonly types: readonly string[];
  /** The columns of the primary key. */
  readonly key: readonly string[];
}

/** Text that does not depend on the server's settings, and no time limit of its own. */
export const SETTINGS = `select set_config('TimeZone', 'UTC', true), set_config('DateStyle', 'ISO, MDY', true),
    set_config('IntervalStyle', 'postgres', true), set_config('bytea_output', 'hex', true),
    set_config('extra_float_digits', '1', true), set_config('search_path', '', true),
    set_config('statement_timeout', '0', true), set_config('idle_in_transaction_session_timeout', '0', true),
    set_config('client_encoding', 'UTF8', true)`;

/** `"schema"."name"`. */
export function quoted(...names: readonly string[]): string {
  return names.map((name) => `"${name.replaceAll('"', '""')}"`).join(".");
}

/** Every table of the schema but the record of its migrations, by name. */
export function listTables(ask: Ask, schema: string): Promise<Table[]> {
  return ask<Table>(
    `select c.relname::text as name,
        array_agg(a.attname::text order by a.attnum) as columns,
        array_agg(format_type(a.atttypid, a.atttypmod) order by a.attnum) as types,
        coalesce((
          select array_agg(part.attname::text order by k.position)
            from pg_index i cross join lateral unnest(i.indkey::int2[]) with ordinality as k(attnum, position)
            join pg_attribute part on part.attrelid = c.oid and part.attnum = k.attnum
           where i.indrelid = c.oid and i.indisprimary), '{}') as key
      from pg_class c
      join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
     where c.relnamespace = to_regnamespace($1)::oid and c.relkind in ('r', 'p') and not c.relispartition
       and c.relname <> 'migrations'
     group by c.oid, c.relname order by c.relname collate "C"`,
    [quoted(schema)],
  );
}

/** The names of the schema's sequences, in order. */
export async function listSequences(ask: Ask, schema: string): Promise<string[]> {
  const rows = await ask<{ name: string }>(
    `select relname::text as name from pg_class
      where relnamespace = to_regnamespace($1)::oid and relkind = 'S' order by relname collate "C"`,
    [quoted(schema)],
  );
  return rows.map(({ name }) => name);
}

/** What was applied to the schema, in order. Throws `store_missing` when it is none of Tidebase's. */
export async function listMigrations(ask: Ask, schema: string): Promise<MigrationRecord[]> {
  const records = quoted(schema, "migrations");
  const [found] = await ask<{ found: boolean }>("select to_regclass($1) is not null as found", [
    records,
  ]);
  if (found?.found === true)
    return await ask<MigrationRecord>(
      `select name, checksum from ${records} order by name collate "C"`,
    );
  throw new TransferError("store_missing", {
    message: `The database holds no store in the schema ${quoted(schema)}.`,
    fix: "Name the store's database and schema, or make the store with `npx tidebase migrate`.",
  });
}
