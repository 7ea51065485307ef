import { type Cluster, ensureCluster } from "../embedded/cluster.ts";
import { findHome } from "../embedded/home.ts";
import { holdsStore, migrate, pendingMigrations } from "../migrate.ts";
import { checkSchema, DEFAULT_SCHEMA } from "../schema-name.ts";
import { describeUrl } from "./connection.ts";
import { readEnvFile } from "./env-file.ts";
import { StoreError } from "./error.ts";
import {
  checkExpanded,
  checkUrl,
  checkVariable,
  type Environment,
  isLocal,
  mayMigrate,
  POSTGRES,
} from "./variables.ts";

/** A Tidebase server somewhere. */
export interface RemoteStore {
  readonly kind: "remote";
  readonly url: string;
  readonly apiKey: string | undefined;
  readonly foundBy: "TIDEBASE_URL";
}

/** A schema of a Postgres that somebody else runs. */
export interface DatabaseStore {
  readonly kind: "database";
  readonly databaseUrl: string;
  readonly schema: string;
  readonly foundBy: "TIDEBASE_DATABASE_URL" | "DATABASE_URL" | ".env";
  /** Whether this program may bring the schema up to date. */
  readonly migrate: boolean;
  /** Whether the database is on this machine. */
  readonly local: boolean;
}

/** A schema of the Postgres that Tidebase brings along. */
export interface EmbeddedStore {
  readonly kind: "embedded";
  readonly home: string;
  readonly schema: string;
  readonly foundBy: "embedded";
  readonly migrate: boolean;
  readonly local: true;
  /** What was passed over on the way here, and why; for the human. */
  readonly note?: string;
}

/** A store that is ready to connect to. */
export interface OpenStore {
  readonly databaseUrl: string;
  readonly schema: string;
  readonly foundBy: (DatabaseStore | EmbeddedStore)["foundBy"];
  /** For humans; holds no password. */
  readonly description: string;
  /** What the human should know; to be shown once. */
  readonly note?: string;
  /**
   * The embedded Postgres again after it was stopped or killed, up to date; returns its URL, which
   * may have another port. Only of an embedded store: nobody else's database is ours to start.
   * Throws StoreError.
   */
  readonly revive?: () => Promise<string>;
  /** Close every connection before; stops the embedded Postgres when nobody else uses it. */
  leave(): Promise<void>;
}

const REMOTE_VARIABLES = ["TIDEBASE_URL", "TIDEBASE_API_KEY"];
const STORE_VARIABLES = [
  "TIDEBASE_DATABASE_URL",
  "TIDEBASE_SCHEMA",
  "TIDEBASE_HOME",
  "TIDEBASE_AUTO_MIGRATE",
];
/** An application's database is asked only in passing. */
const ASK_MS = 3_000;

/**
 * The one rule by which every program finds its store: TIDEBASE_URL (unless `remote` is false: a
 * server is that end itself), TIDEBASE_DATABASE_URL, DATABASE_URL of the environment or of the
 * project's `.env` when that database already holds the schema, and else the embedded Postgres.
 * Starts and changes nothing. Throws StoreError.
 */
export async function findStore(
  env: Environment,
  { remote, cwd }: { readonly remote: boolean; readonly cwd: string },
): Promise<FoundStore> {
  for (const name of remote ? [...REMOTE_VARIABLES, ...STORE_VARIABLES] : STORE_VARIABLES)
    checkVariable(name, env[name]);
  const url = env["TIDEBASE_URL"];
  if (remote && url !== undefined) return remoteStore(url, env["TIDEBASE_API_KEY"]);
  const schema = checkSchema(env["TIDEBASE_SCHEMA"] ?? DEFAULT_SCHEMA);
  const migrates = mayMigrate(env["TIDEBASE_AUTO_MIGRATE"]);
  const databaseUrl = env["TIDEBASE_DATABASE_URL"];
  if (databaseUrl !== undefined) {
    checkUrl("TIDEBASE_DATABASE_URL", databaseUrl, POSTGRES);
    return databaseStore(databaseUrl, schema, "TIDEBASE_DATABASE_URL", migrates);
  }
  const application = await findApplicationDatabase(env, cwd, schema);
  if (typeof application === "object") return application;
  const embedded = { kind: "embedded", foundBy: "embedded", local: true } as const;
  const note = application === undefined ? {} : { note: application };
  return { ...embedded, home: findHome(env), schema, migrate: migrates, ...note };
}

/** What `findStore` came upon. */
export type FoundStore = RemoteStore | DatabaseStore | EmbeddedStore;

