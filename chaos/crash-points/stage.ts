import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { randomFor } from "../random.ts";
import type { Stage, StageContext, StageResult } from "../stage.ts";
import { serverCast, workerCast } from "./casts.ts";
import { chores } from "./chores.ts";
import { openDatabases } from "./databases.ts";
import { programOf } from "./life.ts";
import { differences, type Outcome } from "./outcome.ts";
import type { Place } from "./place.ts";
import { chosen, dealt, placesOf } from "./plan.ts";
import { openReceiver } from "./receiver.ts";
import { type Stand, servedLoad } from "./served-load.ts";
import { sweepLoad } from "./sweep-load.ts";
import { openTally } from "./tally.ts";
import type { PointLoad, Trial } from "./trial.ts";

/** Trials under way at the same time. */
const LANES = 2;
const TOLD_EVERY = 50;
/** Timers make a few points more or less: each load runs so many pairs of times before anything dies. */
const CALM_PAIRS = 2;
/** Where all are tried, so many behind the last point of any calm run are looked for. */
const MORE_POINTS = 3;
/** A place that is not there in every run is tried so often. */
const TRIES = 3;

/** Both live through the same run, with steps, a gate, state, a child and webhooks. */
const SERVED = ["P1", "P10", "P11", "P12", "P13", "P16", "P17"];
/** Its run has to be offered again. */
const WORKER_PROMISES = [...SERVED, "P4"];
/** The enqueueing and the decision of the gate are asked again with the same words until they are answered. */
const SERVER_PROMISES = [...SERVED, "P5", "P7"];

/** Every process dies before and after each of its calls (reliability.md §2.4.1). */
export function pointStage({ loads }: { loads?: readonly string[] | undefined }): Stage {
  return {
    id: "crash-points",
    title: "Crash points: worker, server and each sweep die before and after each of their calls",
    run: (context) => runPoints(context, loads),
  };
}

async function runPoints(
  context: StageContext,
  wanted: readonly string[] | undefined,
): Promise<StageResult> {
  const { folder, seed, budgetMs, full, told } = context;
  const deadline = performance.now() + budgetMs;
  await writeFile(join(folder, "package.json"), '{"type":"module","version":"0.0.0"}');
  const databases = await openDatabases(folder);
  const receiver = await openReceiver();
  try {
    const loads = chosen(await openLoads({ databases, receiver, folder }), wanted);
    const { calm, problems } = await runCalmly(loads, told);
    const tally = openTally(calm, problems);
    const points = new Map([...calm].map(([load, known]) => [load, known.points]));
    const queue = full
      ? [...calm].flatMap(([load, { most }]) =>
          placesOf(most + MORE_POINTS).map((at) => ({ load, at })),
        )
      : dealt(points, randomFor(seed, "crash-points"));
    let begun = 0;
    await inLanes(queue, async ({ load, at }) => {
      const known = calm.get(load);
      if (known === undefined) return true;
      if (!full && begun >= calm.size && performance.now() > deadline) return false;
      begun += 1;
      const tries = at.n <= known.points ? TRIES : 1;
      const line = await tryPlace(known.load, at, tries).then(
        (trial) => tally.count(load, trial, known.outcome),
        (error: unknown) => tally.threw(load, at, error),
      );
      if (line !== undefined) told(line);
      if (begun % TOLD_EVERY === 0) told(`${begun} trials`);
      return true;
    });
    return tally.result(seed);
  } finally {
    receiver.close();
    await databases.close();
  }
}

async function openLoads(stand: Stand): Promise<PointLoad[]> {
  const programFolder = stand.folder;
  const worker = await programOf("worker-program", programFolder);
  const server = await programOf("server-program", programFolder);
  const sweeper = await programOf("sweeper-program", programFolder);
  return [
    servedLoad("worker", WORKER_PROMISES, stand, (scene) => workerCast(scene, worker)),
    servedLoad("server", SERVER_PROMISES, stand, (scene) => serverCast(scene, server)),
    ...chores.map((chore) => sweepLoad(chore, stand, sweeper)),
  ];
}

/** What a load comes to when nothing dies. */
interface Calm {
  readonly load: PointLoad;
  readonly promises: readonly string[];
  /** The fewest points that one of its runs passed, and the most. */
  readonly points: number;
  readonly most: number;
  readonly outcome: Outcome;
}

/**
 * Counts the points, two runs at a time as trials are. A load that does not even come to its end undisturbed is a problem,
 * and goes no further.
 */
async function runCalmly(
  loads: readonly PointLoad[],
  told: (text: string) => void,
): Promise<{ readonly calm: ReadonlyMap<string, Calm>; readonly problems: readonly string[] }> {
  const calm = new Map<string, Calm>();
  const problems: string[] = [];
  for (const load of loads) await load.prepare();
  for (const load of loads) {
    const trials: Trial[] = [];
    for (let pair = 0; pair < CALM_PAIRS; pair++)
      trials.push(...(await Promise.all([load.trial(undefined), load.trial(undefined)])));
    const { outcome = {} } = trials[0] ?? {};
    const wrong = trials.flatMap((one) => [...one.problems, ...differences(one.outcome, outcome)]);
    const passed = trials.map((one) => one.points ?? 0);
    const [points, most] = [Math.min(...passed), Math.max(...passed)];
    if (points === 0 || wrong.length > 0)
      problems.push(`${load.id} is not well without a crash: ${[...new Set(wrong)].join("; ")}`);
    else calm.set(load.id, { load, promises: load.promises, points, most, outcome });
    told(`${load.id}: ${points === most ? points : `${points} to ${most}`} points`);
  }
  return { calm, problems };
}

/** Until it dies there, or something is wrong with it. */
async function tryPlace(load: PointLoad, at: Place, tries: number): Promise<Trial> {
  const trial = await load.trial(at);
  const isOver = trial.died !== undefined || trial.problems.length > 0 || tries <= 1;
  return isOver ? trial : tryPlace(load, at, tries - 1);
}

/** Works on all of them, a few at a time; `work` answers false when no more are to be begun. */
async function inLanes<T>(all: readonly T[], work: (one: T) => Promise<boolean>): Promise<void> {
  const left = [...all];
  const lane = async (): Promise<void> => {
    for (let one = left.shift(); one !== undefined; one = left.shift())
      if ((await work(one)) === false) return;
  };
  await Promise.all(Array.from({ length: LANES }, lane));
}
