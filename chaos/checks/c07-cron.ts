import type { Evidence, Row } from "../history/evidence.ts";
import type { Check, Violation } from "./check.ts";
import { countBetween, type Fires, firesOf, firstAfter } from "./cron-times.ts";
import { spansIn } from "./lifecycle.ts";
import {
  bare,
  count,
  deletedRuns,
  grouped,
  indexed,
  instant,
  readClock,
  rows,
  text,
} from "./rows.ts";

const ID = "C7";
/** Two changes: its pause at the end, and one more; whoever changes it more often moves its fires. */
const CHANGES_MAX = 2;
const PLANNING_MS = 10_000;
/** So late may a fire be where nothing is broken. */
const PATIENCE_MS = 6000;
/** After so many failures a schedule rests. */
const FAILURES_MAX = 5;

/** A row of the history of a schedule. */
interface Fire {
  readonly fireAt: number;
  readonly until: number;
  readonly count: number;
  readonly at: number;
  readonly outcome: string;
  readonly run: string;
}

/** Each instant of a schedule has its row once, in time and up to its pause, and each of its runs has one. */
export const cron: Check = {
  id: ID,
  promises: ["P9"],
  rule: "The fires are the instants of the expression, each once, none before its time or left out; each run of a schedule has one row.",
  find(evidence) {
    const fires = grouped(rows(evidence, "schedule_fires"), (row) => bare(row["schedule_id"]));
    return rows(evidence, "schedules").flatMap((schedule) => {
      const all = fires.get(bare(schedule["schedule_id"])) ?? [];
      const key = text(schedule["name"]);
      const planned = all
        .filter(({ kind }) => kind === "cron")
        .map(fireOf)
        .sort((a, b) => a.fireAt - b.fireAt);
      const found = [
        ...sequence(schedule, planned),
        ...unplanned(schedule, planned),
        ...late(evidence, schedule),
        ...unpaired(evidence, schedule, all.map(fireOf)),
        ...overlapping(evidence, schedule, planned),
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
function sequence(schedule: Row, fires: readonly Fire[]): string[] {
  const times = timesOf(schedule);
  const createdAt = instant(schedule["created_at"]) ?? 0;
  return fires.flatMap((fire, i) => {
    const before = fires[i - 1];
    const early = fire.at < fire.fireAt ? [`${told(fire.fireAt)} was done ${told(fire.at)}.`] : [];
    const after = before?.until ?? createdAt;
    const again = fire.fireAt <= after && before !== undefined;
    const twice = again ? [`${told(fire.fireAt)} has a row up to ${told(after)} already.`] : [];
    const isFirst = before === undefined;
    const wrong = times === undefined || again ? [] : off(times, { after, isFirst }, fire);
    return [...early, ...twice, ...wrong];
  });
}

/** When it fires; undefined where this cannot be judged, or somebody has moved its fires. */
function timesOf(schedule: Row): Fires | undefined {
  const isUnmoved = (count(schedule["revision"]) ?? 1) <= CHANGES_MAX;
  return isUnmoved ? firesOf(text(schedule["cron"]), text(schedule["timezone"])) : undefined;
}

/** Where the rows end the schedule goes on, and a pause leaves that as it is: so no instant is lost at their end. */
function unplanned(schedule: Row, fires: readonly Fire[]): string[] {
  const times = timesOf(schedule);
  const last = fires.at(-1)?.until;
  const after = last ?? instant(schedule["created_at"]) ?? 0;
  const next = instant(schedule["next_fire_at"]);
  if (times === undefined || next === firstAfter(times, after)) return [];
  if (next !== undefined && last === undefined && isPlannedEarlier(times, next, after)) return [];
  return [
    `after ${told(after)} it is to fire ${told(firstAfter(times, after))}, not ${told(next)}.`,
  ];
}

/** Until it was paused it fired in time, unless something was broken; it is read by the database's clock. */
function late(evidence: Evidence, schedule: Row): string[] {
  const now = readClock(evidence);
  const next = instant(schedule["next_fire_at"]);
  const isResting = (count(schedule["failures"]) ?? 0) >= FAILURES_MAX;
  if (now === undefined || next === undefined || isResting) return [];
  const healed = evidence.faults.map(({ to }) => now - (evidence.readAt - to));
  const until = instant(schedule["paused_at"]) ?? now;
  const isLate = until - Math.max(next, ...healed) > PATIENCE_MS;
  return isLate ? [`it was to fire ${told(next)}, and had not done so ${told(until)}.`] : [];
}

/**
 * The first fire is planned a moment before the schedule is made: it may be earlier than the making. Instants are read to the
 * millisecond, so one within that of its making is told as the same.
 */
function isPlannedEarlier(times: Fires, fireAt: number, createdAt: number): boolean {
  return times(fireAt) && fireAt <= createdAt && createdAt - fireAt < PLANNING_MS;
}

function off(
  times: Fires,
  { after, isFirst }: { readonly after: number; readonly isFirst: boolean },
  { fireAt, until, count: n }: Fire,
): string[] {
  const expected = firstAfter(times, after);
  const isEarlier = isFirst && isPlannedEarlier(times, fireAt, after);
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
  if (schedule["overlap"] !== "skip") return [];
  const active = spansIn(evidence, ["pending", "queued", "running", "waiting", "interrupted"]);
  const made = fires.filter(({ run }) => run !== "");
  const spans = made.flatMap(({ run }) => (active.get(run) ?? []).slice(0, 1));
  return made.flatMap(({ run, at, fireAt }) => {
    const other = spans.find((span) => span.run !== run && span.from < at && at < span.to);
    return other === undefined ? [] : [`${told(fireAt)} fired while run ${other.run} was active.`];
  });
}
