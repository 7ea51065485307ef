import { open, rename, rm, stat } from "node:fs/promises";
import { exportStore, importStore, migrate } from "@tidebase/core";
import type { Command } from "commander";
import { andLeave, type Cli, printAnswer } from "../cli.ts";
import { CommandError, UsageError } from "../failure.ts";
import { count, facts, size } from "../output.ts";
import { describe, locateDatabase, type Place, tell, withPlace } from "../stores.ts";

const EXPORT_HELP = `
The whole store as it was at one instant, as JSON lines, for \`npx tidebase db import\`. Nobody is held up.
The file holds inputs, outputs and the hashes of API keys: only its owner may read it.

Examples:
  $ npx tidebase db export backup.jsonl
  $ npx tidebase db export | gzip > backup.jsonl.gz`;

const IMPORT_HELP = `
The store must hold nothing yet and have the same migrations as the exported one. All is imported, or
nothing. \`-\` reads standard input.

Examples:
  $ npx tidebase db import backup.jsonl
  $ gunzip -c backup.jsonl.gz | npx tidebase db import - --schema restored`;

/** `tidebase db export|import`. */
export function addTransferCommands(db: Command, cli: Cli): void {
  db.command("export")
    .description("write the whole store to a file, or to standard output")
    .argument("[file]", "must not exist yet")
    .option("--force", "replace the file")
    .addHelpText("after", EXPORT_HELP)
    .action(async (file: string | undefined, { force }: { force?: boolean }) => {
      if (file === undefined || file === "-") await exportToOutput(cli);
      else await exportToFile(cli, file, force === true);
    });
  db.command("import")
    .description("read an export into an empty store")
    .argument("<file>", "an export, or - for standard input")
    .addHelpText("after", IMPORT_HELP)
    .action(async (file: string) => await importFrom(cli, file));
}

async function exportToOutput(cli: Cli): Promise<void> {
  const { terminal } = cli;
  if (terminal.screen)
    throw new UsageError("An export does not belong on a screen.", "Name a file, or redirect it.");
  const found = await locateDatabase(cli);
  const done = await withPlace(cli, found, (place) => exportStore(place, terminal.out));
  tell(cli, `Exported ${count(done.rows, "row")}, ${size(done.bytes)}.`);
}

async function exportToFile(cli: Cli, file: string, force: boolean): Promise<void> {
  if (!force && (await stat(file).catch(() => undefined)) !== undefined)
    throw new CommandError("file_exists", {
      message: `${file} exists.`,
      fix: "Choose another name, or add --force.",
    });
  const found = await locateDatabase(cli);
  const draft = `${file}.${process.pid}.partial`;
  const discard = (): Promise<void> => rm(draft, { force: true });
  const done = await andLeave(cli, discard, async () => {
    const whole = await withPlace(cli, found, (place) => writeDraft(place, draft));
    await rename(draft, file);
    return whole;
  });
  const answer = { file, store: describe(cli, found), ...done };
  await printAnswer(cli, answer, () =>
    facts(cli.paint, [
      ["exported", `${count(done.rows, "row")} of ${describe(cli, found)}`],
      ["file", `${file}, ${size(done.bytes)}`],
      ["sha256", done.sha256],
    ]),
  );
}

/** Under another name until it is whole and on the disk. */
async function writeDraft(place: Place, draft: string): ReturnType<typeof exportStore> {
  const handle = await open(draft, "wx", 0o600);
  try {
    const done = await exportStore(place, async (text) => await handle.writeFile(text));
    await handle.sync();
    return done;
  } finally {
    await handle.close();
  }
}

async function importFrom(cli: Cli, file: string): Promise<void> {
  const { terminal } = cli;
  if (file === "-" && terminal.interactive)
    throw new UsageError("There is nothing to read.", "Name the file, or redirect it.");
  const found = await locateDatabase(cli);
  const source = file === "-" ? terminal.input : (await open(file)).createReadStream();
  const done = await withPlace(cli, found, async (place) => {
    if (found.migrate) await migrate(place);
    return await importStore(place, source);
  });
  const store = describe(cli, found);
  await printAnswer(
    cli,
    { store, ...done },
    () => `Imported ${count(done.rows, "row")} into ${store}.\n`,
  );
}
