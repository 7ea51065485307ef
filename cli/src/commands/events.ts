import { setTimeout as pause } from "node:timers/promises";
import { type Backend, FINAL_EVENTS, listEvents, type RunEvent } from "@tidebase/core";
import type { Command } from "commander";
import { type Cli, printAnswer } from "../cli.ts";
import { wholeNumber, wordList } from "../options.ts";
import { type Cell, plain, plainJson, seconds, table } from "../output.ts";
import { asRead } from "../run-text.ts";
import { tell, withBackend } from "../stores.ts";

const HELP = `
With --follow it goes on until the run is completed or cancelled, or Ctrl-C; with --json it then prints one
line of JSON for each event, else one list. \`npx tidebase runs events\` is the same command.

Examples:
  $ npx tidebase events run_0190… --types run.failed,step.failed
  $ npx tidebase events run_0190… --follow --json`;

/** As often as an idle process may ask a store, in milliseconds. */
const POLL_MS = 1000;
const PAGE = 1000;

interface EventOptions {
  readonly after: number;
  readonly limit: number;
  readonly types?: string[];
  readonly follow?: boolean;
}

/** `tidebase events`, and the same as `tidebase runs events`. */
export function addEventsCommand(parent: Command, cli: Cli): void {
  parent
    .command("events")
    .description("what happened to a run, in order")
    .argument("<runId>")
    .option("--after <seq>", "those after this number", wholeNumber, 0)
    .option("--limit <n>", "at most this many, up to 1000; with --follow all", wholeNumber, 100)
    .option("--types <list>", "only of these types, such as step.failed", wordList)
    .option("--follow", "go on with what happens, until the run has ended")
    .addHelpText("after", HELP)
    .action(async (runId: string, options: EventOptions) => {
      if (options.follow === true) await follow(cli, runId, options);
      else await list(cli, runId, options);
    });
}

async function list(cli: Cli, runId: string, { after, limit, types }: EventOptions): Promise<void> {
  const input = { runId, afterSeq: after, limit, types };
  const found = await withBackend(cli, (backend) => backend.execute(listEvents, input));
  await printAnswer(cli, found, (answer) => {
    const { events } = asRead(answer) as { events: RunEvent[] };
    if (events.length === 0) return "No events.\n";
    return table(cli.paint, ["SEQ", "AT", "EVENT", "DATA"], events.map(cellsOf));
  });
  if (found.nextAfterSeq !== null) tell(cli, `More: add --after ${found.nextAfterSeq}`);
}

async function follow(cli: Cli, runId: string, { after, types }: EventOptions): Promise<void> {
  await withBackend(cli, async (backend) => {
    for await (const event of eventsOf(backend, runId, after))
      if (types === undefined || types.includes(event.type))
        await cli.terminal.out(line(cli, event));
  });
}

/** Every event after `after`, until the run has ended. */
async function* eventsOf(backend: Backend, runId: string, after: number): AsyncGenerator<RunEvent> {
  const ends = { runId, afterSeq: 0, limit: 1, types: [...FINAL_EVENTS] };
  const { events: ended } = asRead(await backend.execute(listEvents, ends));
  let hasEnded = (ended as unknown[]).length > 0; // maybe before `after`
  for (let afterSeq = after; ; ) {
    const input = { runId, afterSeq, limit: PAGE };
    const { events, nextAfterSeq } = asRead(await backend.execute(listEvents, input));
    for (const event of events as RunEvent[]) {
      yield event;
      afterSeq = event.seq;
      hasEnded ||= FINAL_EVENTS.includes(event.type);
    }
    if (nextAfterSeq !== null) continue;
    if (hasEnded) return;
    await pause(POLL_MS);
  }
}

function cellsOf({ seq, type, at, data }: RunEvent): Cell[] {
  const instant = seconds(new Date(at).toISOString());
  return [String(seq), instant, type, data === null ? "" : JSON.stringify(data)];
}

function line({ flags, terminal }: Cli, event: RunEvent): string {
  const json = JSON.stringify(event);
  if (flags().json === true) return `${terminal.screen ? plainJson(json) : json}\n`;
  const [seq, at, type, data] = cellsOf(event) as [string, string, string, string];
  return `${plain(`${seq.padStart(5)}  ${at}  ${type.padEnd(22)}  ${data}`).trimEnd()}\n`;
}
