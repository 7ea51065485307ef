import type { StageResult } from "./stage.ts";

/** A stage that has run. */
export interface Ran {
  readonly id: string;
  readonly title: string;
  readonly result: StageResult;
  readonly ms: number;
}

/** All that a call of the harness found. */
export interface Report {
  readonly seed: number;
  readonly stages: readonly Ran[];
  /** How often each promise was put to the test and held, by stage: trials, crashes or orders. */
  readonly promises: Readonly<Record<string, Readonly<Record<string, number>>>>;
  readonly problems: readonly string[];
  readonly ms: number;
}

/** The stage whose trials are drawn at random, so that their number says something about those to come. */
const RANDOM = "trials";

/** Puts the stages together. A stage that tried nothing is a problem, and so is none at all. */
export function reportOf(seed: number, stages: readonly Ran[], ms: number): Report {
  const promises = new Map<string, Record<string, number>>();
  for (const { id, result } of stages)
    for (const [promise, held] of Object.entries(result.promises))
      promises.set(promise, { ...promises.get(promise), [id]: held });
  const sorted = [...promises].sort(([a], [b]) => a.localeCompare(b, "en", { numeric: true }));
  const problems = stages.flatMap(({ id, result }) => [
    ...result.problems.map((problem) => `${id}: ${problem}`),
    ...(result.tried === 0 ? [`${id}: It tried nothing.`] : []),
  ]);
  if (stages.length === 0) problems.push("No stage ran.");
  return { seed, stages, promises: Object.fromEntries(sorted), problems, ms };
}

/** The report for people: what was tried and found, which promise held how often, and how to repeat it. */
export function textOf({ seed, stages, promises, problems, ms }: Report): string {
  const rows = stages.map(({ id, result, ms: took }) => [
    id,
    String(result.tried),
    result.problems.length === 0 ? "clean" : `${result.problems.length} problems`,
    seconds(took),
    Object.entries(result.facts)
      .map(([name, value]) => `${name} ${value}`)
      .join(", "),
  ]);
  const columns = stages.map(({ id }) => id).filter((id) => isIn(promises, id));
  const held = Object.entries(promises).map(([promise, clean]) => [
    promise,
    ...columns.map((id) => String(clean[id] ?? "")),
    boundOf(clean[RANDOM] ?? 0),
  ]);
  return [
    "",
    ...problems.map((problem) => `✗ ${problem.split("\n", 1)[0]}`), // in full where it was found
    ...(problems.length > 0 ? [""] : []),
    ...table([["stage", "tried", "result", "took", "facts"], ...rows]),
    ...(held.length > 0
      ? ["", ...table([["promise", ...columns, "broken at most (95 %)"], ...held])]
      : []),
    "",
    `seed ${seed}, ${seconds(ms)}: ${problems.length === 0 ? "clean" : "NOT CLEAN"}`,
  ].join("\n");
}

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;

const isIn = (promises: Report["promises"], id: string): boolean =>
  Object.values(promises).some((clean) => clean[id] !== undefined);

/** Zero failures in n trials bound the rate at 3/n (the rule of three), and say nothing where that is no bound. */
function boundOf(trials: number): string {
  const rate = 3 / trials;
  return rate < 1 ? `in ${(rate * 100).toFixed(rate < 0.01 ? 2 : 1)} % of trials` : "";
}

function table(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0)),
  );
  return rows.map((row) =>
    row
      .map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0)))
      .join("  "),
  );
}