/** What was found and how, in one line without any password. */
export function describeStore(found: FoundStore): string {
  if (found.kind === "remote") return `server ${describeUrl(found.url)} (TIDEBASE_URL)`;
  const schema = found.schema === DEFAULT_SCHEMA ? "" : `, schema ${found.schema}`;
  if (found.kind === "embedded") return `embedded Postgres in ${found.home}${schema}`;
  return `${describeUrl(found.databaseUrl)}${schema} (${found.foundBy})`;
}

/**
 * The store ready for use: the embedded Postgres joined, and the schema up to date. Where the schema
 * is not and may not be changed (`migrate` of what was found, `autoMigrate`), throws
 * `migrations_pending`.
 */
export async function openStore(
  found: DatabaseStore | EmbeddedStore,
  options: { readonly autoMigrate?: boolean; readonly migrationsDir?: string | undefined } = {},
): Promise<OpenStore> {
  const { restart, ...place } = await start(found);
  const prepare = async (databaseUrl: string): Promise<void> => {
    const target = { databaseUrl, schema: found.schema, migrationsDir: options.migrationsDir };
    if (found.migrate && options.autoMigrate !== false) await migrate(target);
    else refusePending(found, await pendingMigrations(target));
  };
  try {
    await prepare(place.databaseUrl);
  } catch (error) {
    await place.leave();
    throw error;
  }
  const opened = { ...place, schema: found.schema, foundBy: found.foundBy };
  if (restart === undefined) return opened;
  const revive = async (): Promise<string> => {
    const { url } = await restart();
    await prepare(url); // it may have been reset: what came back is then empty
    return url;
  };
  return { ...opened, revive };
}

type Place = Omit<OpenStore, "schema" | "foundBy" | "revive"> & {
  readonly restart?: Cluster["revive"];
};

async function start(found: DatabaseStore | EmbeddedStore): Promise<Place> {
  if (found.kind === "database")
    return {
      databaseUrl: found.databaseUrl,
      description: describeStore(found),
      leave: async () => {},
    };
  const { url, home, revive, leave, note } = await ensureCluster({ home: found.home });
  const notes = [found.note, note].filter((text) => text !== undefined).join(" ");
  const description = describeStore({ ...found, home });
  const opened = { databaseUrl: url, description, restart: revive, leave };
  return notes === "" ? opened : { ...opened, note: notes };
}

function refusePending(found: DatabaseStore | EmbeddedStore, pending: readonly string[]): void {
  if (pending.length === 0) return;
  const foreign = found.foundBy === "DATABASE_URL" || found.foundBy === ".env";
  const command = foreign ? "TIDEBASE_DATABASE_URL=… npx tidebase migrate" : "npx tidebase migrate";
  throw new StoreError("migrations_pending", {
    message: `The store (${describeStore(found)}) lacks these migrations: ${pending.join(", ")}.`,
    fix: foreign
      ? `It was found by ${found.foundBy}, whose database is never changed unasked: run \`${command}\` with its URL.`
      : `Run \`${command}\`.`,
  });
}

/** The store in the application's own database, or why it was passed over, or nothing. */
async function findApplicationDatabase(
  env: Environment,
  cwd: string,
  schema: string,
): Promise<DatabaseStore | string | undefined> {
  const given = env["DATABASE_URL"];
  const databaseUrl = given ?? (await readEnvFile("DATABASE_URL", cwd, env));
  if (given !== undefined) checkExpanded("DATABASE_URL", given);
  if (databaseUrl === undefined || !POSTGRES.test(databaseUrl)) return undefined;
  const foundBy = given === undefined ? ".env" : "DATABASE_URL";
  try {
    const holds = await holdsStore(databaseUrl, schema, ASK_MS);
    return holds ? databaseStore(databaseUrl, schema, foundBy, false) : undefined;
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    // What a file on a developer's disk names is often not running. What a deployment names must be:
    // another store, opened because that one is still starting, would split its runs.
    if (foundBy === ".env") return `DATABASE_URL of .env was passed over. ${error.message}`;
    throw new StoreError(error.code, {
      message: `Cannot tell whether DATABASE_URL holds the store. ${error.message}`,
      fix: `${error.fix} Or set TIDEBASE_DATABASE_URL to the store's database; or unset DATABASE_URL (set it to nothing where .env sets it) to use the embedded Postgres.`,
      cause: error,
    });
  }
}

function remoteStore(url: string, apiKey: string | undefined): RemoteStore {
  checkUrl("TIDEBASE_URL", url, /^https?:\/\//i);
  return { kind: "remote", url, apiKey, foundBy: "TIDEBASE_URL" };
}

function databaseStore(
  databaseUrl: string,
  schema: string,
  foundBy: DatabaseStore["foundBy"],
  migrates: boolean,
): DatabaseStore {
  const local = isLocal(databaseUrl);
  return { kind: "database", databaseUrl, schema, foundBy, migrate: migrates, local };
}
