import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type pg from "pg";
import { checkSchema, DEFAULT_SCHEMA, inSchema } from "./schema-name.ts";
import { withClient } from "./store/connection.ts";
import { StoreError } from "./store/error.ts";

/** Which schema of which database to bring up to date. */
export interface MigrateOptions {
  readonly databaseUrl: string;
  /** `tidebase` unless given. */
  readonly schema?: string | undefined;
  /** Where the `*.sql` files are, for a program that was bundled; found by itself otherwise. */
  readonly migrationsDir?: string | undefined;
}

interface Migration {
  readonly name: string;
  readonly sql: string;
  /** sha256 of the file, hex. */
  readonly checksum: string;
}

/** The repository's folder and the packed package's, seen alike from src/ and dist/. */
const PLACES = ["../../migrations/", "../migrations/"];
const OLDEST_POSTGRES = 14;

/**
 * Applies the migrations that the schema lacks, in order, each with its record in one transaction.
 * Any number of processes may do so at once, also through a transaction pooler. Returns the names of
 * those it applied. Throws StoreError.
 */
export async function migrate(options: MigrateOptions): Promise<string[]> {
  const migrations = await loadMigrations(options.migrationsDir);
  const schema = checkSchema(options.schema ?? DEFAULT_SCHEMA);
  const version = await programVersion();
  return await withClient(options.databaseUrl, async (client) => {
    const pending = await findPending(client, schema, migrations);
    const applied: string[] = [];
    for (const migration of pending)
      if (await apply(client, schema, version, migrations, migration)) applied.push(migration.name);
    return applied;
  });
}

/** The names of the migrations that the schema lacks, in order. Changes nothing. Throws StoreError. */
export async function pendingMigrations(options: MigrateOptions): Promise<string[]> {
  const migrations = await loadMigrations(options.migrationsDir);
  const schema = checkSchema(options.schema ?? DEFAULT_SCHEMA);
  return await withClient(options.databaseUrl, async (client) => {
    const pending = await findPending(client, schema, migrations);
    return pending.map(({ name }) => name);
  });
}

/** Names the schema that all migrations of this program make: the first half of a sha256 over them, hex. */
export async function migrationsDigest(): Promise<string> {
  const migrations = await loadMigrations(undefined);
  const all = migrations.map(({ name, checksum }) => `${name} ${checksum}`).join("\n");
  return createHash("sha256").update(all).digest("hex").slice(0, 32);
}

/** Whether the database holds a store in this schema. Throws StoreError when it cannot be asked. */
export function holdsStore(
  databaseUrl: string,
  schema: string,
  timeoutMs?: number,
): Promise<boolean> {
  return withClient(databaseUrl, (client) => hasRecords(client, schema), timeoutMs);
}

/** Reads the tables of Postgres: `to_regclass` answers from a cache that is older than the lock. */
async function hasRecords(client: pg.Client, schema: string): Promise<boolean> {
  const { rowCount } = await client.query(
    `select from pg_class join pg_namespace on pg_namespace.oid = relnamespace
      where nspname = $1 and relname = 'migrations'`,
    [schema],
  );
  return rowCount === 1;
}

/** False when another process was faster. The lock lasts as long as the transaction. */
async function apply(
  client: pg.Client,
  schema: string,
  version: string,
  migrations: readonly Migration[],
  { name, sql, checksum }: Migration,
): Promise<boolean> {
  await client.query("begin isolation level read committed read write");
  try {
    await client.query(
      `select pg_advisory_xact_lock(hashtextextended('tidebase.migrate ' || $1, 0)),
        set_config('search_path', '', true), set_config('statement_timeout', '0', true),
        set_config('lock_timeout', '0', true), set_config('client_min_messages', 'warning', true),
        set_config('idle_in_transaction_session_timeout', '0', true)`,
      [schema],
    );
    if (!(await hasRecords(client, schema))) await createRecords(client, schema);
    const pending = await findPending(client, schema, migrations);
    const wanted = pending[0]?.name === name;
    if (wanted) {
      await client.query(inSchema(sql, schema));
      await client.query(
        `insert into "${schema}".migrations (name, checksum, version) values ($1, $2, $3)`,
        [name, checksum, version],
      );
    }
    await client.query("commit");
    return wanted;
  } catch (error) {
    await client.query("rollback").catch(() => {});
    if (error instanceof StoreError) throw error;
    throw new StoreError("migration_failed", {
      message: `Migration ${name} failed, and changed nothing: ${(error as Error).message}`,
      fix: `Give the user of this database the right to create the schema "${schema}" and to change it, then run \`npx tidebase migrate\` again.`,
      cause: error,
    });
  }
}

