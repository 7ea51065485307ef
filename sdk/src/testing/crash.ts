import { isDeepStrictEqual } from "node:util";
import { TidebaseError } from "../errors.ts";
import {
  type CrashAtOptions,
  type CrashOptions,
  checkOptions,
  checkPlace,
} from "./crash-options.ts";
import type { Boundary, Life, StepName } from "./life.ts";
import {
  type CrashReport,
  type FailedRun,
  type RenamedSteps,
  type RepeatedEffect,
  type RepeatedStep,
  reportOf,
} from "./report.ts";
import { insideOf, type TestStore } from "./store.ts";
import { type Target, type Trial, trial } from "./trial.ts";
import { named, type TestedWorkflow } from "./work.ts";

/** A run whose worker died on the way and that was resumed. */
export type CrashedRun<Result> = Pick<Trial<Result>, "runId" | "reviews" | "effects"> & {
  readonly killedAt: Boundary;
  readonly status: "completed" | "review";
  /** Undefined when it waits for a review. */
  readonly result: Result | undefined;
};

/**
 * Kills the worker of a new run at this place, and resumes the run with a fresh client. Throws what
 * the workflow throws, `input_invalid` when the run does not come to the place or the options name
 * none, and `client_closed` when the store is closed.
 */
export async function crashAt<Result, Input = unknown>(
  store: TestStore,
  workflow: TestedWorkflow<Input, Result>,
  asked: CrashAtOptions<NoInfer<Input>>,
): Promise<CrashedRun<Result>> {
  insideOf(store);
  checkPlace(asked);
  const { step, key = "", when, ...options } = asked;
  const isTarget: Target = (place) =>
    place.step === step && place.key === key && place.when === when;
  const tried = await trial(store, named(workflow, options.name), options, isTarget);
  const { runId, killedAt, status, result, reviews, effects } = tried;
  if (status === "failed" || isUnkilled(tried)) throw tried.error;
  if (killedAt === undefined) throw neverThere({ step, key, when }, tried.lives);
  return { runId, killedAt, status, result, reviews, effects };
}

/**
 * Runs the workflow once undisturbed, and then once for every boundary of every step that it executed,
 * killed there and resumed by a fresh client. Throws what the undisturbed run throws, `input_invalid`
 * for options that it cannot use, and `client_closed` when the store is closed.
 */
export async function crashAtEveryStep<Result, Input = unknown>(
  store: TestStore,
  workflow: TestedWorkflow<Input, Result>,
  options: CrashOptions<NoInfer<Input>> = {},
): Promise<CrashReport<Result>> {
  insideOf(store);
  checkOptions(options);
  const tested = named(workflow, options.name);
  const calm = await trial(store, tested, options, () => false);
  if (calm.status !== "completed") throw calm.error;
  const places = calm.lives[0]?.passed ?? [];
  const killed: Killed<Result>[] = [];
  const unreached: Boundary[] = [];
  const failures: FailedRun[] = [];
  for (const place of places) {
    const tried = await trial(store, tested, options, nth(place, places));
    const { killedAt = place, status, error } = tried;
    const wasKilled = tried.killedAt !== undefined;
    if (wasKilled) killed.push({ ...tried, killedAt });
    if (status === "failed" || isUnkilled(tried)) failures.push({ error, killedAt, wasKilled });
    else if (!wasKilled) unreached.push(place);
  }
  return reportOf({
    ...{ workflow: tested.name, result: calm.result as Result, unreached, failures },
    steps: calm.lives[0]?.executed ?? [],
    runs: killed.map(({ runId, killedAt, status }) => ({ runId, killedAt, status })),
    repeatedEffects: killed.flatMap((tried) => repeatedEffects(calm, tried)),
    ...repeatedSteps(killed),
    renamedSteps: killed.flatMap((tried) => renamedSteps(calm, tried)),
    differentResults: killed
      .filter(({ status, result }) => {
        return status === "completed" && !isDeepStrictEqual(result, calm.result);
      })
      .map(({ result, killedAt }) => ({ result, killedAt })),
    reviews: killed.flatMap(({ reviews, killedAt }) =>
      reviews.map((step) => ({ ...step, killedAt })),
    ),
  });
}

