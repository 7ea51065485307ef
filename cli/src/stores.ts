import {
  type Actor,
  type Backend,
  type DatabaseStore,
  describeStore,
  type EmbeddedStore,
  ensureCluster,
  type FoundStore,
  findStore,
  localBackend,
  machineUser,
  openCore,
  openStore,
  readStoreSettings,
  remote,
  SCOPES,
} from "@tidebase/core";
import { andLeave, type Cli } from "./cli.ts";
import { CommandError, UsageError } from "./failure.ts";
import { plain } from "./output.ts";

/** A database with a store in it, or with room for one. */
export interface Place {
  readonly databaseUrl: string;
  readonly schema: string;
}

/** The store that the flags name, or that the environment leads to. Throws StoreError. */
export async function locate(cli: Cli): Promise<FoundStore> {
  const { url, databaseUrl, schema } = cli.flags();
  if (url !== undefined && databaseUrl !== undefined)
    throw new UsageError("--url and --database-url name two stores.", "Give one of them.");
  const env = {
    ...cli.env,
    ...(url === undefined ? {} : { TIDEBASE_URL: url }),
    ...(databaseUrl === undefined
      ? {}
      : { TIDEBASE_URL: undefined, TIDEBASE_DATABASE_URL: databaseUrl }),
    ...(schema === undefined ? {} : { TIDEBASE_SCHEMA: schema }),
  };
  return await findStore(env, { remote: true, cwd: cli.cwd });
}

/** How the store was found: the flag, or what core says. */
export function foundBy(cli: Cli, found: FoundStore): string {
  const { url, databaseUrl } = cli.flags();
  if (url !== undefined) return "--url";
  return databaseUrl === undefined ? found.foundBy : "--database-url";
}

/** The store in one line; a flag in the place of the variable that it stands for. */
export function describe(cli: Cli, found: FoundStore): string {
  const line = describeStore(found);
  return line.replace(` (${found.foundBy})`, ` (${foundBy(cli, found)})`);
}

/** Throws `store_remote` for a server: the command works on a database. */
export async function locateDatabase(cli: Cli): Promise<DatabaseStore | EmbeddedStore> {
  const found = await locate(cli);
  if (found.kind !== "remote") return found;
  throw new CommandError("store_remote", {
    message: `The store is a ${describe(cli, found)}; this command needs its database.`,
    fix: "Run it on the server's machine, or name the database with --database-url.",
  });
}

/** Throws `store_not_embedded` when the store is not the one that Tidebase brings along. */
export async function locateEmbedded(cli: Cli): Promise<EmbeddedStore> {
  const found = await locate(cli);
  if (found.kind === "embedded") return found;
  throw new CommandError("store_not_embedded", {
    message: `The store is not the embedded one: ${describe(cli, found)}.`,
    fix: "This command is for the embedded Postgres only. Unset what names the other store to use it.",
  });
}

/** The database of a store, the embedded one started; its schema is left as it is. */
export async function withPlace<T>(
  cli: Cli,
  found: DatabaseStore | EmbeddedStore,
  work: (place: Place) => Promise<T>,
): Promise<T> {
  const { schema } = found;
  if (found.kind === "database") return await work({ databaseUrl: found.databaseUrl, schema });
  const cluster = await ensureCluster({ home: found.home });
  tell(cli, found.note);
  tell(cli, cluster.note);
  return await andLeave(cli, cluster.leave, () => work({ databaseUrl: cluster.url, schema }));
}

/**
 * Operations on the store, wherever it is. Only the embedded one is brought up to date on the way:
 * another database changes when somebody runs `tidebase migrate`. `via` is how a store of one's own
 * knows who acts; a server knows by the key.
 */
export async function withBackend<T>(
  cli: Cli,
  work: (backend: Backend, found: FoundStore) => Promise<T>,
  via: "cli" | "tty" = "cli",
): Promise<T> {
  const found = await locate(cli);
  if (found.kind === "remote") {
    const backend = remote(found);
    return await andLeave(
      cli,
      () => backend.close(),
      () => work(backend, found),
    );
  }
  const { gateFloor, webhookAllow, retentionDays } = readStoreSettings(cli.env);
  const { databaseUrl, schema, leave, note } = await openStore(found, {
    autoMigrate: found.kind === "embedded",
  });
  tell(cli, note);
  const core = openCore({
    ...{ databaseUrl, schema, sweeps: false, poolMax: 2, retentionDays },
    limits: { gateFloor },
    webhooks: { allow: webhookAllow },
  });
  const close = async (): Promise<void> => {
    await core.close().finally(leave);
  };
  return await andLeave(cli, close, () => work(localBackend(core, whoami(via)), found));
}

/** For people; a program that reads standard error expects nothing there but an error. */
export function tell({ terminal, flags }: Cli, line: string | undefined): void {
  if (line !== undefined && flags().json !== true) terminal.note(plain(line));
}

/** Whoever may open the database may do everything; the audit trail names the user of this machine. */
function whoami(via: "cli" | "tty"): Actor {
  return { name: machineUser(), scopes: SCOPES, via };
}
