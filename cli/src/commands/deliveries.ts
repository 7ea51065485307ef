import { DELIVERY_STATUSES, listDeliveries, redeliver } from "@tidebase/core";
import { type Command, Option } from "commander";
import { type Cli, printAnswer } from "../cli.ts";
import { UsageError } from "../failure.ts";
import { wholeNumber } from "../options.ts";
import { count } from "../output.ts";
import type { Answer } from "../run-text.ts";
import { tell, withBackend } from "../stores.ts";
import { deliveriesText } from "../webhook-text.ts";

const REDELIVER_HELP = `
Only dead ones, which a day of attempts has failed, are sent again; of a webhook up to 1,000 at a time.

Examples:
  $ npx tidebase deliveries redeliver delivery_0190…
  $ npx tidebase deliveries redeliver --webhook webhook_0190…`;

interface ListOptions {
  readonly status?: string;
  readonly webhook?: string;
  readonly run?: string;
  readonly limit: number;
  readonly cursor?: string;
}

/** `tidebase deliveries list|redeliver`. */
export function addDeliveryCommands(deliveries: Command, cli: Cli): void {
  deliveries
    .command("list")
    .description("messages to webhooks, newest first")
    .addOption(new Option("--status <status>", "of this status").choices(DELIVERY_STATUSES))
    .option("--webhook <webhookId>", "to this webhook")
    .option("--run <runId>", "about this run")
    .option("--limit <n>", "at most this many, up to 200", wholeNumber, 50)
    .option("--cursor <cursor>", "the page that follows")
    .addHelpText("after", "\nExamples:\n  $ npx tidebase deliveries list --status dead")
    .action(async ({ webhook, run, ...options }: ListOptions) => {
      const input = { ...options, webhookId: webhook, runId: run };
      const found: Answer<typeof listDeliveries> = await withBackend(cli, (backend) =>
        backend.execute(listDeliveries, input),
      );
      await printAnswer(cli, found, (answer) => deliveriesText(cli.paint, answer));
      if (found.nextCursor !== null) tell(cli, `More: add --cursor ${found.nextCursor}`);
    });
  deliveries
    .command("redeliver")
    .description("send dead deliveries again")
    .argument("[deliveryId]", "this one")
    .option("--webhook <webhookId>", "or all of this webhook")
    .addHelpText("after", REDELIVER_HELP)
    .action(async (deliveryId: string | undefined, { webhook }: { webhook?: string }) => {
      if ((deliveryId === undefined) === (webhook === undefined))
        throw new UsageError(
          "What to send again is missing, or given twice.",
          "Give an id, or --webhook.",
        );
      const input = { deliveryId, webhookId: webhook };
      const done = await withBackend(cli, (backend) => backend.execute(redeliver, input));
      await printAnswer(
        cli,
        done,
        ({ redelivered }) => `${count(redelivered, "delivery", "deliveries")} to be sent again.\n`,
      );
      if (done.more) tell(cli, "There may be more: run it again.");
    });
}
