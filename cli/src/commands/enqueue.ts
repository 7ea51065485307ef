import { ERRORS, enqueueRuns } from "@tidebase/core";
import type { Command } from "commander";
import { type Cli, printAnswer } from "../cli.ts";
import { CommandError, UsageError } from "../failure.ts";
import { instant, integer, span, wholeNumber, wordList } from "../options.ts";
import { payloadOf } from "../payload-option.ts";
import type { Answer } from "../run-text.ts";
import { withBackend } from "../stores.ts";

const HELP = `
A worker of the queue runs it. --input is JSON, @file for a file of JSON, or @- for standard input. With
--dedupe-key the active run of that key is found instead; with --idempotency-key the same run, for ever.

Examples:
  $ npx tidebase enqueue invoice --queue billing --input '{"customer":7}'
  $ npx tidebase enqueue report --input @report.json --delay 10m --dedupe-key daily --priority 10`;

interface EnqueueOptions {
  readonly input?: string;
  readonly delay?: number;
  readonly at?: string;
  readonly ttl?: number;
  readonly deadline?: number;
  /** What the operation calls by the same name. */
  readonly [same: string]: unknown;
}

type Result = Answer<typeof enqueueRuns>["results"][number];

/** `tidebase enqueue`. */
export function addEnqueueCommand(program: Command, cli: Cli): void {
  program
    .command("enqueue")
    .description("queue a run of a workflow")
    .argument("<workflow>")
    .option("--queue <queue>", "into this queue instead of `default`")
    .option("--input <json>", "what the workflow is given: JSON, @file or @-")
    .option("--delay <time>", "not claimed before this has passed: 10m, 12h, 7d", span)
    .option("--at <instant>", "or before this instant", instant)
    .option("--ttl <time>", "cancelled when it has not begun by then", span)
    .option("--deadline <time>", "cancelled when it has not ended by then", span)
    .option("--dedupe-key <key>", "at most one active run of the queue has it")
    .option("--idempotency-key <key>", "the same key and body find the same run")
    .option("--priority <n>", "-100 to 100; a point is worth a minute of age", integer)
    .option("--concurrency-key <key>", "shares the queue's limit per key")
    .option("--max-attempts <n>", "failures and lost workers allowed; 3 unless given", wholeNumber)
    .option("--tags <list>", "words to find it by", wordList)
    .option("--webhooks <list>", "names of the webhooks that follow it", wordList)
    .addHelpText("after", HELP)
    .action((workflow: string, options: EnqueueOptions) => enqueue(cli, workflow, options));
}

async function enqueue(
  cli: Cli,
  workflow: string,
  { input, delay: delayMs, at: runAt, ttl: ttlMs, deadline: deadlineMs, ...same }: EnqueueOptions,
): Promise<void> {
  if (delayMs !== undefined && runAt !== undefined)
    throw new UsageError("--delay and --at both say when.", "Give one of them.");
  const payload = await payloadOf(cli, input);
  const item = { workflow, ...same, ...payload, delayMs, runAt, ttlMs, deadlineMs };
  const done: Answer<typeof enqueueRuns> = await withBackend(cli, (backend) =>
    backend.execute(enqueueRuns, { items: [item] }),
  );
  refuse(done);
  await printAnswer(cli, done, ({ results }) => results.map(resultText).join(""));
}

/** Throws CommandError for a run that was not queued. */
function refuse({ results }: Answer<typeof enqueueRuns>): void {
  for (const { outcome, runId, differs } of results)
    if (outcome === "idempotency_conflict" || outcome === "input_refused") {
      const { title: message, detail: fix } = ERRORS[outcome];
      throw new CommandError(outcome, { message, fix, data: { runId, differs } });
    }
}

function resultText({ runId, status, outcome }: Result): string {
  if (outcome === "created") return `${runId} is queued.\n`;
  const why = outcome === "existing" ? "It was queued before" : "Another is active";
  return `${why}: ${runId} is ${status}.\n`;
}
