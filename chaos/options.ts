import { parseArgs } from "node:util";
import { STAGE_IDS, type StageId } from "./stages.ts";

/** What a command line asked for. */
export interface Options {
  readonly seed: number;
  readonly stages: readonly StageId[];
  /** For all stages together, ms. */
  readonly budgetMs: number;
  /** Everything, however long it takes. */
  readonly full: boolean;
  readonly trials: number | undefined;
  readonly faults: readonly string[] | undefined;
  readonly workloads: readonly string[] | undefined;
  /** Whose crash points. */
  readonly loads: readonly string[] | undefined;
  readonly json: string | undefined;
  /** Where the evidence of what was not clean is kept; a new temporary folder by default. */
  readonly evidence: string | undefined;
}

/** A command line that cannot be meant so; `message` is for the human. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** What `--help` prints. */
export const HELP = `Faults, histories and checkers that hold Tidebase to its promises.

  npm run chaos                      every stage but mutants, 10 minutes
  npm run chaos -- --hours 2         every stage in full, and trials for what is left of the time
  npm run chaos -- --only trials --seed 7 --trials 1

--seed N         what all chance is made from; a trial's seed is printed with it (a new one)
--only a,b       these stages alone: ${STAGE_IDS.join(", ")}
--minutes M      about how long it takes in all (10)
--hours H        the same in hours; stages that can be complete are, and mutants run too
--trials N       so many trials, however long they take
--faults F1,F5   the faults of every trial; "none" deals none (the seed chooses)
--workloads W1   the workloads of every trial (all)
--loads server   whose crash points: worker, server, names of sweeps such as schedules (all)
--evidence DIR   where the evidence of what was not clean is kept (a new temporary folder)
--json FILE      writes the report as JSON
--help           this text

Exit code 0: clean; 1: a promise broken, or a trial that proves nothing; 2: not understood.
`;

const MINUTE_MS = 60_000;
const DEFAULT_MINUTES = 10;

/** Reads a command line; "help" when that was asked for. Throws UsageError. */
export function readOptions(args: readonly string[], freshSeed: () => number): Options | "help" {
  const { values } = parse(args);
  if (values.help === true) return "help";
  const full = values.hours !== undefined;
  const minutes = positive("--minutes", values.minutes) ?? DEFAULT_MINUTES;
  const hours = positive("--hours", values.hours);
  return {
    seed: whole("--seed", values.seed) ?? freshSeed(),
    stages: stagesOf(values.only, full),
    budgetMs: hours === undefined ? minutes * MINUTE_MS : hours * 60 * MINUTE_MS,
    full,
    trials: whole("--trials", values.trials),
    faults: values.faults === "none" ? [] : listOf(values.faults),
    workloads: listOf(values.workloads),
    loads: listOf(values.loads),
    json: values.json,
    evidence: values.evidence,
  };
}

function parse(args: readonly string[]) {
  const text = { type: "string" } as const;
  try {
    return parseArgs({
      args: [...args],
      options: {
        seed: text,
        only: text,
        minutes: text,
        hours: text,
        trials: text,
        faults: text,
        workloads: text,
        loads: text,
        json: text,
        evidence: text,
        help: { type: "boolean" },
      },
    });
  } catch (cause) {
    throw new UsageError((cause as Error).message, { cause });
  }
}

function stagesOf(only: string | undefined, full: boolean): StageId[] {
  const names = listOf(only);
  if (names === undefined) return STAGE_IDS.filter((id) => full || id !== "mutants");
  const unknown = names.filter((name) => !STAGE_IDS.some((id) => id === name));
  if (unknown.length > 0)
    throw new UsageError(`No stage is called ${unknown.join(", ")}: ${STAGE_IDS.join(", ")}.`);
  return STAGE_IDS.filter((id) => names.includes(id));
}

function listOf(text: string | undefined): string[] | undefined {
  const parts = text?.split(",").map((part) => part.trim());
  return parts?.filter((part) => part !== "");
}

function positive(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const number = Number(text);
  if (number > 0 && Number.isFinite(number)) return number;
  throw new UsageError(`${name} is ${JSON.stringify(text)}: a number above 0 was meant.`);
}

function whole(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d{1,10}$/.test(text)) return Number(text);
  throw new UsageError(`${name} is ${JSON.stringify(text)}: a whole number was meant.`);
}
