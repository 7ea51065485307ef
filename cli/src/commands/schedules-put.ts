import { CATCH_UPS, OVERLAPS, putSchedule } from "@tidebase/core";
import { type Command, Option } from "commander";
import { type Cli, printAnswer } from "../cli.ts";
import { integer, span, wholeNumber, wordList } from "../options.ts";
import { payloadOf } from "../payload-option.ts";
import { asRead } from "../run-text.ts";
import { scheduleText } from "../schedule-text.ts";
import { tell, withBackend } from "../stores.ts";

const HELP = `
Makes the schedule, or changes the one of that name into exactly this: what is left out gets its default,
but a paused schedule stays paused. A fire in an hour that the clock skips happens right after it; one in
an hour that comes twice happens once. --catch-up is for fires that nobody was there to make.

Examples:
  $ npx tidebase schedules put nightly --cron '0 3 * * *' --workflow report --timezone Europe/Berlin
  $ npx tidebase schedules put poll --cron '*/30 * * * * *' --workflow poll --input @poll.json --catch-up none`;

interface PutOptions {
  readonly input?: string;
  readonly deadline?: number;
  /** What the operation calls by the same name. */
  readonly [same: string]: unknown;
}

/** `tidebase schedules put`. */
export function addPutCommand(schedules: Command, cli: Cli): void {
  schedules
    .command("put")
    .description("make a schedule, or change it")
    .argument("<name>")
    .requiredOption("--cron <expression>", "five fields, six with the seconds first, or @daily")
    .requiredOption("--workflow <name>", "what it runs")
    .option("--timezone <zone>", "of the IANA database; UTC unless given")
    .addOption(
      new Option("--catch-up <which>", "missed fires that are made up for").choices([...CATCH_UPS]),
    )
    .addOption(
      new Option("--overlap <rule>", "when a run of it is active at a fire").choices([...OVERLAPS]),
    )
    .option("--queue <queue>", "of its runs, instead of `default`")
    .option("--input <json>", "what the workflow is given: JSON, @file or @-")
    .option("--priority <n>", "-100 to 100; a point is worth a minute of age", integer)
    .option("--max-attempts <n>", "failures and lost workers allowed; 3 unless given", wholeNumber)
    .option("--deadline <time>", "of each run: cancelled when it has not ended by then", span)
    .option("--tags <list>", "words to find its runs by", wordList)
    .option("--paused", "it fires only once it is resumed")
    .addHelpText("after", HELP)
    .action((name: string, options: PutOptions) => put(cli, name, options));
}

async function put(
  cli: Cli,
  name: string,
  { input, deadline: deadlineMs, ...same }: PutOptions,
): Promise<void> {
  const given = { name, ...same, ...(await payloadOf(cli, input)), deadlineMs };
  const done = await withBackend(cli, (backend) => backend.execute(putSchedule, given));
  await printAnswer(cli, done, (answer) => scheduleText(cli.paint, asRead(answer).schedule));
  tell(cli, TOLD[done.outcome]);
}

const TOLD = {
  created: "The schedule is made.",
  updated: "The schedule is changed.",
  unchanged: "It said this before: nothing is changed.",
} as const;
