import type { Effect, Evidence } from "../history/evidence.ts";
import { calls } from "./calls.ts";
import type { Check, Violation } from "./check.ts";
import { type Entry, isGrant, logs, stepName, stepOf } from "./log.ts";
import { bare, grouped, indexed, member, parsed, rows, text } from "./rows.ts";

const ID = "C1";

/** `run step`: what must not be repeated. */
type Step = string;

interface Known {
  readonly at: number;
  readonly proc: string;
  readonly nonce: string;
}

/**
 * A completed step never executes again, and its recorded output is what every replay returns. A worker that had begun
 * the run before the completion and was stopped may still finish what it was doing: its writes are refused, its effect
 * is not. Who had begun when is read off the nonce of the effect, and off the log, where a worker begins under its process'
 * name as its version.
 */
export const noRepeat: Check = {
  id: ID,
  promises: ["P1", "P17"],
  rule: "No effect of a step by whoever began after its completion was known; its output is that of an effect.",
  find(evidence) {
    const told = toldOf(evidence);
    const effects = grouped(evidence.effects, ({ run, step }) => `${bare(run)} ${step}`);
    return [
      ...repeated(evidence, effects, told),
      ...differing(told),
      ...misrecorded(evidence, effects, told),
    ];
  },
};

/** What clients have heard of each step. */
function toldOf(evidence: Evidence): Map<Step, Known[]> {
  const heard = calls(evidence, "step").filter(({ type }) => type === "ok");
  const known = heard.map(({ key, to, proc, got }) => ({
    step: `${bare(key)} ${text(member(got, "step"))}`,
    known: { at: to, proc, nonce: text(member(got, "nonce")) },
  }));
  const byStep = grouped(known, ({ step }) => step);
  return new Map([...byStep].map(([step, all]) => [step, all.map((one) => one.known)]));
}

function repeated(
  evidence: Evidence,
  effects: ReadonlyMap<Step, Effect[]>,
  told: ReadonlyMap<Step, Known[]>,
): Violation[] {
  const attempts = attemptsOf(evidence);
  return [...effects].flatMap(([step, all]) => {
    const [run = ""] = step.split(" ", 1);
    const log = logs(evidence).get(run) ?? [];
    const completed = log.find(
      (entry) => entry.type === "step.completed" && `${run} ${stepOf(entry)}` === step,
    );
    return all.flatMap((effect) => {
      const began = attempts.get(`${run} ${effect.proc}`) ?? [];
      const grants = grantsTo(log, effect.proc);
      const reason = knew(effect, { began, grants, completed, known: told.get(step) ?? [] });
      const message = `${step} was executed again (effect ${effect.seq}, nonce ${effect.nonce}): ${reason}.`;
      return reason === undefined ? [] : [{ check: ID, key: run, message }];
    });
  });
}

/** What is known of the process of an effect, and of the completion of its step. */
interface Circumstances {
  /** When the process began its attempts at the run. */
  readonly began: readonly number[];
  /** The numbers of the events by which the run was given to it. */
  readonly grants: readonly number[];
  readonly completed: Entry | undefined;
  readonly known: readonly Known[];
}

/** Why whoever executed the step must have known that it was completed; undefined where he need not. */
function knew(
  effect: Effect,
  { began, grants, completed, known }: Circumstances,
): string | undefined {
  const { proc } = effect;
  if (completed !== undefined && grants.length > 0) {
    const { seq } = completed;
    if (grants.every((grant) => grant > seq))
      return `${proc} was given the run by event ${grants[0]}, after it was completed by event ${seq}`;
    const since = Math.min(...known.map(({ at }) => at));
    const beganAt = beganAtOf(effect);
    // A grant is worked on once: where all that came before the completion were begun on, this was another.
    const isLater =
      began.filter((at) => at <= since).length >= grants.filter((one) => one < seq).length;
    if (beganAt > since && isLater)
      return `its attempt began at ${beganAt.toFixed(1)}, and it was known since ${since.toFixed(1)}`;
  }
  const first = known.find((one) => one.at < effect.at && one.proc === proc);
  return first !== undefined && grants.length <= 1
    ? `${proc} had been told at ${first.at.toFixed(1)} that it was completed`
    : undefined;
}

/** When each process began its attempts at each run, by `run proc`. */
function attemptsOf(evidence: Evidence): Map<string, number[]> {
  const begun = grouped(calls(evidence, "attempt"), ({ key, proc }) => `${bare(key)} ${proc}`);
  const times = [...begun].map(([who, all]): [string, number[]] => [
    who,
    all.map(({ asked, from }) => Number(member(asked, "beganAt") ?? from)),
  ]);
  return new Map(times);
}

/** When the attempt began, for nonces that say so: `76600000.123/0b5e…`; else long ago. */
function beganAtOf({ nonce }: Effect): number {
  const [at, rest] = nonce.split("/", 2);
  return rest === undefined ? Number.NEGATIVE_INFINITY : Number(at);
}

function grantsTo(log: readonly Entry[], proc: string): readonly number[] {
  const grants = log.filter((entry) => isGrant(entry) && entry.data["version"] === proc);
  return grants.map(({ seq }) => seq);
}

function differing(told: ReadonlyMap<Step, Known[]>): Violation[] {
  return [...told].flatMap(([step, all]) => {
    const nonces = [...new Set(all.map(({ nonce }) => nonce))];
    const message = `${step} returned ${nonces.length} outputs: ${nonces.join(", ")}.`;
    const [run = ""] = step.split(" ", 1);
    return nonces.length > 1 ? [{ check: ID, key: run, message }] : [];
  });
}

/** A fork has its source's outputs: of its steps it is asked only that somebody's effect made them. */
function misrecorded(
  evidence: Evidence,
  effects: ReadonlyMap<Step, Effect[]>,
  told: ReadonlyMap<Step, Known[]>,
): Violation[] {
  const runs = indexed(evidence, "runs", "run_id");
  const anywhere = new Set(evidence.effects.map(({ nonce }) => nonce));
  return rows(evidence, "steps").flatMap((row) => {
    const nonce = member(parsed(row["output"]), "nonce");
    if (row["status"] !== "completed" || typeof nonce !== "string") return [];
    const run = bare(row["run_id"]);
    const step = `${run} ${stepName(row["name"], row["key"])}`;
    const isFork = text(runs.get(run)?.["forked_from_run_id"]) !== "";
    const own = isFork ? anywhere : new Set(effects.get(step)?.map((effect) => effect.nonce));
    const heard = told.get(step)?.find((one) => one.nonce !== nonce);
    if (!own.has(nonce))
      return [{ check: ID, key: run, message: `${step} holds ${nonce}, which no effect made.` }];
    if (heard === undefined) return [];
    const message = `${step} holds ${nonce}, but ${heard.proc} was answered ${heard.nonce}.`;
    return [{ check: ID, key: run, message }];
  });
}
