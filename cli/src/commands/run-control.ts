import { cancelRun, listChildren, setDeadline } from "@tidebase/core";
import type { Command } from "commander";
import { type Cli, printAnswer } from "../cli.ts";
import { canAsk, confirm } from "../confirm.ts";
import { UsageError } from "../failure.ts";
import { spanOrNone, wholeNumber } from "../options.ts";
import { count, facts, seconds, shellLine, tidebaseLine } from "../output.ts";
import { type Answer, asRead, childrenText } from "../run-text.ts";
import { tell, withBackend } from "../stores.ts";

const CANCEL_HELP = `
Cancelled is for ever. The run's children end with it, but those that were created detached; its worker is
told, and may clean up. With --as-of it is refused when the run has moved since the dry run.

Examples:
  $ npx tidebase runs cancel run_0190… --dry-run
  $ npx tidebase runs cancel run_0190… --reason "wrong customer" --yes`;

const DEADLINE_HELP = `
A run that has not ended by its deadline is cancelled. The length of time counts from now.

Examples:
  $ npx tidebase runs deadline run_0190… 2h
  $ npx tidebase runs deadline run_0190… none`;

interface CancelOptions {
  readonly reason?: string;
  readonly asOf?: number;
  readonly dryRun?: boolean;
  readonly yes?: boolean;
}

interface ChildOptions {
  readonly name?: string;
  readonly results?: boolean;
  readonly limit: number;
  readonly afterName?: string;
  readonly afterKey?: string;
}

/** `tidebase runs cancel|deadline|children`. */
export function addControlCommands(runs: Command, cli: Cli): void {
  runs
    .command("cancel")
    .description("end a run and its children, for ever")
    .argument("<runId>")
    .option("--reason <text>", "kept with the run")
    .option("--as-of <seq>", "only if nothing happened since the dry run said this", wholeNumber)
    .option("--dry-run", "tell what it would end, and change nothing")
    .option("--yes", "do not ask; needed where nobody can be asked")
    .addHelpText("after", CANCEL_HELP)
    .action((runId: string, options: CancelOptions) => cancel(cli, runId, options));
  runs
    .command("deadline")
    .description("give a run another deadline, or none")
    .argument("<runId>")
    .argument("<time>", "30m, 12h, 7d from now; or none", spanOrNone)
    .addHelpText("after", DEADLINE_HELP)
    .action(async (runId: string, deadlineMs: number | null) => {
      const input = { runId, deadlineMs };
      const done = await withBackend(cli, (backend) => backend.execute(setDeadline, input));
      await printAnswer(cli, done, ({ deadlineAt }) =>
        deadlineAt === null ? "No deadline.\n" : `Its deadline is ${seconds(deadlineAt)}.\n`,
      );
    });
  runs
    .command("children")
    .description("the children of a run, by name and key")
    .argument("<runId>")
    .option("--name <name>", "only those of this name: a fan-out")
    .option("--results", "with their results and errors, in --json")
    .option("--limit <n>", "at most this many, up to 1000", wholeNumber, 200)
    .option("--after-name <name>", "those that follow this one")
    .option("--after-key <key>", "and this key of it")
    .addHelpText("after", "\nExamples:\n  $ npx tidebase runs children run_0190… --name page")
    .action((runId: string, options: ChildOptions) => children(cli, runId, options));
}

async function cancel(
  cli: Cli,
  runId: string,
  { dryRun, yes, ...given }: CancelOptions,
): Promise<void> {
  if (dryRun !== true && yes !== true && !canAsk(cli))
    throw new UsageError("This ends the run for ever.", "Add --yes, or --dry-run to look first.");
  const input = { runId, ...given };
  const done = await withBackend(cli, async (backend) => {
    if (dryRun !== true && yes === true) return await backend.execute(cancelRun, input);
    const found = await backend.execute(cancelRun, { ...input, dryRun: true });
    if (dryRun === true || found.already) return found;
    const does = `This ends ${withThose(runId, found)}, for ever.`;
    await confirm(cli, { does, word: "cancel", yes });
    return await backend.execute(cancelRun, input);
  });
  await printAnswer(cli, done, (answer) => cancelText(cli, runId, answer));
}

type Cancelled = Answer<typeof cancelRun>;

function cancelText({ paint }: Cli, runId: string, done: Cancelled): string {
  const { dryRun, already, status, seq } = done;
  if (already) return `${withThose(runId, done)} was cancelled before; nothing was changed.\n`;
  if (!dryRun) return `${withThose(runId, done)} is cancelled.\n`;
  const again = ["runs", "cancel", runId, "--yes", "--as-of", String(seq)];
  return facts(paint, [
    ["dry run", "nothing was changed"],
    ["would end", withThose(runId, done)],
    ["status", status],
    ["asOf", String(seq)],
    ["to do it", tidebaseLine(again)],
  ]);
}

function withThose(runId: string, { descendants }: Cancelled): string {
  return descendants === 0 ? runId : `${runId} and ${count(descendants, "run")} below it`;
}

async function children(
  cli: Cli,
  runId: string,
  { results, ...options }: ChildOptions,
): Promise<void> {
  const input = { runId, ...options, ...(results === true && { include: ["result"] }) };
  const found: Answer<typeof listChildren> = await withBackend(cli, (backend) =>
    backend.execute(listChildren, input),
  );
  await printAnswer(cli, found, (answer) => childrenText(cli.paint, asRead(answer)));
  const { afterName: name, afterKey: key } = found;
  if (name !== null)
    tell(cli, `More: add ${shellLine(["--after-name", name, "--after-key", key ?? ""])}`);
}
