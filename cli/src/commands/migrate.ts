import { migrate, openStore, pendingMigrations } from "@tidebase/core";
import type { Command } from "commander";
import { type Cli, printAnswer } from "../cli.ts";
import { EXIT } from "../failure.ts";
import { count } from "../output.ts";
import { describe, locateDatabase, withPlace } from "../stores.ts";

const HELP = `
An application's own database, found by DATABASE_URL, is never changed: name it with --database-url or
TIDEBASE_DATABASE_URL to have the store there.

With --check nothing is changed; the exit code is 1 when migrations are pending.

Examples:
  $ npx tidebase migrate
  $ npx tidebase migrate --check
  $ TIDEBASE_DATABASE_URL=postgres://app@db.internal/app npx tidebase migrate --schema staging`;

/** `tidebase migrate`. */
export function addMigrateCommand(program: Command, cli: Cli): void {
  program
    .command("migrate")
    .description("bring the store's schema up to date")
    .option("--check", "list what is pending, and change nothing")
    .addHelpText("after", HELP)
    .action(async ({ check }: { check?: boolean }) => {
      if (check === true) await checkPending(cli);
      else await applyPending(cli);
    });
}

async function checkPending(cli: Cli): Promise<void> {
  const found = await locateDatabase(cli);
  const store = describe(cli, found);
  const pending = await withPlace(cli, found, pendingMigrations);
  if (pending.length > 0) cli.exitWith(EXIT.failure);
  await printAnswer(cli, { store, pending }, () =>
    pending.length === 0
      ? `${store}: up to date.\n`
      : `${store}: ${count(pending.length, "migration")} pending.\n${lines(pending)}`,
  );
}

async function applyPending(cli: Cli): Promise<void> {
  const found = await locateDatabase(cli);
  const store = describe(cli, found);
  const applied = await withPlace(cli, found, async (place) => {
    if (found.foundBy === "embedded" || found.foundBy === "TIDEBASE_DATABASE_URL")
      return await migrate(place);
    await openStore(found); // throws, and says how to name it, when it lacks any
    return [];
  });
  await printAnswer(cli, { store, applied }, () =>
    applied.length === 0
      ? `${store}: up to date.\n`
      : `${store}: ${count(applied.length, "migration")} applied.\n${lines(applied)}`,
  );
}

function lines(names: readonly string[]): string {
  return names.map((name) => `  ${name}\n`).join("");
}
