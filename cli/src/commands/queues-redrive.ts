import { type Backend, FAILURE_CLASSES, redriveQueue } from "@tidebase/core";
import { type Command, Option } from "commander";
import { type Cli, printAnswer } from "../cli.ts";
import { canAsk, confirm } from "../confirm.ts";
import { UsageError } from "../failure.ts";
import { instant } from "../options.ts";
import { count } from "../output.ts";
import { redriveText } from "../queue-text.ts";
import type { Answer } from "../run-text.ts";
import { tell, withBackend } from "../stores.ts";

const HELP = `
Dead letters are failed runs of the queue. They are counted first; only what was counted is queued again,
with fresh attempts, and recorded steps never run again. --until, as the dry run says it, queues exactly what
that counted. Runs that wait for a review are left out unless
--failure-class manual_review asks for them.

Examples:
  $ npx tidebase queues redrive mail --dry-run
  $ npx tidebase queues redrive mail --until 2030-01-31T12:00:00.000Z --yes
  $ npx tidebase queues redrive mail --failure-class max_attempts --search "rate limit" --yes`;

interface RedriveOptions {
  readonly failureClass?: string;
  readonly workflow?: string;
  readonly search?: string;
  readonly until?: string;
  readonly dryRun?: boolean;
  readonly yes?: boolean;
}

type Redrive = Answer<typeof redriveQueue>;

/** `tidebase queues redrive`. */
export function addRedriveCommand(queues: Command, cli: Cli): void {
  queues
    .command("redrive")
    .description("queue its dead letters again, after they were counted")
    .argument("<queue>")
    .addOption(new Option("--failure-class <class>", "only these").choices([...FAILURE_CLASSES]))
    .option("--workflow <name>", "only of this workflow")
    .option("--search <text>", "only with this text in their error")
    .option(
      "--until <instant>",
      "only those that had failed by then: what a dry run counted",
      instant,
    )
    .option("--dry-run", "count them, and change nothing")
    .option("--yes", "do not ask; needed where nobody can be asked")
    .addHelpText("after", HELP)
    .action((queue: string, options: RedriveOptions) => redrive(cli, queue, options));
}

async function redrive(
  cli: Cli,
  queue: string,
  { dryRun, yes, ...filter }: RedriveOptions,
): Promise<void> {
  if (dryRun !== true && yes !== true && !canAsk(cli))
    throw new UsageError(
      "This queues failed runs again.",
      "Add --yes, or --dry-run to count them.",
    );
  const done = await withBackend(cli, async (backend) => {
    const input = { queue, ...filter };
    const counted: Redrive = await backend.execute(redriveQueue, { ...input, dryRun: true });
    if (dryRun === true || counted.matching === 0) return counted;
    const letters = count(counted.matching, "dead letter");
    const does = `This queues ${letters}${counted.more ? " and more" : ""} of ${queue} again.`;
    await confirm(cli, { does, word: "redrive", yes });
    return await redriveAll(cli, backend, { ...input, until: counted.until });
  });
  await printAnswer(cli, done, (answer) =>
    redriveText(cli.paint, answer, againOf(queue, filter, answer.until)),
  );
}

/** The command that queues again what this dry run has counted. */
function againOf(
  queue: string,
  { failureClass, workflow, search }: RedriveOptions,
  until: string,
): string[] {
  return [
    ...["queues", "redrive", queue],
    ...(failureClass === undefined ? [] : ["--failure-class", failureClass]),
    ...(workflow === undefined ? [] : ["--workflow", workflow]),
    ...(search === undefined ? [] : ["--search", search]),
    ...["--until", until, "--yes"],
  ];
}

/** Goes on while there are more, and while it gets on: runs that are left alone match again. */
async function redriveAll(
  cli: Cli,
  backend: Backend,
  input: { queue: string; until: string },
): Promise<Redrive> {
  const skipped = new Map<string, Redrive["skipped"][number]>();
  let redriven = 0;
  for (;;) {
    const done: Redrive = await backend.execute(redriveQueue, { ...input, dryRun: false });
    redriven += done.redriven;
    for (const run of done.skipped) skipped.set(run.runId, run);
    if (!done.more || done.redriven === 0) {
      const matching = redriven + skipped.size;
      return { ...done, matching, redriven, skipped: [...skipped.values()] };
    }
    tell(cli, `${count(redriven, "run")} queued again so far.`);
  }
}
