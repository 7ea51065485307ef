import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { randomFor } from "../random.ts";
import type { Stage, StageContext, StageResult } from "../stage.ts";
import { serverCast, workerCast } from "./casts.ts";
import { chores } from "./chores.ts";
import { openDatabases } from "./databases.ts";
import { programOf } from "./life.ts";
import { differences, type Outcome } from "./outcome.ts";
import { chosen, placesOf, shuffled } from "./plan.ts";
import { openReceiver } from "./receiver.ts";
import { type Stand, servedLoad } from "./served-load.ts";
import { sweepLoad } from "./sweep-load.ts";
import { openTally } from "./tally.ts";
import type { PointLoad, Trial } from "./trial.ts";

/** Trials under way at the same time. */
const LANES = 2;
const TOLD_EVERY = 50;
/** Timers make a few points more or less: where all are tried, so many behind the last one are looked for. */
const MORE_POINTS = 3;

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
    const points = new Map([...calm].map(([load, known]) => [load, known.points]));
    const tally = openTally(points, problems);
    const queue = full
      ? [...points].flatMap(([load, n]) => placesOf(n + MORE_POINTS).map((at) => ({ load, at })))
      : shuffled(points, randomFor(seed, "crash-points"));
    let begun = 0;
    await inLanes(queue, async ({ load, at }) => {
      const known = calm.get(load);
      if (known === undefined || !tally.exists(load, at, full ? MORE_POINTS : 0)) return true;
      if (!full && begun >= calm.size && performance.now() > deadline) return false;
      begun += 1;
      const trial = await known.load.trial(at).catch((error: unknown) => failed(at, error));
      const line = tally.count(load, trial, known.outcome);
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
    servedLoad("worker", stand, (scene) => workerCast(scene, worker)),
    servedLoad("server", stand, (scene) => serverCast(scene, server)),
    ...chores.map((chore) => sweepLoad(chore, stand, sweeper)),
  ];
}

/** What a load comes to when nothing dies. */
interface Calm {
  readonly load: PointLoad;
  readonly points: number;
  readonly outcome: Outcome;
}

/** Counts the points, the fewer of two runs, for timers make some more. A load that does not even come to its end undisturbed is a problem, and goes no further. */
async function runCalmly(
  loads: readonly PointLoad[],
  told: (text: string) => void,
): Promise<{ readonly calm: ReadonlyMap<string, Calm>; readonly problems: readonly string[] }> {
  const calm = new Map<string, Calm>();
  const problems: string[] = [];
  for (const load of loads) await load.prepare();
  await inLanes(loads, async (load) => {
    const [one, other] = [await load.trial(undefined), await load.trial(undefined)];
    const { outcome } = one;
    const wrong = [...one.problems, ...other.problems, ...differences(other.outcome, outcome)];
    const points = Math.min(one.points ?? 0, other.points ?? 0);
    if (points === 0 || wrong.length > 0)
      problems.push(`${load.id} is not well without a crash: ${wrong.join("; ")}`);
    else calm.set(load.id, { load, points, outcome });
    told(`${load.id}: ${points} points`);
    return true;
  });
  return { calm, problems };
}

function failed(at: Trial["at"], error: unknown): Trial {
  const problems = [error instanceof Error ? (error.stack ?? error.message) : String(error)];
  return { at, points: undefined, died: undefined, recoveryMs: 0, outcome: {}, problems };
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
