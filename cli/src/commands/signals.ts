import { sendSignal } from "@tidebase/core";
import type { Command } from "commander";
import { type Cli, printAnswer } from "../cli.ts";
import { jsonValue } from "../options.ts";
import { withBackend } from "../stores.ts";

const HELP = `
It is kept when the run does not wait for it yet, and taken once. The same --key again changes nothing.

Examples:
  $ npx tidebase signals send run_0190… paid --payload '{"amount":120}' --key payment_77`;

interface SendOptions {
  readonly payload?: { readonly value: unknown };
  readonly key?: string;
}

/** `tidebase signals send`. */
export function addSignalCommands(signals: Command, cli: Cli): void {
  signals
    .command("send")
    .description("tell a run that something happened")
    .argument("<runId>")
    .argument("<name>", "the signal that the run waits for")
    .option("--payload <json>", "what goes with it", jsonValue)
    .option("--key <key>", "tells the same signal from another one")
    .addHelpText("after", HELP)
    .action(async (runId: string, name: string, { payload, key }: SendOptions) => {
      const input = { runId, name, key, ...(payload && { payload: payload.value }) };
      const sent = await withBackend(cli, (backend) => backend.execute(sendSignal, input));
      await printAnswer(cli, sent, ({ seq, recorded }) =>
        recorded ? `It was sent before.\n` : `Sent: event ${seq} of the run.\n`,
      );
    });
}
