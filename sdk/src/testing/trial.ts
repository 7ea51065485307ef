import type { Tidebase } from "../client.ts";
import { TidebaseError } from "../errors.ts";
import { newRunId } from "../ids.ts";
import type { Workflow } from "../runs/run.ts";
import type { CrashOptions } from "./crash-options.ts";
import type { CountedEffect } from "./effects.ts";
import { type Boundary, Life, type StepName } from "./life.ts";
import { probed } from "./probe.ts";
import { type Inside, insideOf, type TestStore } from "./store.ts";
import { type Worked, workOn } from "./work.ts";

/** A run that was brought to its end, with the death of a worker on the way. */
export interface Trial<Result> {
  readonly runId: string;
  /** Where its worker died; undefined when it did not come to that place. */
  readonly killedAt: Boundary | undefined;
  /** `review`: steps with effects have an unknown outcome, and a human has to say what became of them. */
  readonly status: "completed" | "review" | "failed";
  readonly result: Result | undefined;
  readonly error: unknown;
  readonly reviews: readonly StepName[];
  readonly effects: readonly CountedEffect[];
  /** One for each worker. */
  readonly lives: readonly Life[];
}

/** Whether a worker that has passed these places dies at this one. */
export type Target = (place: Boundary, passed: readonly Boundary[]) => boolean;

interface Under<Input, Result> {
  readonly store: TestStore;
  readonly inside: Inside;
  readonly runId: string;
  readonly tested: { readonly name: string; readonly workflow: Workflow<Input, Result> };
  readonly options: CrashOptions<Input>;
  readonly lives: Life[];
}

const TIMEOUT_MS = 30_000;
/** A workflow that waits so often never ends. */
const WAITS_MAX = 1000;

/**
 * One run, whose first worker dies at the target; a fresh client takes it over. Throws what `reset`
 * throws, and `client_closed` when the store is closed; how the run ended is told and not thrown.
 */
export async function trial<Input, Result>(
  store: TestStore,
  tested: { readonly name: string; readonly workflow: Workflow<Input, Result> },
  options: CrashOptions<Input>,
  target: Target,
): Promise<Trial<Result>> {
  const inside = insideOf(store);
  const { effects, reset } = options;
  const under = { store, inside, runId: newRunId(), tested, options, lives: [] as Life[] };
  effects?.clear();
  await reset?.();
  const about = () => ({
    runId: under.runId,
    killedAt: under.lives[0]?.diedAt,
    effects: effects?.counts ?? [],
    lives: under.lives,
  });
  const nothing = { result: undefined, error: undefined, reviews: [] };
  try {
    const first = await worker(under, target);
    const ended = "result" in first ? first : await worker(under, () => false);
    if (!("result" in ended)) throw new Error("A worker that nobody killed has died.");
    return { ...about(), ...nothing, status: "completed", result: ended.result };
  } catch (error) {
    const reviews = await inReview(under).catch(() => []);
    const status = reviews.length > 0 ? "review" : "failed";
    return { ...about(), ...nothing, status, error, reviews };
  }
}

type Ended<Result> = { readonly result: Result } | { readonly died: Boundary };

/** Works on the run until it has ended, its time is up, or this worker is killed, whose lease is then over. */
async function worker<Input, Result>(
  under: Under<Input, Result>,
  target: Target,
): Promise<Ended<Result>> {
  const { inside, options, lives } = under;
  const { tide, grantIds, cut, settled } = inside.loneClient();
  const life = new Life(target, cut);
  lives.push(life);
  const unwatch = inside.movable.watch((ms) => {
    if (!life.isOver) void under.store.clock.advance(Math.ceil(ms) + 1).catch(() => {});
  });
  const died = life.killed.then((place) => ({ died: place }));
  try {
    await options.register?.(tide);
    const ended = await inTime(options, Promise.race([toItsEnd(under, tide, life), died]));
    if ("died" in ended) {
      await settled(); // a step that is recorded after it would prolong the lease again
      await inside.server.lapse([...grantIds]);
    }
    return ended;
  } finally {
    unwatch();
    life.isOver = true;
    void tide.close(); // a function of a dead worker that never ends would be waited for
  }
}

async function toItsEnd<Input, Result>(
  under: Under<Input, Result>,
  tide: Tidebase,
  life: Life,
): Promise<{ readonly result: Result }> {
  const { inside, runId, options } = under;
  const tested = { ...under.tested, workflow: probed(under.tested.workflow, life) };
  const settle = () => inside.server.settle();
  for (let waits = 0; waits < WAITS_MAX; waits++) {
    const worked = await workOn(tide, settle, tested, { ...options, runId });
    if (worked.status === "completed") return { result: worked.result };
    await wake(under, tide, worked);
  }
  throw new TidebaseError("input_invalid", `Run ${runId} has waited ${WAITS_MAX} times.`);
}

/** Brings what the run waits for: the test's own answer first, then time. */
async function wake<Input, Result>(
  { store, runId, options }: Under<Input, Result>,
  tide: Tidebase,
  { waits, wakeAt }: Extract<Worked<Result>, { status: "waiting" }>,
): Promise<void> {
  const isWaiting = async () => (await tide.runs.get(runId)).run.status === "waiting";
  if (options.whenWaiting !== undefined) {
    await options.whenWaiting({ runId, waits });
    if (!(await isWaiting())) return;
  }
  if (wakeAt !== null && wakeAt > (await store.clock.now())) await store.clock.set(wakeAt);
  if (!(await isWaiting())) return;
  throw new TidebaseError(
    "run_suspended",
    `The run waits for ${waits.join(", ")}, and nobody brings it: answer gates with store.gates.answer, and send signals in \`whenWaiting\`.`,
    { runId, waits },
  );
}

/** A step in review stops the run, and only a human settles it. */
async function inReview({
  store,
  runId,
}: Pick<Under<never, never>, "store" | "runId">): Promise<StepName[]> {
  const { verdict } = await store.tide.runs.get(runId);
  return verdict.steps
    .filter(({ status }) => status === "manual_review")
    .map(({ name, key }) => ({ step: name, key }));
}

async function inTime<Value>(
  { timeoutMs = TIMEOUT_MS }: { readonly timeoutMs?: number },
  work: Promise<Value>,
): Promise<Value> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    const says = `The run has not ended within ${timeoutMs} ms.`;
    timer = setTimeout(() => reject(new Error(says)), timeoutMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
