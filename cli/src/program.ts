import { Command, CommanderError } from "commander";
import type { Cli, Flags, Surroundings } from "./cli.ts";
import { addDatabaseCommands } from "./commands/db.ts";
import { addTransferCommands } from "./commands/db-transfer.ts";
import { addDeliveryCommands } from "./commands/deliveries.ts";
import { addDoctorCommand } from "./commands/doctor.ts";
import { addEnqueueCommand } from "./commands/enqueue.ts";
import { addEventsCommand } from "./commands/events.ts";
import { addGateCommands } from "./commands/gates.ts";
import { addDecideCommand } from "./commands/gates-decide.ts";
import { addGateSecretCommands } from "./commands/gates-secrets.ts";
import { addInitCommand } from "./commands/init.ts";
import { addKeyCommands } from "./commands/keys.ts";
import { addMigrateCommand } from "./commands/migrate.ts";
import { addQueueCommands } from "./commands/queues.ts";
import { addRedriveCommand } from "./commands/queues-redrive.ts";
import { addRecoveryCommands } from "./commands/recovery.ts";
import { addControlCommands } from "./commands/run-control.ts";
import { addRecordCommands } from "./commands/run-record.ts";
import { addRunCommands } from "./commands/runs.ts";
import { addEraseCommand } from "./commands/runs-erase.ts";
import { addForkCommands } from "./commands/runs-fork.ts";
import { addScheduleCommands } from "./commands/schedules.ts";
import { addPutCommand } from "./commands/schedules-put.ts";
import { addSignalCommands } from "./commands/signals.ts";
import { addUsageCommands } from "./commands/usage.ts";
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

/** The commands, ready to read a command line. */
export interface Program {
  readonly program: Command;
  readonly cli: Cli;
  /** What a command asked to end with; 0 unless it did. */
  readonly exitCode: () => number;
  /** What help was asked for, and what there was to say aside. */
  readonly printed: () => { readonly out: string; readonly err: string };
}

/** The whole tree of commands over these surroundings. */
export function openProgram(surroundings: Surroundings): Program {
  let exitCode: number = EXIT.ok;
  const said = { out: "", err: "" };
  const program = new Command("tidebase")
    .description("Durable runs: look at them, recover them, and keep their store.")
    .version(surroundings.version, "-V, --version", "print the version")
    .option("--json", "print one line of JSON: the operation's answer")
    .option("--url <url>", "work on the Tidebase server at this address")
    .option("--database-url <url>", "work on this database (rather set TIDEBASE_DATABASE_URL)")
    .option("--schema <name>", "the store's schema, if it is not `tidebase`")
    .addHelpText("after", ABOUT)
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      writeOut: (text) => {
        said.out += text;
      },
      writeErr: (text) => {
        said.err += text;
      },
    })
    .exitOverride();
  const cli: Cli = {
    ...surroundings,
    paint: painter(surroundings.terminal.colour),
    flags: () => program.opts<Flags>(),
    exitWith: (code) => {
      exitCode = code;
    },
  };
  addCommands(program, cli);
  return { program, cli, exitCode: () => exitCode, printed: () => said };
}

/** Reads the command line and does what it says; comes back with the exit code. */
export async function runProgram(
  argv: readonly string[],
  surroundings: Surroundings,
): Promise<number> {
  const { terminal } = surroundings;
  const { program, exitCode, printed } = openProgram(surroundings);
  try {
    await program.parseAsync([...argv], { from: "user" });
    return exitCode();
  } catch (thrown) {
    if (thrown instanceof OutputClosed) return EXIT.failure;
    if (thrown instanceof CommanderError && thrown.exitCode === 0) {
      return await terminal.out(printed().out).then(
        () => EXIT.ok,
        () => EXIT.failure,
      );
    }
    const failure = describeFailure(asUsage(thrown, program, argv));
    const json = argv.includes("--json");
    if (isBareHelp(thrown) && !json) terminal.note(printed().err.trimEnd());
    else terminal.note(json ? failureJson(failure) : failureText(failure));
    return failure.exitCode;
  }
}

function addCommands(program: Command, cli: Cli): void {
  addInitCommand(program, cli);
  addDoctorCommand(program, cli);
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
  addEraseCommand(runs, cli);
  addEventsCommand(program, cli);
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
  addUsageCommands(program.command("usage").description("what runs used and what it cost"), cli);
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
  return new UsageError(message, `Run \`npx ${path.join(" ")} --help\`.`);
}
