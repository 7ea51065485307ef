import { eraseRun } from "@tidebase/core";
import type { Command } from "commander";
import { type Cli, printAnswer } from "../cli.ts";
import { canAsk, confirm } from "../confirm.ts";
import { UsageError } from "../failure.ts";
import { count, seconds } from "../output.ts";
import type { Answer } from "../run-text.ts";
import { withBackend } from "../stores.ts";

const HELP = `
What the run was about is gone for ever: its payloads, steps' outputs, state, gates' questions and answers,
messages. Ids, names (of state labels, too), keys of steps, signals and the run, tags, statuses, times and
numbers stay, and so does --reason. Only a final run is erased, below a parent that is final: cancel it first.
Forks are runs of their own.

Examples:
  $ npx tidebase runs erase run_0190… --reason "ticket 4711"
  $ npx tidebase runs erase run_0190… --tree --yes`;

interface EraseOptions {
  readonly tree?: boolean;
  readonly reason?: string;
  readonly yes?: boolean;
}

/** `tidebase runs erase`. */
export function addEraseCommand(runs: Command, cli: Cli): void {
  runs
    .command("erase")
    .description("remove what a final run was about, for ever; its skeleton stays")
    .argument("<runId>")
    .option("--tree", "all runs below it too, or none")
    .option("--reason <text>", "kept with the run")
    .option("--yes", "do not ask; needed where nobody can be asked")
    .addHelpText("after", HELP)
    .action((runId: string, options: EraseOptions) => erase(cli, runId, options));
}

async function erase(cli: Cli, runId: string, { yes, ...given }: EraseOptions): Promise<void> {
  if (yes !== true && !canAsk(cli))
    throw new UsageError("This removes the run's content for ever.", "Add --yes.");
  const done = await withBackend(cli, async (backend) => {
    const below = given.tree === true ? " and of every run below it" : "";
    const does = `This removes the content of ${runId}${below}, for ever.`;
    await confirm(cli, { does, word: "erase", yes });
    return await backend.execute(eraseRun, { runId, ...given });
  });
  await printAnswer(cli, done, (answer) => eraseText(runId, answer));
}

function eraseText(runId: string, { already, erased, erasedAt }: Answer<typeof eraseRun>): string {
  return already
    ? `${runId} was erased before, ${seconds(erasedAt)}; nothing was changed.\n`
    : `Erased: the content of ${count(erased, "run")}.\n`;
}