type Killed<Result> = Trial<Result> & { readonly killedAt: Boundary };

/** It came to an end that is none before it came to its place. */
function isUnkilled({ status, killedAt }: Trial<unknown>): boolean {
  return status !== "completed" && killedAt === undefined;
}

/**
 * The same place by its number among those of its kind, and not by its name: a step whose name changes
 * is killed as well.
 */
function nth(place: Boundary, places: readonly Boundary[]): Target {
  const ofKind = ({ when }: Boundary) => when === place.when;
  const before = places.slice(0, places.indexOf(place)).filter(ofKind).length;
  return (here, passed) => ofKind(here) && passed.filter(ofKind).length === before;
}

function repeatedEffects(calm: Trial<unknown>, tried: Killed<unknown>): RepeatedEffect[] {
  const { effects, killedAt } = tried;
  return effects.flatMap((counted) => {
    const same = calm.effects.find(
      ({ effect, key }) => effect === counted.effect && key === counted.key,
    );
    const expected = same?.times ?? 0;
    return counted.times > expected ? [{ ...counted, expected, killedAt }] : [];
  });
}

/** Steps whose function was called more than once, by whether their completion had been acknowledged. */
function repeatedSteps(
  killed: readonly Killed<unknown>[],
): Pick<CrashReport, "repeatedSteps" | "rerunSteps"> {
  const [again, rerun]: [RepeatedStep[], RepeatedStep[]] = [[], []];
  for (const { lives, killedAt } of killed)
    for (const step of distinct(lives.flatMap(({ executed }) => executed))) {
      const count = (life: Life) => life.executed.filter((one) => isSame(one, step)).length;
      const [first, ...later] = lives;
      if (first === undefined || count(first) === 0) continue;
      const timesLater = later.reduce((sum, life) => sum + count(life), 0);
      if (timesLater === 0) continue;
      const isRecorded = first.acknowledged.some((one) => isSame(one, step));
      (isRecorded ? again : rerun).push({ ...step, times: count(first) + timesLater, killedAt });
    }
  return { repeatedSteps: again, rerunSteps: rerun };
}

function renamedSteps(calm: Trial<unknown>, tried: Killed<unknown>): RenamedSteps[] {
  if (tried.status !== "completed") return [];
  const usual = calm.lives.at(-1)?.asked ?? [];
  const asked = tried.lives.at(-1)?.asked ?? [];
  const executed = tried.lives[0]?.executed ?? [];
  const isIn = (steps: readonly StepName[]) => (step: StepName) =>
    steps.some((one) => isSame(one, step));
  const missing = distinct([...usual, ...executed]).filter((step) => !isIn(asked)(step));
  const instead = distinct(asked).filter((step) => !isIn(usual)(step));
  const isStable = missing.length === 0 && instead.length === 0;
  return isStable ? [] : [{ missing, instead, killedAt: tried.killedAt }];
}

function distinct(steps: readonly StepName[]): StepName[] {
  return steps.filter((step, index) => steps.findIndex((one) => isSame(one, step)) === index);
}

function isSame(one: StepName, other: StepName): boolean {
  return one.step === other.step && one.key === other.key;
}

function neverThere({ step, key, when }: Boundary, lives: readonly Life[]): TidebaseError {
  const called = key === "" ? JSON.stringify(step) : `${JSON.stringify(step)} ${key}`;
  const seen = distinct(lives.flatMap(({ executed }) => executed)).map((one) =>
    one.key === "" ? one.step : `${one.step} ${one.key}`,
  );
  return new TidebaseError(
    "input_invalid",
    `The run has ended without coming to ${when} ${called}. It executed: ${seen.join(", ") || "no step"}.`,
  );
}
