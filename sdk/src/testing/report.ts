import { sentence } from "../errors.ts";
import type { CountedEffect } from "./effects.ts";
import type { Boundary, StepName } from "./life.ts";

/** An effect that happened more often than undisturbed. */
export interface RepeatedEffect extends CountedEffect {
  /** How often it happens undisturbed. */
  readonly expected: number;
  readonly killedAt: Boundary;
}

/** A step whose function was called more than once in a run. */
export interface RepeatedStep extends StepName {
  readonly times: number;
  readonly killedAt: Boundary;
}

/** Steps that the resumed run did not ask for as the undisturbed one does. */
export interface RenamedSteps {
  /** Asked for undisturbed, or executed before the death, and not asked for again. */
  readonly missing: readonly StepName[];
  /** Asked for by the resumed run alone. */
  readonly instead: readonly StepName[];
  readonly killedAt: Boundary;
}

/** A run that could not be brought to its end. */
export interface FailedRun {
  readonly error: unknown;
  /** Where its worker died, or was to die. */
  readonly killedAt: Boundary;
  /** False when the run failed before it came to that place. */
  readonly wasKilled: boolean;
}

/** What a check at every step boundary has found. */
export interface CrashReport<Result = unknown> {
  readonly workflow: string;
  /** Of the undisturbed run. */
  readonly result: Result;
  /** The steps that the undisturbed run executed, in order. */
  readonly steps: readonly StepName[];
  /** Each run: where its worker died, and how it ended. */
  readonly runs: readonly {
    readonly runId: string;
    readonly killedAt: Boundary;
    readonly status: "completed" | "review" | "failed";
  }[];
  /** Places that the undisturbed run passed and a later one ended well without: its path is not stable. */
  readonly unreached: readonly Boundary[];
  readonly repeatedEffects: readonly RepeatedEffect[];
  /** Although their completion was acknowledged. */
  readonly repeatedSteps: readonly RepeatedStep[];
  /** Killed before their completion was recorded: allowed, where they only read or have a key. */
  readonly rerunSteps: readonly RepeatedStep[];
  readonly renamedSteps: readonly RenamedSteps[];
  readonly differentResults: readonly { readonly result: unknown; readonly killedAt: Boundary }[];
  /** Steps with effects and without a key are not repeated: a human has to review them. */
  readonly reviews: readonly (StepName & { readonly killedAt: Boundary })[];
  readonly failures: readonly FailedRun[];
  /** Nothing was found but steps that may run again, and steps that wait for a review. */
  readonly isClean: boolean;
  /** The report for people. */
  toString(): string;
}

/** What the report is made of. */
export type Findings<Result> = Omit<CrashReport<Result>, "isClean" | "toString">;

/** The report over what was found. */
export function reportOf<Result>(found: Findings<Result>): CrashReport<Result> {
  const { repeatedEffects, repeatedSteps, renamedSteps, differentResults, failures } = found;
  const faults = [repeatedEffects, repeatedSteps, renamedSteps, differentResults, failures];
  const isClean = [...faults, found.unreached].every(({ length }) => length === 0);
  return { ...found, isClean, toString: () => text({ ...found, isClean }) };
}

function text(found: Omit<CrashReport, "toString">): string {
  const { workflow, steps, runs } = found;
  const sections = [
    section("effects that were repeated", found.repeatedEffects, (one) => {
      const what = one.key === "" ? one.effect : `${one.effect} ${one.key}`;
      return `${what}: ${times(one.times)} instead of ${one.expected}, ${at(one.killedAt)}`;
    }),
    section("steps that ran again although they were recorded", found.repeatedSteps, ran),
    section("steps under other names when they were resumed", found.renamedSteps, renamed),
    section("other results", found.differentResults, ({ result, killedAt }) => {
      return `${shown(result)} instead of ${shown(found.result)}, ${at(killedAt)}`;
    }),
    section("runs that failed", found.failures, (failed) => {
      const where = `${failed.wasKilled ? "" : "before it was "}${at(failed.killedAt)}`;
      return `${where}: ${messageOf(failed.error)}`;
    }),
    section("places that were not reached again", found.unreached, at),
    section("steps that a human has to review, not repeated", found.reviews, (one) => {
      return `${called(one)}, ${at(one.killedAt)}`;
    }),
    section("steps that ran again because they were killed in the midst", found.rerunSteps, ran),
  ];
  const head = `${workflow}: ${counted(steps.length, "step")}, killed at ${counted(runs.length, "boundary", "boundaries")}`;
  const clean = found.isClean ? ["no effect was repeated"] : [];
  return [head, ...clean, ...sections.flat()].join("\n");
}

function section<Item>(
  title: string,
  items: readonly Item[],
  line: (item: Item) => string,
): string[] {
  return items.length === 0 ? [] : [title, ...items.map((item) => `  ${line(item)}`)];
}

function ran(one: RepeatedStep): string {
  return `${called(one)}: ${times(one.times)}, ${at(one.killedAt)}`;
}

function renamed({ missing, instead, killedAt }: RenamedSteps): string {
  const list = (steps: readonly StepName[]) => steps.map(called).join(", ") || "nothing";
  return `${list(instead)} instead of ${list(missing)}, ${at(killedAt)}`;
}

/** `killed during "charge" o-1`. */
function at(place: Boundary): string {
  return `killed ${place.when} ${called(place)}`;
}

function called({ step, key }: StepName): string {
  return key === "" ? JSON.stringify(step) : `${JSON.stringify(step)} ${key}`;
}

function shown(value: unknown): string {
  const json = typeof value === "bigint" ? `${value}` : (JSON.stringify(value) ?? String(value));
  return json.length > 200 ? `${json.slice(0, 200)}…` : json;
}

/** What an error says, in one line. */
function messageOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return sentence(message.split("\n")[0] ?? "");
}

function times(count: number): string {
  return counted(count, "time");
}

function counted(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}
