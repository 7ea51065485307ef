import { getRun, listRuns, runVerdict, STATUSES } from "@tidebase/core";
import type { Command } from "commander";
import { type Cli, printAnswer } from "../cli.ts";
import { choices, instantBefore, wholeNumber } from "../options.ts";
import { type Answer, asRead, runsText, runText, verdictText } from "../run-text.ts";
import { tell, withBackend } from "../stores.ts";

const LIST_HELP = `
Newest first. --since takes a length of time (30m, 12h, 7d) or an instant. The next page is asked for
with --cursor and the same filters; a filtered page may be short, or empty, and have a next.

Examples:
  $ npx tidebase runs list --status failed,interrupted --since 7d
  $ npx tidebase runs list --workflow invoice --search "card declined" --json
  $ RUN=$(npx tidebase runs list --workflow invoice --limit 1 --ids)`;

const VERDICT_HELP = `
Exit codes:
  0 safe: what is recorded never runs again, and the rest may
  3 waiting_on_human   4 in_progress   5 final   6 needs_review
  (1 and 2 as everywhere: the question failed, or was asked wrongly)

Examples:
  $ npx tidebase runs verdict run_0190… && npx tidebase runs recover run_0190… --apply`;

/** What `runs verdict` ends with, so that a script goes on only when a rerun is safe and of use. */
const VERDICT_EXIT = { safe: 0, waiting_on_human: 3, in_progress: 4, final: 5, needs_review: 6 };

interface ListOptions {
  readonly status?: (typeof STATUSES)[number][];
  readonly workflow?: string;
  readonly queue?: string;
  readonly tag?: string;
  readonly search?: string;
  readonly since?: string;
  readonly limit: number;
  readonly cursor?: string;
  readonly ids?: boolean;
}

/** `tidebase runs list|get|verdict`. */
export function addRunCommands(runs: Command, cli: Cli): void {
  runs
    .command("list")
    .description("runs, one line each")
    .option("--status <list>", `any of ${STATUSES.join(", ")}`, choices(STATUSES))
    .option("--workflow <name>", "of this workflow")
    .option("--queue <queue>", "of this queue")
    .option("--tag <tag>", "with this tag")
    .option("--search <text>", "with this text in their error")
    .option("--since <time>", "created within this time, or since", instantBefore)
    .option("--limit <n>", "at most this many, up to 200", wholeNumber, 50)
    .option("--cursor <cursor>", "the page that follows")
    .option("--ids", "print their ids only, one a line, for scripts")
    .addHelpText("after", LIST_HELP)
    .action(async (options: ListOptions) => await list(cli, options));
  runs
    .command("get")
    .description("one run: its state, whether it is safe to rerun, and what to do next")
    .argument("<runId>")
    .option("--include <list>", "add its input, its result", choices(["input", "result"]))
    .addHelpText("after", "\nExamples:\n  $ npx tidebase runs get run_0190… --include input,result")
    .action(async (runId: string, { include }: { include?: string[] }) => {
      const input = { runId, ...(include === undefined ? {} : { include }) };
      const found = await withBackend(cli, (backend) => backend.execute(getRun, input));
      await printAnswer(cli, found, (answer) => runText(cli.paint, asRead(answer)));
    });
  runs
    .command("verdict")
    .description("is it safe to rerun? The answer, its reasons, and the exit code say so")
    .argument("<runId>")
    .addHelpText("after", VERDICT_HELP)
    .action(async (runId: string) => {
      const found = await withBackend(cli, (backend) => backend.execute(runVerdict, { runId }));
      cli.exitWith(VERDICT_EXIT[found.answer]);
      await printAnswer(cli, found, (answer) => verdictText(cli.paint, runId, asRead(answer)));
    });
}

async function list(cli: Cli, { ids, ...options }: ListOptions): Promise<void> {
  const found: Answer<typeof listRuns> = await withBackend(cli, (backend) =>
    backend.execute(listRuns, options),
  );
  await printAnswer(cli, found, (answer) =>
    ids ? answer.runs.map(({ runId }) => `${runId}\n`).join("") : runsText(cli.paint, answer),
  );
  if (found.nextCursor !== null) tell(cli, `More: add --cursor ${found.nextCursor}`);
}
