import { listUsage, totalUsage, USAGE_GROUPS } from "@tidebase/core";
import { type Command, Option } from "commander";
import { type Cli, printAnswer } from "../cli.ts";
import { UsageError } from "../failure.ts";
import { wholeNumber } from "../options.ts";
import { asRead } from "../run-text.ts";
import { tell, withBackend } from "../stores.ts";
import { recordsText, totalsText } from "../usage-text.ts";

const HELP = `
--since and --until take a time before now by the store's clock (24h), a day of UTC (2026-11-01) or an instant.
Groups: days the latest first, else the dearest first.

Examples:
  $ npx tidebase usage --since 7d --by day
  $ npx tidebase usage --run run_0190… --tree --by model
  $ npx tidebase usage --workflow invoice --since 2026-11-01 --until 2026-12-01 --json`;

const LIST_HELP = `
Oldest first; with --json also the metadata.

Examples:
  $ npx tidebase usage list run_0190…`;

interface TotalOptions {
  readonly run?: string;
  readonly tree?: true;
  readonly workflow?: string;
  readonly since?: string;
  readonly until?: string;
  readonly by?: (typeof USAGE_GROUPS)[number];
  readonly top?: number;
}

/** `tidebase usage` and `tidebase usage list`. */
export function addUsageCommands(usage: Command, cli: Cli): void {
  usage
    .option("--run <runId>", "of this run")
    .option("--tree", "with --run: and of all its descendants")
    .option("--workflow <name>", "of runs of this workflow")
    .option("--since <when>", "recorded within this time, or since")
    .option("--until <when>", "recorded before")
    .addOption(new Option("--by <what>", "a line for each").choices(USAGE_GROUPS))
    .option("--top <n>", "at most this many groups, up to 1,000", wholeNumber)
    .addHelpText("after", HELP)
    .action((options: TotalOptions) => totals(cli, options));
  usage
    .command("list")
    .description("what a run recorded")
    .argument("<runId>")
    .option("--limit <n>", "at most this many, up to 1,000", wholeNumber, 100)
    .option("--after <seq>", "those that follow this number", wholeNumber, 0)
    .addHelpText("after", LIST_HELP)
    .action(async (runId: string, { limit, after }: { limit: number; after: number }) => {
      const input = { runId, limit, afterSeq: after };
      const found = await withBackend(cli, (backend) => backend.execute(listUsage, input));
      await printAnswer(cli, found, (answer) => recordsText(cli.paint, answer));
      if (found.nextAfterSeq !== null) tell(cli, `More: add --after ${found.nextAfterSeq}`);
    });
}

async function totals(cli: Cli, { run, tree, top, ...rest }: TotalOptions): Promise<void> {
  if (tree === true && run === undefined)
    throw new UsageError("--tree needs a run.", "Name it with --run.");
  const input = { ...rest, runId: run, limit: top, ...(tree === true && { tree: "true" }) };
  const found = await withBackend(cli, (backend) => backend.execute(totalUsage, input));
  await printAnswer(cli, found, (answer) => totalsText(cli.paint, rest.by, asRead(answer)));
  if (found.more) tell(cli, "There are more groups: add --top, or narrow the time.");
}
