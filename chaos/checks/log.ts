import type { Evidence } from "../history/evidence.ts";
import { bare, count, grouped, instant, parsed, rows, text } from "./rows.ts";

/** An event of a run's log. */
export interface Entry {
  /** The run's uuid. */
  readonly run: string;
  readonly seq: number;
  readonly type: string;
  /** Milliseconds of the database's clock. */
  readonly at: number;
  readonly data: Readonly<Record<string, unknown>>;
}

const known = new WeakMap<Evidence, ReadonlyMap<string, readonly Entry[]>>();

/** The events of each run, in the order of their numbers. */
export function logs(evidence: Evidence): ReadonlyMap<string, readonly Entry[]> {
  const before = known.get(evidence);
  if (before !== undefined) return before;
  const entries = rows(evidence, "events").map(
    (row): Entry => ({
      run: bare(row["run_id"]),
      seq: count(row["seq"]) ?? 0,
      type: text(row["type"]),
      at: instant(row["at"]) ?? 0,
      data: (parsed(row["data"]) ?? {}) as Entry["data"],
    }),
  );
  const byRun = grouped(entries, ({ run }) => run);
  for (const log of byRun.values()) log.sort((a, b) => a.seq - b.seq);
  known.set(evidence, byRun);
  return byRun;
}

/** How a step is called in operations and effects: its name, with its key behind a slash if it has one. */
export function stepName(name: unknown, key: unknown): string {
  return text(key) === "" ? text(name) : `${text(name)}/${text(key)}`;
}

/** The step that a `step.*` event is about. */
export function stepOf(entry: Entry): string {
  return stepName(entry.data["name"], entry.data["key"]);
}

/** An event that gives the run's lease to somebody, with a new epoch. */
export function isGrant({ type }: Entry): boolean {
  return type === "run.begun" || type === "run.pushed";
}

/** A log may go back by so much: an instant is taken before the commit that gives it its place. */
const STEADY_MS = 1000;

/** Events that are told to have been well before the one before them in the log of their run. */
export function setBack(evidence: Evidence): readonly Entry[] {
  return [...logs(evidence).values()].flatMap((log) =>
    log.filter(({ at }, i) => at < (log[i - 1]?.at ?? at) - STEADY_MS),
  );
}