async function createRecords(client: pg.Client, schema: string): Promise<void> {
  const { rowCount } = await client.query("select from pg_namespace where nspname = $1", [schema]);
  if (rowCount === 0) await client.query(`create schema "${schema}"`);
  await client.query(
    `create table "${schema}".migrations (
      name text primary key,
      checksum text not null,
      version text not null,
      applied_at timestamptz not null default clock_timestamp()
    )`,
  );
}

/** In order; throws when what was applied is not what this program would have applied. */
async function findPending(
  client: pg.Client,
  schema: string,
  migrations: readonly Migration[],
): Promise<Migration[]> {
  await refuseOldPostgres(client);
  if (!(await hasRecords(client, schema))) return [...migrations];
  const { rows } = await client.query<{ name: string; checksum: string; version: string }>(
    `select name, checksum, version from "${schema}".migrations order by name`,
  );
  const known = new Map(migrations.map((migration) => [migration.name, migration]));
  for (const { name, checksum, version } of rows) {
    const migration = known.get(name);
    if (migration === undefined) throw storeNewer(schema, name, version);
    if (migration.checksum !== checksum) throw changed(schema, name, version);
  }
  const applied = new Set(rows.map(({ name }) => name));
  return migrations.filter(({ name }) => !applied.has(name));
}

async function refuseOldPostgres(client: pg.Client): Promise<void> {
  const text = "select current_setting('server_version_num')::int / 10000 as major";
  const { rows } = await client.query<{ major: number }>(text);
  const major = rows[0]?.major ?? 0;
  if (major >= OLDEST_POSTGRES) return;
  throw new StoreError("postgres_too_old", {
    message: `The database runs on Postgres ${major}; Tidebase needs ${OLDEST_POSTGRES} or newer.`,
    fix: `Set TIDEBASE_DATABASE_URL to a Postgres ${OLDEST_POSTGRES} or newer.`,
  });
}

function storeNewer(schema: string, name: string, version: string): StoreError {
  return new StoreError("store_newer", {
    message: `The schema "${schema}" has the migration ${name} (applied by Tidebase ${version}), which this program does not know.`,
    fix: `Upgrade this program to Tidebase ${version} or newer.`,
  });
}

function changed(schema: string, name: string, version: string): StoreError {
  return new StoreError("migration_changed", {
    message: `The migration ${name}, applied to the schema "${schema}" by Tidebase ${version}, is not the one this program has: their checksums differ.`,
    fix: "Use an unmodified Tidebase of that version or newer; a released migration is never edited.",
  });
}

async function loadMigrations(folder: string | undefined): Promise<Migration[]> {
  const places = PLACES.map((place) => fileURLToPath(new URL(place, import.meta.url)));
  for (const place of folder === undefined ? places : [folder]) {
    const names = (await readdir(place).catch(() => [])).filter((name) => name.endsWith(".sql"));
    if (names.length > 0) return await Promise.all(names.sort().map((name) => load(place, name)));
  }
  throw new StoreError("migrations_missing", {
    message: "The migrations of Tidebase are not where this program looks for them.",
    fix: "Install Tidebase again; its package is incomplete.",
  });
}

async function load(folder: string, name: string): Promise<Migration> {
  const sql = await readFile(join(folder, name), "utf8");
  return { name, sql, checksum: createHash("sha256").update(sql).digest("hex") };
}

/** Of the package this file was published in. */
async function programVersion(): Promise<string> {
  const text = await readFile(new URL("../package.json", import.meta.url), "utf8").catch(
    () => "{}",
  );
  return (JSON.parse(text) as { version?: string }).version ?? "unknown";
}
