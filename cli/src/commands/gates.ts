import { extendGate, GATE_STATUSES, getGate, listGates } from "@tidebase/core";
import { type Command, Option } from "commander";
import { type Cli, printAnswer } from "../cli.ts";
import { UsageError } from "../failure.ts";
import { gatesText, gateText } from "../gate-text.ts";
import { withHuman } from "../human.ts";
import { wholeNumber } from "../options.ts";
import { seconds } from "../output.ts";
import { type Answer, asRead } from "../run-text.ts";
import { tell, withBackend } from "../stores.ts";

const LIST_HELP = `
Oldest first. NEEDS is the least that a decision takes: client_form, code or signed_in.

Examples:
  $ npx tidebase gates list
  $ npx tidebase gates list --status rejected --workflow invoice --json`;

const EXTEND_HELP = `
For a human, as \`gates decide\` is.

Examples:
  $ npx tidebase gates extend gate_0190… --ms 3600000
  $ npx tidebase gates extend gate_0190… --now`;

interface ListOptions {
  readonly status: string;
  readonly run?: string;
  readonly workflow?: string;
  readonly limit: number;
  readonly cursor?: string;
  readonly ids?: boolean;
}

/** `tidebase gates list|show|extend`. */
export function addGateCommands(gates: Command, cli: Cli): void {
  gates
    .command("list")
    .description("questions that wait for a human, across runs; or decided ones")
    .addOption(
      new Option("--status <status>", "of this status").choices(GATE_STATUSES).default("open"),
    )
    .option("--run <runId>", "of this run")
    .option("--workflow <name>", "of this workflow")
    .option("--limit <n>", "at most this many, up to 200", wholeNumber, 50)
    .option("--cursor <cursor>", "the page that follows")
    .option("--ids", "print their ids only, one a line, for scripts")
    .addHelpText("after", LIST_HELP)
    .action(async (options: ListOptions) => await list(cli, options));
  gates
    .command("show")
    .description("one gate: what is asked, what a decision takes, and how it was decided")
    .argument("<gateId>")
    .addHelpText("after", "\nExamples:\n  $ npx tidebase gates show gate_0190…")
    .action(async (gateId: string) => {
      const found = await withBackend(cli, (backend) => backend.execute(getGate, { gateId }));
      await printAnswer(cli, found, (answer) => gateText(cli.paint, asRead(answer).gate));
    });
  gates
    .command("extend")
    .description("give an open gate another end, or end it now")
    .argument("<gateId>")
    .option("--ms <n>", "it expires so many milliseconds from now", wholeNumber)
    .option("--now", "it expires now: not approved")
    .addHelpText("after", EXTEND_HELP)
    .action(async (gateId: string, { ms, now }: { ms?: number; now?: boolean }) => {
      if ((ms === undefined) === (now !== true))
        throw new UsageError("The new end is missing, or given twice.", "Give --ms or --now.");
      const input = { gateId, expiresInMs: ms ?? 0 };
      const done = await withHuman(cli, (backend) => backend.execute(extendGate, input));
      await printAnswer(cli, done, ({ gate }) => `It expires at ${seconds(gate.expiresAt)}.\n`);
    });
}

async function list(cli: Cli, { run, ids, ...options }: ListOptions): Promise<void> {
  const input = { ...options, runId: run };
  const found: Answer<typeof listGates> = await withBackend(cli, (backend) =>
    backend.execute(listGates, input),
  );
  await printAnswer(cli, found, (answer) =>
    ids ? answer.gates.map(({ gateId }) => `${gateId}\n`).join("") : gatesText(cli.paint, answer),
  );
  if (found.nextCursor !== null) tell(cli, `More: add --cursor ${found.nextCursor}`);
}
