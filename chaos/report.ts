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
  /** Clean trials by promise, over all stages. */
  readonly promises: Readonly<Record<string, number>>;
  readonly problems: readonly string[];
  readonly ms: number;
}

/** Adds the stages up. */
export function reportOf(seed: number, stages: readonly Ran[], ms: number): Report {
  const promises = new Map<string, number>();
  for (const { result } of stages)
    for (const [promise, trials] of Object.entries(result.promises))
      promises.set(promise, (promises.get(promise) ?? 0) + trials);
  const sorted = [...promises].sort(([a], [b]) => a.localeCompare(b, "en", { numeric: true }));
  const problems = stages.flatMap(({ id, result }) =>
    result.problems.map((problem) => `${id}: ${problem}`),
  );
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
  const held = Object.entries(promises).map(([promise, clean]) => [
    promise,
    String(clean),
    clean === 0 ? "nothing is known" : `broken in fewer than ${percent(3 / clean)} of them (95 %)`,
  ]);
  return [
    "",
    ...problems.map((problem) => `✗ ${problem.split("\n", 1)[0]}`), // in full where it was found
    ...(problems.length > 0 ? [""] : []),
    ...table([["stage", "tried", "result", "took", "facts"], ...rows]),
    ...(held.length > 0 ? ["", ...table([["promise", "clean trials", "so it is"], ...held])] : []),
    "",
    `seed ${seed}, ${seconds(ms)}: ${problems.length === 0 ? "clean" : "NOT CLEAN"}`,
  ].join("\n");
}

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;

/** Zero failures in n trials bound the rate at 3/n (the rule of three). */
const percent = (rate: number): string =>
  `${(Math.min(1, rate) * 100).toFixed(rate < 0.01 ? 2 : 1)} %`;

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
