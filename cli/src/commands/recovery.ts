import { recoverRun, reviewStep } from "@tidebase/core";
import { type Command, Option } from "commander";
import { type Cli, printAnswer } from "../cli.ts";
import { UsageError } from "../failure.ts";
import { jsonValue, wholeNumber } from "../options.ts";
import { count, facts, plain, shellLine, tidebaseLine } from "../output.ts";
import { type Answer, asRead, openStepsText, type Read } from "../run-text.ts";
import { withBackend } from "../stores.ts";

const RECOVER_HELP = `
Without --apply nothing changes: it tells which steps would run again, and prints \`asOf\`. Sent back
with --as-of, the act is refused when the run has moved since.

Examples:
  $ npx tidebase runs recover run_0190…
  $ npx tidebase runs recover run_0190… --apply --as-of 17 --reason "the mail server is back"`;

const REVIEW_HELP = `
retry: it did not happen, run it again. completed: it did happen, with --output as what it returned.
failed: it must not run again. Without --apply nothing changes.

Examples:
  $ npx tidebase runs review run_0190… charge --decision retry --reason "no charge in the dashboard"
  $ npx tidebase runs review run_0190… charge --key eu --decision completed --output '{"id":"ch_1"}' \\
      --reason "found it in the dashboard" --apply --as-of 17`;

interface RecoverOptions {
  readonly apply?: boolean;
  readonly asOf?: number;
  readonly reason?: string;
}

interface ReviewOptions extends RecoverOptions {
  readonly key: string;
  readonly decision: string;
  readonly reason: string;
  readonly output?: { readonly value: unknown };
}

/** `tidebase runs recover|review`. */
export function addRecoveryCommands(runs: Command, cli: Cli): void {
  runs
    .command("recover")
    .description(
      "make a failed or interrupted run ready to be begun again (a dry run unless --apply)",
    )
    .argument("<runId>")
    .option("--apply", "do it")
    .option("--as-of <seq>", "only if nothing happened since the dry run said this", wholeNumber)
    .option("--reason <text>", "kept with the run")
    .addHelpText("after", RECOVER_HELP)
    .action(async (runId: string, { apply, asOf, reason }: RecoverOptions) => {
      const input = { runId, dryRun: apply !== true, asOf, reason };
      const done = await withBackend(cli, (backend) => backend.execute(recoverRun, input));
      const again = ["runs", "recover", runId, "--apply", "--as-of", String(done.seq)];
      await printAnswer(cli, done, (answer) => recoveryText(cli, asRead(answer), again));
    });
  runs
    .command("review")
    .description("settle a step that nobody knows the outcome of (a dry run unless --apply)")
    .argument("<runId>")
    .argument("<step>", "its name")
    .option("--key <key>", "its key, when the name is used more than once", "")
    .addOption(
      new Option("--decision <decision>", "what you found out")
        .choices(["retry", "completed", "failed"])
        .makeOptionMandatory(),
    )
    .requiredOption("--reason <text>", "how you know; kept with the run")
    .option("--output <json>", "what the step returned, with --decision completed", jsonValue)
    .option("--apply", "do it")
    .option("--as-of <seq>", "only if nothing happened since the dry run said this", wholeNumber)
    .addHelpText("after", REVIEW_HELP)
    .action(async (runId: string, step: string, options: ReviewOptions) =>
      review(cli, runId, step, options),
    );
}

function recoveryText(
  { paint }: Cli,
  done: Read<Answer<typeof recoverRun>>,
  again: readonly string[],
): string {
  const { dryRun, status, seq, replayedSteps, runAgain, held, next } = done;
  const hint = done.resumeHint as { command: string[]; cwd?: string } | null;
  const open = [...runAgain, ...held];
  return (
    facts(paint, [
      [dryRun ? "dry run" : "done", dryRun ? "nothing was changed" : `the run is ${status}`],
      ["replayed", `${count(replayedSteps, "recorded step")}, which never run again`],
      ["run again", count(runAgain.length, "step")],
      [
        "held",
        held.length === 0 ? undefined : `${count(held.length, "step")} to be reviewed first`,
      ],
      ["resume hint", hint === null ? undefined : shellLine(hint.command, hint.cwd)],
      ["next", next],
      ["asOf", String(seq)],
      ["to do it", dryRun ? tidebaseLine(again) : undefined],
    ]) + (open.length === 0 ? "" : `\n${openStepsText(paint, open)}`)
  );
}

async function review(
  cli: Cli,
  runId: string,
  name: string,
  { key, decision, reason, output, apply, asOf }: ReviewOptions,
): Promise<void> {
  if (output !== undefined && decision !== "completed")
    throw new UsageError("--output goes with --decision completed.", "Leave it out.");
  const given = output === undefined ? {} : { output: output.value };
  const input = { runId, name, key, decision, reason, dryRun: apply !== true, asOf, ...given };
  const done = await withBackend(cli, (backend) => backend.execute(reviewStep, input));
  await printAnswer(cli, done, ({ dryRun, status, becomes, seq }) =>
    facts(cli.paint, [
      [dryRun ? "dry run" : "done", dryRun ? "nothing was changed" : "the review is recorded"],
      ["step", key === "" ? plain(name) : `${plain(name)} [${plain(key)}]`],
      ["status", dryRun ? `${status}, would become ${becomes}` : status],
      ["asOf", String(seq)],
      ["to do it", dryRun ? `add --apply --as-of ${seq}` : undefined],
    ]),
  );
}
