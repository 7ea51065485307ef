import {
  type ClusterStatus,
  clusterStatus,
  ensureCluster,
  findHome,
  pendingMigrations,
  resetCluster,
  stopCluster,
  storeFacts,
} from "@tidebase/core";
import type { Command } from "commander";
import { type Cli, printAnswer } from "../cli.ts";
import { CommandError, UsageError } from "../failure.ts";
import { count, facts, size } from "../output.ts";
import { describe, foundBy, locate, locateEmbedded, type Place, tell } from "../stores.ts";

/** `tidebase db status|start|stop|url|reset`. */
export function addDatabaseCommands(db: Command, cli: Cli): void {
  db.command("status")
    .description("which store is in use and how it was found; starts and changes nothing")
    .addHelpText(
      "after",
      "\nExamples:\n  $ npx tidebase db status\n  $ npx tidebase db status --json",
    )
    .action(async () => await printAnswer(cli, await readStatus(cli), (s) => statusText(cli, s)));
  db.command("start")
    .description("start the embedded Postgres and leave it running")
    .addHelpText(
      "after",
      "\nIt runs until `npx tidebase db stop`, or until a Tidebase program leaves it and no client is connected.",
    )
    .action(async () => await start(cli));
  db.command("stop")
    .description("stop the embedded Postgres of TIDEBASE_HOME, whoever uses it")
    .addHelpText(
      "after",
      "\nA Tidebase server that still runs starts it again when it next needs it.",
    )
    .action(async () => {
      const home = findHome(cli.env);
      const stopped = await stopCluster({ home });
      await printAnswer(cli, { home, stopped }, () =>
        stopped ? "Stopped.\n" : "It was not running.\n",
      );
    });
  db.command("url")
    .description(
      "print the URL of the embedded Postgres, started if need be; it holds the password",
    )
    .addHelpText("after", '\nExamples:\n  $ psql "$(npx tidebase db url)"')
    .action(async () => await printUrl(cli));
  db.command("reset")
    .description("stop the embedded Postgres and delete its data for good")
    .option("--yes", "do not ask; needed where nobody can be asked")
    .option("--force", "also while other programs use it")
    .addHelpText(
      "after",
      "\nExamples:\n  $ npx tidebase db export backup.jsonl && npx tidebase db reset --yes",
    )
    .action(async (options: { yes?: boolean; force?: boolean }) => await reset(cli, options));
}

interface Status {
  readonly store: string;
  readonly kind: "remote" | "database" | "embedded";
  readonly foundBy: string;
  readonly note: string | null;
  readonly schema: string | null;
  /** Of the server; null when it does not run, or is somebody else's. */
  readonly serverVersion: string | null;
  readonly sizeBytes: number | null;
  readonly pendingMigrations: readonly string[] | null;
  readonly embedded: Omit<EmbeddedStatus, "url"> | null;
}

/** `pid` is the server's, where core tells it. */
type EmbeddedStatus = ClusterStatus & { readonly pid?: number };

async function readStatus(cli: Cli): Promise<Status> {
  const found = await locate(cli);
  const about = {
    store: describe(cli, found),
    kind: found.kind,
    foundBy: foundBy(cli, found),
    note: (found.kind === "embedded" ? found.note : undefined) ?? null,
    schema: found.kind === "remote" ? null : found.schema,
  };
  const unknown = { serverVersion: null, sizeBytes: null, pendingMigrations: null };
  if (found.kind === "remote") return { ...about, ...unknown, embedded: null };
  if (found.kind === "database")
    return { ...about, ...(await readDatabase(found)), embedded: null };
  const { url, ...embedded }: EmbeddedStatus = await clusterStatus({ home: found.home });
  if (url === undefined) return { ...about, ...unknown, embedded };
  const place = { databaseUrl: url, schema: found.schema };
  return { ...about, ...(await readDatabase(place)), embedded };
}

async function readDatabase(
  place: Place,
): Promise<Pick<Status, "serverVersion" | "sizeBytes" | "pendingMigrations">> {
  return { ...(await storeFacts(place)), pendingMigrations: await pendingMigrations(place) };
}

function statusText({ paint }: Cli, status: Status): string {
  const { embedded, pendingMigrations: pending, serverVersion, sizeBytes } = status;
  return facts(paint, [
    ["store", status.store],
    ["found by", status.foundBy],
    ["note", status.note ?? undefined],
    ["state", embedded === null ? undefined : embeddedText(embedded)],
    ["server", serverVersion === null ? undefined : `Postgres ${serverVersion}`],
    ["schema", status.schema ?? undefined],
    ["size", sizeBytes === null ? undefined : size(sizeBytes)],
    [
      "migrations",
      pending === null
        ? undefined
        : pending.length === 0
          ? "up to date"
          : `pending: ${pending.join(", ")}`,
    ],
  ]);
}

function embeddedText({
  state,
  port,
  pid,
  processes,
  clients,
}: Status["embedded"] & object): string {
  if (state !== "running") return state;
  const where = [`port ${port}`, ...(pid === undefined ? [] : [`pid ${pid}`])].join(", ");
  return `running, ${where}; ${count(processes, "Tidebase process", "Tidebase processes")}, ${count(clients, "connection")}`;
}

/** The cluster outlives this process: it is not left, as after a kill, and the next one adopts it. */
async function start(cli: Cli): Promise<void> {
  const found = await locateEmbedded(cli);
  const { port, home, started, note } = await ensureCluster({ home: found.home });
  tell(cli, note);
  await printAnswer(cli, { home, port, started }, () =>
    started ? `Started on port ${port}.\n` : `It already runs on port ${port}.\n`,
  );
}

async function printUrl(cli: Cli): Promise<void> {
  const found = await locateEmbedded(cli);
  const { url } = await ensureCluster({ home: found.home });
  cli.terminal.note("This URL holds the password: keep it out of logs, history and chats.");
  await printAnswer(cli, { url }, () => `${url}\n`);
}

async function reset(cli: Cli, { yes, force }: { yes?: boolean; force?: boolean }): Promise<void> {
  const { home } = await locateEmbedded(cli);
  const { terminal } = cli;
  if (yes !== true) {
    if (!terminal.interactive || cli.flags().json === true)
      throw new UsageError("This deletes every run and key of the embedded store.", "Add --yes.");
    const typed = await terminal.ask(`Delete all runs and keys in ${home}? Type "delete": `);
    if (typed !== "delete")
      throw new CommandError("reset_declined", {
        message: "Nothing was deleted.",
        fix: 'Type "delete" to confirm.',
      });
  }
  await resetCluster({ home, force: force === true });
  await printAnswer(cli, { home, deleted: true }, () => `Deleted the data in ${home}.\n`);
}
