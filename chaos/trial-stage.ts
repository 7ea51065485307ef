import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { checks, held } from "./checks/index.ts";
import { shrink, timeline, timelineHtml } from "./shrink.ts";
import type { Stage, StageContext, StageResult } from "./stage.ts";
import { runTrial, type Trial } from "./trial.ts";
import { workloads } from "./workloads/index.ts";
import { openGrounds } from "./world/grounds.ts";

/** What trials may be told besides what every stage is told. */
export interface TrialStageOptions {
  /** So many, however long they take; by default as many as fit the time. */
  readonly trials?: number | undefined;
  readonly faults?: readonly string[] | undefined;
  readonly workloads?: readonly string[] | undefined;
  /** Where the evidence of trials that were not clean is kept. */
  readonly evidence: string;
}

/** A trial is not begun unless so much of the time is left, ms. */
const LIKELY_MS = 18_000;
const SHOWN_LINES = 60;

/** Seeded trials, one after the other: everything runs, faults are dealt, and the checks read what is left. */
export function trialStage(options: TrialStageOptions): Stage {
  return {
    id: "trials",
    title: "Seeded trials: all workloads, random faults, the checks over the history",
    run: (context) => runTrials(context, options),
  };
}

async function runTrials(context: StageContext, options: TrialStageOptions): Promise<StageResult> {
  const { seed, budgetMs, told } = context;
  const deadline = performance.now() + budgetMs;
  const tally = openTally(options);
  const grounds = await openGrounds();
  try {
    const wanted = options.trials ?? Number.POSITIVE_INFINITY;
    const isTime = () => options.trials !== undefined || performance.now() + LIKELY_MS < deadline;
    for (let n = 0; n < wanted && (n === 0 || isTime()); n++) {
      const { faults, workloads } = options;
      const trial = await runTrial({ seed: seed + n, grounds, faults, workloads });
      told(lineOf(trial));
      tally.count(trial);
      if (!isClean(trial)) tally.problem(await report(trial, options.evidence));
    }
  } finally {
    await grounds.close();
  }
  return tally.result();
}

const isClean = (trial: Trial): boolean =>
  trial.violations.length + trial.invalid.length + trial.failures.length === 0;

/** Counts, for each promise, the trials in which nothing spoke against it. */
function openTally({ workloads }: TrialStageOptions) {
  const promises = new Map<string, number>();
  const problems: string[] = [];
  const dealt = new Map<string, number>();
  let [tried, invalid, ops, effects] = [0, 0, 0, 0];
  const add = (counts: Map<string, number>, key: string) =>
    counts.set(key, (counts.get(key) ?? 0) + 1);

  function count(trial: Trial): void {
    tried += 1;
    ops += trial.evidence?.ops.filter(({ type }) => type === "ok").length ?? 0;
    effects += trial.evidence?.effects.length ?? 0;
    for (const { id } of trial.evidence?.faults ?? []) add(dealt, id);
    if (trial.invalid.length + trial.failures.length > 0) {
      invalid += 1;
      return;
    }
    if (workloads !== undefined || trial.faults.length === 0) return; // not all of it was put to the test
    for (const promise of held(trial.faults, trial.violations)) add(promises, promise);
  }

  const byNumber = ([a]: [string, number], [b]: [string, number]): number =>
    Number(a.slice(1)) - Number(b.slice(1));
  return {
    count,
    problem: (text: string) => void problems.push(text),
    result: (): StageResult => ({
      tried,
      promises: Object.fromEntries([...promises].sort(byNumber)),
      problems,
      facts: {
        invalid,
        "ok calls": ops,
        effects,
        faults: [...dealt]
          .sort(byNumber)
          .map(([id, n]) => `${id}×${n}`)
          .join(" "),
      },
    }),
  };
}

function lineOf(trial: Trial): string {
  const { seed, faults, violations, invalid, failures, evidence, ms } = trial;
  const found = [
    ...new Set(violations.map(({ check }) => check)),
    ...(invalid.length > 0 ? ["INVALID"] : []),
    ...(failures.length > 0 ? ["FAILED"] : []),
  ];
  const calls = evidence?.ops.filter(({ type }) => type === "ok").length ?? 0;
  const what = `${faults.join(" ") || "no fault"}, ${calls} calls, ${evidence?.effects.length ?? 0} effects`;
  return `seed ${seed}: ${found.join(" ") || "clean"} (${what}, ${(ms / 1000).toFixed(1)} s)`;
}

/** A sentence with the seed, after the evidence was kept in the folder; the shrunk history is in it. */
export async function report(trial: Trial, folder: string): Promise<string> {
  const { seed, violations, invalid, failures, evidence, faults } = trial;
  const place = join(folder, `seed-${seed}`);
  await mkdir(place, { recursive: true });
  if (evidence !== undefined)
    await writeFile(join(place, "evidence.json"), JSON.stringify(evidence, undefined, 1));
  const lines = [...violations, ...invalid].map(
    ({ check, key, message }) => `${check} ${key}: ${message}`,
  );
  await writeFile(join(place, "found.txt"), `${[...lines, ...failures].join("\n")}\n`);
  const words = trial.processes.map(
    ({ name, meant, code, signal, stderr }) =>
      `${name}: ${signal ?? code}${meant ? "" : ", which nobody meant"}\n${stderr}`,
  );
  await writeFile(join(place, "processes.txt"), words.join("\n"));
  const told = [...lines.slice(0, 8), ...failures.slice(0, 3)];
  if (lines.length > 8) told.push(`and ${lines.length - 8} more`);
  const shrunk = await keepLeast(trial, place);
  return [
    `seed ${seed} (${faults.join(" ") || "no fault"}): ${violations.length > 0 ? "VIOLATED" : "INVALID"}; again: ${againOf(trial)}; evidence: ${place}`,
    ...told.map((line) => `  ${line}`),
    ...shrunk.map((line) => `    ${line}`),
  ].join("\n");
}

/** The command that does the trial again, also where it was told its faults and workloads. */
function againOf({ seed, faults, workloads: driven }: Trial): string {
  const told = [`--faults ${faults.join(",") || "none"}`];
  if (driven.length < workloads.length) told.push(`--workloads ${driven.join(",")}`);
  return `npm run chaos -- --only trials --seed ${seed} --trials 1 ${told.join(" ")}`;
}

/** The least history that still breaks the first promise that was broken, as text. */
async function keepLeast({ evidence, violations }: Trial, place: string): Promise<string[]> {
  const [first] = violations;
  const check = checks.find(({ id }) => id === first?.check);
  if (evidence === undefined || check === undefined) return [];
  const least = shrink(evidence, check);
  await writeFile(join(place, "timeline.html"), timelineHtml(least));
  const lines = timeline(least).split("\n");
  await writeFile(join(place, "timeline.txt"), lines.join("\n"));
  const shown = lines.slice(0, SHOWN_LINES).map((line) => line.slice(0, 240));
  if (lines.length > shown.length)
    shown.push(`… ${lines.length - shown.length} more lines in timeline.txt`);
  return [`The least of it that breaks ${check.id} (${check.rule})`, ...shown];
}
