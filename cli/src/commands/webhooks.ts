import { createWebhook, listWebhooks, rotateWebhook, updateWebhook } from "@tidebase/core";
import type { Command } from "commander";
import { type Cli, printAnswer } from "../cli.ts";
import { UsageError } from "../failure.ts";
import { timeFromNow, wholeNumber, wordList } from "../options.ts";
import { seconds } from "../output.ts";
import type { Answer } from "../run-text.ts";
import { tell, withBackend } from "../stores.ts";
import { webhooksText, webhookText } from "../webhook-text.ts";

const CREATE_HELP = `
The secret that signs its messages is printed once, alone on standard output. URLs are https to a public
address; TIDEBASE_WEBHOOK_ALLOW names the exceptions, for this command and for the server that sends.
--decides hands its receiver one-time codes: only for a place that no agent reads. --url, as everywhere, is
the store's server, which asks for a key with the scope admin; on its machine the database needs none.

Examples:
  $ npx tidebase webhooks create ops --to https://ops.example.com/hook --events 'run.failed,gate.*'
  $ npx tidebase webhooks create worker --to https://app.example.com/tide --invokes --only-named-runs`;

const UPDATE_HELP = `
What is left out stays as it is. The server that is the store is named by TIDEBASE_URL here.

Examples:
  $ npx tidebase webhooks update webhook_0190… --events 'run.*' --every-workflow`;

interface UpdateOptions {
  readonly to?: string;
  readonly events?: string[];
  readonly workflows?: string[];
  readonly everyWorkflow?: boolean;
  readonly invokes?: boolean;
  readonly decides?: boolean;
  readonly onlyNamedRuns?: boolean;
  readonly everyRun?: boolean;
}

/** `tidebase webhooks create|list|update|rotate|disable|enable`. */
export function addWebhookCommands(webhooks: Command, cli: Cli): void {
  webhooks
    .command("create")
    .description("make a webhook; this is the only time its secret is shown")
    .argument("<name>", "how runs name it")
    .requiredOption("--to <url>", "where messages go")
    .option("--events <list>", "what is sent: run.failed, gate.*, *", wordList)
    .option("--workflows <list>", "only of these workflows", wordList)
    .option("--invokes", "gets run.invoke for runs that are ready")
    .option("--decides", "its gate.opened messages carry codes and a link to decide with")
    .option("--only-named-runs", "only of runs that name it")
    .addHelpText("after", CREATE_HELP)
    .action(
      async (
        name: string,
        { to: url, onlyNamedRuns, ...options }: UpdateOptions & { to: string },
      ) => {
        const input = { name, url, ...options, everyRun: onlyNamedRuns !== true };
        const made = await withBackend(cli, (backend) => backend.execute(createWebhook, input));
        await printAnswer(cli, made, ({ secret }) => `${secret}\n`);
        tell(cli, `${made.webhookId} is made. The secret is not shown again.`);
      },
    );
  addListCommand(webhooks, cli);
  addUpdateCommands(webhooks, cli);
  webhooks
    .command("rotate")
    .description("a new secret; for a while the old one signs as well")
    .argument("<webhookId>")
    .option("--keep-old <time>", "how long: 12h, 7d, 0s; a day unless given", timeFromNow)
    .addHelpText(
      "after",
      "\nExamples:\n  $ npx tidebase webhooks rotate webhook_0190… --keep-old 12h",
    )
    .action(async (webhookId: string, { keepOld }: { keepOld?: number }) => {
      const input = { webhookId, keepOldMs: keepOld };
      const made = await withBackend(cli, (backend) => backend.execute(rotateWebhook, input));
      await printAnswer(cli, made, ({ secret }) => `${secret}\n`);
      tell(cli, `The old secret signs as well until ${seconds(made.previousUntil)}.`);
    });
}

function addListCommand(webhooks: Command, cli: Cli): void {
  webhooks
    .command("list")
    .description("the webhooks with their state and backlog, without their secrets")
    .option("--limit <n>", "at most this many, up to 200", wholeNumber, 100)
    .option("--after <webhookId>", "those made after this one")
    .option("--ids", "print their ids only, one a line, for scripts")
    .addHelpText("after", "\nExamples:\n  $ npx tidebase webhooks list")
    .action(async ({ limit, after, ids }: { limit: number; after?: string; ids?: boolean }) => {
      const input = { limit, afterId: after };
      const found: Answer<typeof listWebhooks> = await withBackend(cli, (backend) =>
        backend.execute(listWebhooks, input),
      );
      await printAnswer(cli, found, (answer) =>
        ids
          ? answer.webhooks.map(({ webhookId }) => `${webhookId}\n`).join("")
          : webhooksText(cli.paint, answer),
      );
      const last = found.webhooks.length === limit ? found.webhooks.at(-1) : undefined;
      if (last !== undefined) tell(cli, `Perhaps more: add --after ${last.webhookId}`);
    });
}

function addUpdateCommands(webhooks: Command, cli: Cli): void {
  webhooks
    .command("update")
    .description("change a webhook")
    .argument("<webhookId>")
    .option("--to <url>", "where messages go")
    .option("--events <list>", "what is sent; '' for nothing", wordList)
    .option("--workflows <list>", "only of these workflows", wordList)
    .option("--every-workflow", "of every workflow")
    .option("--invokes", "gets run.invoke for runs that are ready")
    .option("--no-invokes", "does not")
    .option("--decides", "its gate.opened messages carry codes and a link to decide with")
    .option("--no-decides", "they do not")
    .option("--only-named-runs", "only of runs that name it")
    .option("--every-run", "of every run")
    .addHelpText("after", UPDATE_HELP)
    .action(async (webhookId: string, options: UpdateOptions) => {
      // Meant as the webhook's address, it would be sent the key of an administrator.
      if (cli.flags().url !== undefined)
        throw new UsageError(
          "--url is the server that is the store, not the webhook's address.",
          "Write --to for the webhook's address, and TIDEBASE_URL for the server.",
        );
      await update(cli, { webhookId, ...changes(options) });
    });
  for (const [word, description] of [
    ["disable", "send it nothing; of that time it gets nothing later"],
    ["enable", "send it what happens from now on"],
  ] as const)
    webhooks
      .command(word)
      .description(description)
      .argument("<webhookId>")
      .addHelpText("after", `\nExamples:\n  $ npx tidebase webhooks ${word} webhook_0190…`)
      .action(async (webhookId: string) => {
        await update(cli, { webhookId, disabled: word === "disable" });
      });
}

/** What the flags change. Throws UsageError when they contradict each other, or change nothing. */
function changes({
  to: url,
  everyWorkflow,
  onlyNamedRuns,
  everyRun,
  ...given
}: UpdateOptions): Record<string, unknown> {
  if (everyWorkflow === true && given.workflows !== undefined)
    throw new UsageError("--workflows and --every-workflow contradict.", "Give one of them.");
  if (onlyNamedRuns === true && everyRun === true)
    throw new UsageError("--only-named-runs and --every-run contradict.", "Give one of them.");
  const changed = {
    ...given,
    ...(url !== undefined && { url }),
    ...(everyWorkflow === true && { workflows: null }),
    ...((onlyNamedRuns ?? everyRun) === true && { everyRun: everyRun === true }),
  };
  if (Object.keys(changed).length === 0)
    throw new UsageError("Nothing is to be changed.", "Give a flag, such as --to.");
  return changed;
}

async function update(cli: Cli, input: object): Promise<void> {
  const done = await withBackend(cli, (backend) => backend.execute(updateWebhook, input));
  await printAnswer(cli, done, (answer) => webhookText(cli.paint, answer));
}
