import { diffState, listSteps, listVersions, readState } from "@tidebase/core";
import type { Command } from "commander";
import { type Cli, printAnswer } from "../cli.ts";
import { UsageError } from "../failure.ts";
import { wholeNumber } from "../options.ts";
import { type Cell, plainDocument, seconds, size, table } from "../output.ts";
import { type Answer, asRead, messageOf, type Read, stepName } from "../run-text.ts";
import { tell, withBackend } from "../stores.ts";
import { addEventsCommand } from "./events.ts";

interface StepOptions {
  readonly limit: number;
  readonly afterName?: string;
  readonly afterKey?: string;
}

interface StateOptions {
  readonly stream: string;
  readonly at?: number;
  readonly path?: string;
  readonly versions?: boolean;
  readonly diff?: string;
}

const STATE_HELP = `
Examples:
  $ npx tidebase runs state run_0190… --path /cart/items
  $ npx tidebase runs state run_0190… --versions
  $ npx tidebase runs state run_0190… --diff 3..7`;

/** `tidebase runs steps|events|state`. */
export function addRecordCommands(runs: Command, cli: Cli): void {
  runs
    .command("steps")
    .description("the steps of a run, by name and key")
    .argument("<runId>")
    .option("--limit <n>", "at most this many, up to 1000", wholeNumber, 200)
    .option("--after-name <name>", "those that follow this one")
    .option("--after-key <key>", "and this key of it")
    .addHelpText("after", "\nExamples:\n  $ npx tidebase runs steps run_0190… --json")
    .action(async (runId: string, options: StepOptions) => {
      const input = { runId, ...options };
      const found = await withBackend(cli, (backend) => backend.execute(listSteps, input));
      await printAnswer(cli, found, (answer) => stepsText(cli, asRead(answer)));
      const { afterName: name, afterKey: key } = found;
      if (name !== null)
        tell(
          cli,
          `More: add --after-name ${JSON.stringify(name)} --after-key ${JSON.stringify(key)}`,
        );
    });
  addEventsCommand(runs, cli);
  runs
    .command("state")
    .description("the state of a run: now, at a version, or what changed between two")
    .argument("<runId>")
    .option("--stream <name>", "another stream than the default one", "state")
    .option("--at <version>", "as it was at this version", wholeNumber)
    .option("--path <pointer>", "only this part (a JSON Pointer)")
    .option("--versions", "list its versions")
    .option("--diff <from..to>", "the JSON patch between two versions")
    .addHelpText("after", STATE_HELP)
    .action(async (runId: string, options: StateOptions) => await state(cli, runId, options));
}

function stepsText({ paint }: Cli, { steps }: Read<Answer<typeof listSteps>>): string {
  if (steps.length === 0) return "No steps.\n";
  const rows = steps.map((step): Cell[] => [
    stepName(step),
    step.status === "completed" ? ["green", step.status] : ["yellow", step.status],
    String(step.attempt),
    seconds(step.endedAt ?? step.begunAt),
    step.outputBytes === null ? "" : size(step.outputBytes),
    messageOf(step.error) || (step.reason ?? ""),
  ]);
  return table(paint, ["STEP", "STATUS", "ATTEMPT", "LAST CHANGE", "OUTPUT", "ERROR"], rows);
}

async function state(cli: Cli, runId: string, options: StateOptions): Promise<void> {
  const { stream, at, path, versions, diff } = options;
  if ([at ?? path, versions, diff].filter((given) => given !== undefined).length > 1)
    throw new UsageError(
      "--at and --path, --versions, and --diff ask for different things.",
      "Give one.",
    );
  if (versions === true) return await showVersions(cli, { runId, stream });
  if (diff !== undefined) return await showDiff(cli, { runId, stream }, diff);
  const input = { runId, stream, version: at, path };
  const found = await withBackend(cli, (backend) => backend.execute(readState, input));
  await printAnswer(cli, found, (answer) => {
    const { value, found: there } = asRead(answer);
    return there ? `${plainDocument(value)}\n` : "Nothing is there.\n";
  });
  tell(cli, `Version ${found.version} of ${found.latest}, ${seconds(found.createdAt)}`);
}

async function showVersions(cli: Cli, which: { runId: string; stream: string }): Promise<void> {
  const found = await withBackend(cli, (backend) => backend.execute(listVersions, which));
  await printAnswer(cli, found, (answer) => {
    const rows = asRead(answer).versions.map((version): Cell[] => [
      String(version.version),
      version.kind,
      size(version.bytes),
      seconds(version.createdAt),
      version.createdBy,
      (version.labels as { label: string }[]).map(({ label }) => label).join(", "),
      version.reason ?? "",
    ]);
    const head = ["VERSION", "KIND", "SIZE", "AT", "BY", "LABELS", "REASON"];
    return rows.length === 0 ? "No versions.\n" : table(cli.paint, head, rows);
  });
}

async function showDiff(
  cli: Cli,
  which: { runId: string; stream: string },
  range: string,
): Promise<void> {
  const [, from, to] = /^(\d+)\.\.(\d+)$/.exec(range) ?? [];
  if (from === undefined || to === undefined)
    throw new UsageError(`${range} names no two versions.`, "Write --diff 3..7.");
  const input = { ...which, from: Number(from), to: Number(to) };
  const found = await withBackend(cli, (backend) => backend.execute(diffState, input));
  await printAnswer(cli, found, ({ patch }) => `${plainDocument(patch)}\n`);
}
