import { forkRun } from "@tidebase/core";
import type { Command } from "commander";
import { type Cli, printAnswer } from "../cli.ts";
import { UsageError } from "../failure.ts";
import { forkText } from "../fork-text.ts";
import { wholeNumber } from "../options.ts";
import { payloadOf } from "../payload-option.ts";
import { asRead } from "../run-text.ts";
import { withBackend } from "../stores.ts";

const FORK_HELP = `
A new run from a moment of this one, which stays as it is: steps that were completed by then are copied
and never run again, the rest happens anew. Without --apply nothing is made: it tells what is kept and
what runs again, and prints \`asOf\`. --input and --output are JSON, @file for a file of JSON, or @-.

Examples:
  $ npx tidebase runs fork run_0190… --from send
  $ npx tidebase runs fork run_0190… --from send --edit draft --output @draft.json --apply --as-of 17
  $ npx tidebase runs fork run_0190… --at-seq 12 --apply --reason "before the price changed"`;

const RERUN_HELP = `
A new run of the same workflow with the same input, or another: a fork that keeps nothing. Without
--apply nothing is made.

Examples:
  $ npx tidebase runs rerun run_0190…
  $ npx tidebase runs rerun run_0190… --input '{"customer":8}' --apply`;

interface RerunOptions {
  readonly input?: string;
  /** False: without one. */
  readonly queue?: string | false;
  readonly forkRunId?: string;
  readonly reason?: string;
  readonly apply?: boolean;
  readonly asOf?: number;
}

interface ForkOptions extends RerunOptions {
  readonly from?: string;
  readonly fromKey?: string;
  readonly atSeq?: number;
  readonly edit?: string;
  readonly editKey?: string;
  readonly output?: string;
}

/** `tidebase runs fork|rerun`. */
export function addForkCommands(runs: Command, cli: Cli): void {
  const fork = runs
    .command("fork")
    .description("a new run from a moment of another (a dry run unless --apply)")
    .argument("<runId>")
    .option("--from <step>", "the step that runs again first")
    .option("--from-key <key>", "its key, when the name is used more than once")
    .option("--at-seq <seq>", "or the event after which the fork departs", wholeNumber)
    .option("--edit <step>", "a step that is kept, with another output")
    .option("--edit-key <key>", "its key, when the name is used more than once")
    .option("--output <json>", "that output: JSON, @file or @-");
  const rerun = runs
    .command("rerun")
    .description("a new run with the input of another (a dry run unless --apply)")
    .argument("<runId>");
  for (const [command, help] of [
    [fork, FORK_HELP],
    [rerun, RERUN_HELP],
  ] as const)
    command
      .option("--input <json>", "another input: JSON, @file or @-")
      .option("--queue <queue>", "into this queue instead of the source's")
      .option("--no-queue", "into none: whoever has the code begins it")
      .option("--fork-run-id <id>", "the id of the new run: sent again, it finds the same one")
      .option("--reason <text>", "kept with the new run")
      .option("--apply", "do it")
      .option("--as-of <seq>", "only if nothing happened since the dry run said this", wholeNumber)
      .addHelpText("after", help)
      .action((runId: string, options: ForkOptions) => make(cli, runId, options));
}

async function make(
  cli: Cli,
  runId: string,
  { input, queue, apply, edit, editKey, output, from, fromKey, ...same }: ForkOptions,
): Promise<void> {
  if (from === undefined && fromKey !== undefined)
    throw new UsageError("--from-key goes with --from.", "Name the step.");
  const isWhole = (edit === undefined) === (output === undefined);
  if (!isWhole || (edit === undefined && editKey !== undefined))
    throw new UsageError("--edit, its --edit-key and --output go together.", "Give them together.");
  if (input === "@-" && output === "@-")
    throw new UsageError("Standard input is read once.", "Name a file for one of them.");
  const asked = {
    ...{ runId, dryRun: apply !== true, ...same, ...(await payloadOf(cli, input)) },
    ...(queue === undefined ? {} : { queue: queue === false ? null : queue }),
    ...(from === undefined ? {} : { from: { name: from, key: fromKey } }),
    ...(edit === undefined
      ? {}
      : { edit: { name: edit, key: editKey, output: (await payloadOf(cli, output)).input } }),
  };
  const done = await withBackend(cli, (backend) => backend.execute(forkRun, asked));
  await printAnswer(cli, done, (answer) => forkText(cli.paint, asRead(answer)));
}
