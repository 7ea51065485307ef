import { getQueue, listQueues, updateQueue } from "@tidebase/core";
import type { Command } from "commander";
import { type Cli, printAnswer } from "../cli.ts";
import { UsageError } from "../failure.ts";
import { limitOrNone, wholeNumber } from "../options.ts";
import { shellLine, tidebaseLine } from "../output.ts";
import { isUnknown, queuesText, queueText, stateText } from "../queue-text.ts";
import { type Answer, asRead } from "../run-text.ts";
import { tell, withBackend } from "../stores.ts";

const LIST_HELP = `
READY can be claimed now, the limits apart; DELAYED later. FAILED are dead letters, see \`queues redrive\`.

Examples:
  $ npx tidebase queues list`;

const LIMITS_HELP = `
A run takes a place while it is running, not while it waits. What is left out stays as it is.

Examples:
  $ npx tidebase queues limits mail --concurrency 10 --rate 600
  $ npx tidebase queues limits mail --concurrency none`;

const PUSH_HELP = `
Its runs are sent to the webhook as run.invoke; workers that claim from the queue get their share.

Examples:
  $ npx tidebase queues push mail --webhook worker
  $ npx tidebase queues push mail --no-webhook`;

type Limit = ReturnType<typeof limitOrNone>;

interface LimitOptions {
  readonly concurrency?: Limit;
  readonly keyConcurrency?: Limit;
  readonly rate?: Limit;
}

/** `tidebase queues list|show|pause|resume|limits|push`. */
export function addQueueCommands(queues: Command, cli: Cli): void {
  addReadCommands(queues, cli);
  for (const [word, description] of [
    ["pause", "nothing of it is claimed; what runs goes on"],
    ["resume", "it is claimed again"],
  ] as const)
    queues
      .command(word)
      .description(description)
      .argument("<queue>")
      .addHelpText("after", `\nExamples:\n  $ npx tidebase queues ${word} mail`)
      .action((queue: string) => update(cli, { queue, paused: word === "pause" }));
  queues
    .command("limits")
    .description("how much of it runs at once, and how fast it is claimed")
    .argument("<queue>")
    .option("--concurrency <n>", "so many runs at once, or none: no limit", limitOrNone)
    .option("--key-concurrency <n>", "so many of each concurrency key, or none", limitOrNone)
    .option("--rate <n>", "so many claims a minute, or none", limitOrNone)
    .addHelpText("after", LIMITS_HELP)
    .action(async (queue: string, { concurrency, keyConcurrency, rate }: LimitOptions) => {
      if ((concurrency ?? keyConcurrency ?? rate) === undefined)
        throw new UsageError("No limit is given.", "Give one, such as --concurrency 10.");
      await update(cli, {
        queue,
        concurrency: concurrency?.value,
        keyConcurrency: keyConcurrency?.value,
        ratePerMinute: rate?.value,
      });
    });
  queues
    .command("push")
    .description("send its runs to a webhook")
    .argument("<queue>")
    .option("--webhook <name>", "the webhook's name")
    .option("--no-webhook", "send them no longer")
    .addHelpText("after", PUSH_HELP)
    .action(async (queue: string, { webhook }: { webhook?: string | false }) => {
      if (webhook === undefined)
        throw new UsageError("The webhook is missing.", "Give --webhook or --no-webhook.");
      await update(cli, { queue, webhook: webhook === false ? null : webhook });
    });
}

function addReadCommands(queues: Command, cli: Cli): void {
  queues
    .command("list")
    .description("the queues by name: depth, age, dead letters, workers and limits")
    .option("--limit <n>", "at most this many, up to 200", wholeNumber, 50)
    .option("--after <queue>", "those that follow this one")
    .addHelpText("after", LIST_HELP)
    .action(async (options: { limit: number; after?: string }) => {
      const found: Answer<typeof listQueues> = await withBackend(cli, (backend) =>
        backend.execute(listQueues, options),
      );
      await printAnswer(cli, found, (answer) => queuesText(cli.paint, answer));
      const { nextAfter } = found;
      if (nextAfter !== null) tell(cli, `More: add ${shellLine(["--after", nextAfter])}`);
    });
  queues
    .command("show")
    .description("one queue, with the workers that asked for work within a minute")
    .argument("<queue>")
    .addHelpText("after", "\nExamples:\n  $ npx tidebase queues show mail")
    .action(async (queue: string) => {
      const found = await withBackend(cli, (backend) => backend.execute(getQueue, { queue }));
      await printAnswer(cli, found, (answer) => queueText(cli.paint, asRead(answer)));
      if (isUnknown(found.queue))
        tell(
          cli,
          `Nothing is known of this queue. Known ones: ${tidebaseLine(["queues", "list"])}`,
        );
    });
}

async function update(cli: Cli, input: object): Promise<void> {
  const done = await withBackend(cli, (backend) => backend.execute(updateQueue, input));
  await printAnswer(cli, done, ({ queue }) => stateText(cli.paint, queue));
}
