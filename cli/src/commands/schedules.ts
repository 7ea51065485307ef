import {
  deleteSchedule,
  getSchedule,
  listFires,
  listSchedules,
  triggerSchedule,
  updateSchedule,
} from "@tidebase/core";
import type { Command } from "commander";
import { type Cli, printAnswer } from "../cli.ts";
import { confirm } from "../confirm.ts";
import { wholeNumber } from "../options.ts";
import { plain } from "../output.ts";
import { type Answer, asRead } from "../run-text.ts";
import { firesText, schedulesText, scheduleText } from "../schedule-text.ts";
import { tell, withBackend } from "../stores.ts";

const TRIGGER_HELP = `
Paused or not, whatever else of it is running. The same --idempotency-key triggers once.

Examples:
  $ npx tidebase schedules trigger nightly`;

const DELETE_HELP = `
Its history goes with it; its runs stay and go on.

Examples:
  $ npx tidebase schedules delete nightly --yes`;

interface PageOptions {
  readonly limit: number;
  readonly cursor?: string;
}

/** `tidebase schedules list|show|fires|pause|resume|trigger|delete`. */
export function addScheduleCommands(schedules: Command, cli: Cli): void {
  addReadCommands(schedules, cli);
  for (const [word, description] of [
    ["pause", "it fires no more"],
    ["resume", "it fires again from now on; what was missed is not made up for"],
  ] as const)
    schedules
      .command(word)
      .description(description)
      .argument("<name>")
      .addHelpText("after", `\nExamples:\n  $ npx tidebase schedules ${word} nightly`)
      .action(async (name: string) => {
        const input = { name, paused: word === "pause" };
        const done = await withBackend(cli, (backend) => backend.execute(updateSchedule, input));
        await printAnswer(cli, done, (answer) => scheduleText(cli.paint, asRead(answer).schedule));
      });
  schedules
    .command("trigger")
    .description("make one run of it now")
    .argument("<name>")
    .option("--idempotency-key <key>", "the same key finds the same run")
    .addHelpText("after", TRIGGER_HELP)
    .action(async (name: string, options: { idempotencyKey?: string }) => {
      const input = { name, ...options };
      const done = await withBackend(cli, (backend) => backend.execute(triggerSchedule, input));
      await printAnswer(cli, done, ({ runId, status }) => `${runId} is ${status}.\n`);
    });
  schedules
    .command("delete")
    .description("delete it and its history")
    .argument("<name>")
    .option("--yes", "do not ask; needed where nobody can be asked")
    .addHelpText("after", DELETE_HELP)
    .action(async (name: string, { yes }: { yes?: boolean }) => {
      const does = `This deletes the schedule ${plain(name)} and its history.`;
      await confirm(cli, { does, word: "delete", yes });
      const done = await withBackend(cli, (backend) => backend.execute(deleteSchedule, { name }));
      await printAnswer(cli, done, ({ scheduleId }) => `${scheduleId} is deleted.\n`);
    });
}

function addReadCommands(schedules: Command, cli: Cli): void {
  schedules
    .command("list")
    .description("the schedules, newest first, with their next fires")
    .option("--limit <n>", "at most this many, up to 200", wholeNumber, 50)
    .option("--cursor <cursor>", "the page that follows")
    .addHelpText("after", "\nExamples:\n  $ npx tidebase schedules list")
    .action(async (options: PageOptions) => {
      const found: Answer<typeof listSchedules> = await withBackend(cli, (backend) =>
        backend.execute(listSchedules, options),
      );
      await printAnswer(cli, found, (answer) => schedulesText(cli.paint, asRead(answer)));
      if (found.nextCursor !== null) tell(cli, `More: add --cursor ${found.nextCursor}`);
    });
  schedules
    .command("show")
    .description("one schedule: what it runs, its next fires, and how the last one went")
    .argument("<name>")
    .addHelpText("after", "\nExamples:\n  $ npx tidebase schedules show nightly")
    .action(async (name: string) => {
      const found = await withBackend(cli, (backend) => backend.execute(getSchedule, { name }));
      await printAnswer(cli, found, (answer) => scheduleText(cli.paint, asRead(answer).schedule));
    });
  schedules
    .command("fires")
    .description("what it has fired and skipped, the latest first")
    .argument("<name>")
    .option("--limit <n>", "at most this many, up to 200", wholeNumber, 50)
    .option("--cursor <cursor>", "the page that follows")
    .addHelpText("after", "\nExamples:\n  $ npx tidebase schedules fires nightly")
    .action(async (name: string, options: PageOptions) => {
      const found: Answer<typeof listFires> = await withBackend(cli, (backend) =>
        backend.execute(listFires, { name, ...options }),
      );
      await printAnswer(cli, found, (answer) => firesText(cli.paint, asRead(answer)));
      if (found.nextCursor !== null) tell(cli, `More: add --cursor ${found.nextCursor}`);
    });
}
