import { Command, CommanderError } from "commander";
import type { Cli, Flags, Surroundings } from "./cli.ts";
import { addDatabaseCommands } from "./commands/db.ts";
import { addTransferCommands } from "./commands/db-transfer.ts";
import { addDeliveryCommands } from "./commands/deliveries.ts";
import { addEnqueueCommand } from "./commands/enqueue.ts";
import { addGateCommands } from "./commands/gates.ts";
import { addDecideCommand } from "./commands/gates-decide.ts";
import { addGateSecretCommands } from "./commands/gates-secrets.ts";
import { addKeyCommands } from "./commands/keys.ts";
import { addMigrateCommand } from "./commands/migrate.ts";
import { addQueueCommands } from "./commands/queues.ts";
import { addRedriveCommand } from "./commands/queues-redrive.ts";
import { addRecoveryCommands } from "./commands/recovery.ts";
import { addControlCommands } from "./commands/run-control.ts";
import { addRecordCommands } from "./commands/run-record.ts";
import { addRunCommands } from "./commands/runs.ts";
import { addForkCommands } from "./commands/runs-fork.ts";
import { addScheduleCommands } from "./commands/schedules.ts";
import { addPutCommand } from "./commands/schedules-put.ts";
import { addSignalCommands } from "./commands/signals.ts";
import { addWebhookCommands } from "./commands/webhooks.ts";
import { describeFailure, EXIT, failureJson, failureText, UsageError } from "./failure.ts";
import { painter } from "./output.ts";
import { OutputClosed } from "./terminal.ts";

const ABOUT = `
The store is the first of: --url or TIDEBASE_URL (a server, with TIDEBASE_API_KEY), --database-url or
TIDEBASE_DATABASE_URL, DATABASE_URL (of the environment or .env) when that database holds a store, and
else the embedded Postgres in TIDEBASE_HOME.

Exit codes: 0 done, 1 failed, 2 wrong usage; \`runs verdict\` has more of its own, see its --help.
Errors go to standard error; with --json as {"error":{"code","message","fix"}}.`;

/** Reads the command line and does what it says; comes back with the exit code. */
export async function runProgram(
  argv: readonly string[],
  surroundings: Surroundings,
): Promise<number> {
  const { terminal } = surroundings;
  let exitCode: number = EXIT.ok;
  let aside = "";
  const program = new Command("tidebase")
    .description("Durable runs: look at them, recover them, and keep their store.")
    .version(surroundings.version, "-V, --version", "print the version")
    .option("--json", "print one line of JSON: the operation's answer")
    .option("--url <url>", "work on the Tidebase server at this address")
    .option("--database-url <url>", "work on this database (rather set TIDEBASE_DATABASE_URL)")
    .option("--schema <name>", "the store's schema, if it is not `tidebase`")
    .addHelpText("after", ABOUT)
    .configureHelp({ showGlobalOptions: true })
    .exitOverride();
  const words: string[] = [];
  program.configureOutput({
    writeOut: (text) => words.push(text),
    writeErr: (text) => {
      aside += text;
    },
  });
  const cli: Cli = {
    ...surroundings,
    paint: painter(terminal.colour),
    flags: () => program.opts<Flags>(),
    exitWith: (code) => {
      exitCode = code;
    },
  };
  addCommands(program, cli);
  try {
    await program.parseAsync([...argv], { from: "user" });
    return exitCode;
  } catch (thrown) {
    if (thrown instanceof OutputClosed) return EXIT.failure;
    if (thrown instanceof CommanderError && thrown.exitCode === 0) {
      return await terminal.out(words.join("")).then(
        () => EXIT.ok,
        () => EXIT.failure,
      );
    }
    const failure = describeFailure(asUsage(thrown, program, argv));
    const json = argv.includes("--json");
    if (isBareHelp(thrown) && !json) terminal.note(aside.trimEnd());
    else terminal.note(json ? failureJson(failure) : failureText(failure));
    return failure.exitCode;
  }
}

function addCommands(program: Command, cli: Cli): void {
  addMigrateCommand(program, cli);
  const db = program.command("db").description("the store's database, embedded or your own");
  addDatabaseCommands(db, cli);
  addTransferCommands(db, cli);
  const runs = program.command("runs").description("what runs did, and what to do about them");
  addRunCommands(runs, cli);
  addRecordCommands(runs, cli);
  addRecoveryCommands(runs, cli);
  addForkCommands(runs, cli);
  addControlCommands(runs, cli);
  addEnqueueCommand(program, cli);
  const queues = program.command("queues").description("runs that wait for a worker");
  addQueueCommands(queues, cli);
  addRedriveCommand(queues, cli);
  const schedules = program.command("schedules").description("runs that begin by the clock");
  addScheduleCommands(schedules, cli);
  addPutCommand(schedules, cli);
  const gates = program.command("gates").description("questions to a human, and their decisions");
  addGateCommands(gates, cli);
  addDecideCommand(gates, cli);
  addGateSecretCommands(gates, cli);
  addSignalCommands(program.command("signals").description("what runs wait for"), cli);
  addWebhookCommands(program.command("webhooks").description("where messages go"), cli);
  addDeliveryCommands(program.command("deliveries").description("messages to webhooks"), cli);
  addKeyCommands(program.command("keys").description("API keys of the store"), cli);
}

function isBareHelp(thrown: unknown): boolean {
  return thrown instanceof CommanderError && thrown.code === "commander.help";
}

/** What commander refuses is wrong usage; the fix names the help of the command in question. */
function asUsage(thrown: unknown, program: Command, argv: readonly string[]): unknown {
  if (!(thrown instanceof CommanderError)) return thrown;
  let command = program;
  for (const word of argv)
    command = command.commands.find((known) => known.name() === word) ?? command;
  const path: string[] = [];
  for (let one: Command | null = command; one !== null; one = one.parent) path.unshift(one.name());
  const message = isBareHelp(thrown)
    ? "A command is missing."
    : thrown.message.replace(/^error: /, "").replaceAll("\n", " ");
  return new UsageError(message, `Run \`${path.join(" ")} --help\`.`);
}
