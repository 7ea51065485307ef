import type { Evidence, Row } from "../history/evidence.ts";
import type { Check, Violation } from "./check.ts";
import { countBetween, type Fires, firesOf, firstAfter } from "./cron-times.ts";
import { spansIn } from "./lifecycle.ts";
import { isClockSteady } from "./log.ts";
import { bare, count, deletedRuns, grouped, indexed, instant, rows, text } from "./rows.ts";

const ID = "C7";
/** Two changes: its pause at the end, and one more; whoever changes it more often moves its fires. */
const CHANGES_MAX = 2;
const PLANNING_MS = 10_000;

/** A row of the history of a schedule. */
interface Fire {
  readonly fireAt: number;
  readonly until: number;
  readonly count: number;
  readonly at: number;
  readonly outcome: string;
  readonly run: string;
}

/** Each instant of a schedule has its row once, in time, and each of its runs has one. */
export const cron: Check = {
  id: ID,
  promises: ["P9"],
  rule: "The fires are the instants of the expression, each once, none before its time; each run of a schedule has one row.",
  find(evidence) {
    const fires = grouped(rows(evidence, "schedule_fires"), (row) => bare(row["schedule_id"]));
    return rows(evidence, "schedules").flatMap((schedule) => {
      const all = fires.get(bare(schedule["schedule_id"])) ?? [];
      const key = text(schedule["name"]);
      const found = [
        ...sequence(schedule, all.filter(({ kind }) => kind === "cron").map(fireOf)),
        ...unpaired(evidence, schedule, all.map(fireOf)),
        ...overlapping(evidence, schedule, all.filter(({ kind }) => kind === "cron").map(fireOf)),
      ];
      return found.map((message): Violation => ({ check: ID, key, message: `${key}: ${message}` }));
    });
  },
};

function fireOf(row: Row): Fire {
  return {
    fireAt: instant(row["fire_at"]) ?? 0,
    until: instant(row["until"]) ?? 0,
    count: count(row["count"]) ?? 0,
    at: instant(row["at"]) ?? 0,
    outcome: text(row["outcome"]),
    run: bare(row["run_id"]),
  };
}

/** One row after the other, with no instant between them and none twice. */
function sequence(schedule: Row, unsorted: readonly Fire[]): string[] {
  const fires = unsorted.toSorted((a, b) => a.fireAt - b.fireAt);
  const times = firesOf(text(schedule["cron"]), text(schedule["timezone"]));
  const isUnmoved = (count(schedule["revision"]) ?? 1) <= CHANGES_MAX;
  const createdAt = instant(schedule["created_at"]) ?? 0;
  return fires.flatMap((fire, i) => {
    const before = fires[i - 1];
    const early = fire.at < fire.fireAt ? [`${told(fire.fireAt)} was done ${told(fire.at)}.`] : [];
    const after = before?.until ?? createdAt;
    const again = fire.fireAt <= after && before !== undefined;
    const twice = again ? [`${told(fire.fireAt)} has a row up to ${told(after)} already.`] : [];
    const isFirst = before === undefined;
    const wrong =
      times === undefined || !isUnmoved || again ? [] : off(times, { after, isFirst }, fire);
    return [...early, ...twice, ...wrong];
  });
}

/** The first fire is planned a moment before the schedule is made: it may be earlier than the making. */
function off(
  times: Fires,
  { after, isFirst }: { readonly after: number; readonly isFirst: boolean },
  { fireAt, until, count: n }: Fire,
): string[] {
  const expected = firstAfter(times, after);
  const isEarlier = isFirst && times(fireAt) && fireAt < after && after - fireAt < PLANNING_MS;
  if (expected !== fireAt && !isEarlier)
    return [`after ${told(after)} it should fire ${told(expected)}, and did ${told(fireAt)}.`];
  const meant = countBetween(times, fireAt, until);
  return meant === n ? [] : [`a row from ${told(fireAt)} stands for ${n} instants, not ${meant}.`];
}

function told(at: number | undefined): string {
  return at === undefined ? "never" : new Date(at).toISOString();
}

/** A fire makes one run, what is skipped none, and no run comes from nowhere. */
function unpaired(evidence: Evidence, schedule: Row, fires: readonly Fire[]): string[] {
  const id = bare(schedule["schedule_id"]);
  const runs = indexed(evidence, "runs", "run_id");
  const deleted = deletedRuns(evidence);
  const fired = grouped(
    fires.filter(({ run }) => run !== ""),
    ({ run }) => run,
  );
  const lost = fires.flatMap(({ fireAt, outcome, run }) => {
    if (outcome === "skipped")
      return run === "" ? [] : [`${told(fireAt)} was skipped and made run ${run}.`];
    if (run === "") return [`${told(fireAt)} was ${outcome} without a run.`];
    const isThere = runs.has(run) || deleted.has(run);
    return isThere ? [] : [`run ${run} of ${told(fireAt)} does not exist.`];
  });
  const many = [...fired].flatMap(([run, all]) =>
    all.length > 1 ? [`run ${run} has ${all.length} fires.`] : [],
  );
  const stray = [...runs].flatMap(([run, row]) =>
    bare(row["schedule_id"]) === id && !fired.has(run) ? [`run ${run} has no fire.`] : [],
  );
  return [...lost, ...many, ...stray];
}

/** With `overlap: skip` no fire makes a run while one that a fire has made is active. */
function overlapping(evidence: Evidence, schedule: Row, fires: readonly Fire[]): string[] {
  if (schedule["overlap"] !== "skip" || !isClockSteady(evidence)) return [];
  const active = spansIn(evidence, ["pending", "queued", "running", "waiting", "interrupted"]);
  const made = fires.filter(({ run }) => run !== "");
  const spans = made.flatMap(({ run }) => (active.get(run) ?? []).slice(0, 1));
  return made.flatMap(({ run, at, fireAt }) => {
    const other = spans.find((span) => span.run !== run && span.from < at && at < span.to);
    return other === undefined ? [] : [`${told(fireAt)} fired while run ${other.run} was active.`];
  });
}
