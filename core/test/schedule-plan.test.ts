import { expect, test } from "vitest";
import { nextFires } from "../src/schedules/cron.ts";
import {
  type CatchUp,
  type DueSchedule,
  MISSED_AFTER_MS,
  planStep,
  type Step,
} from "../src/schedules/plan.ts";

const NOON = new Date("2026-05-01T12:00:00Z");
const at = (ms: number) => new Date(NOON.getTime() + ms);
const due = (catchUp: CatchUp, more: Partial<DueSchedule> = {}): DueSchedule => ({
  cron: "*/5 * * * *",
  timezone: "UTC",
  nextFireAt: NOON,
  catchUp,
  ...more,
});

/** Every row until nothing is due, each planned anew from what the row before left behind. */
function rows(schedule: DueSchedule, now: (row: number) => Date): Step[] {
  const steps: Step[] = [];
  let nextFireAt: Date | undefined = schedule.nextFireAt;
  while (nextFireAt !== undefined) {
    const step = planStep({ ...schedule, nextFireAt }, now(steps.length));
    if (step === undefined) break;
    steps.push(step);
    nextFireAt = step.nextFireAt;
  }
  return steps;
}
const seen = (steps: readonly Step[]) =>
  steps.map(({ act, outcome, fireAt, until, count }) => [
    act,
    outcome,
    fireAt.toISOString().slice(11, 16),
    until.toISOString().slice(11, 16),
    count,
  ]);
const MODES: readonly CatchUp[] = ["none", "latest", "all"];

test.each(MODES)(
  "with catch-up %s, a fire is due from its time on and missed when more than 60 s late",
  (mode) => {
    expect(planStep(due(mode), at(-1))).toBeUndefined();
    const next = at(300_000);
    const fired = {
      act: "fire",
      outcome: "fired",
      fireAt: NOON,
      until: NOON,
      count: 1,
      nextFireAt: next,
    };
    expect(planStep(due(mode), NOON)).toEqual(fired);
    expect(planStep(due(mode), at(MISSED_AFTER_MS))).toEqual(fired);
    const missed = planStep(due(mode), at(MISSED_AFTER_MS + 1));
    expect(missed?.outcome).toBe(mode === "none" ? "skipped" : "caught_up");
    expect(missed).toMatchObject({ fireAt: NOON, until: NOON, count: 1, nextFireAt: next });
  },
);

test("of four missed fires and one that is not, none are made up for, the latest is, or all are", () => {
  const now = () => at(1_200_000 + 30_000);
  expect(seen(rows(due("none"), now))).toEqual([
    ["skip", "skipped", "12:00", "12:15", 4],
    ["fire", "fired", "12:20", "12:20", 1],
  ]);
  expect(seen(rows(due("latest"), now))).toEqual([
    ["skip", "skipped", "12:00", "12:10", 3],
    ["fire", "caught_up", "12:15", "12:15", 1],
    ["fire", "fired", "12:20", "12:20", 1],
  ]);
  expect(seen(rows(due("all"), now))).toEqual([
    ["fire", "caught_up", "12:00", "12:00", 1],
    ["fire", "caught_up", "12:05", "12:05", 1],
    ["fire", "caught_up", "12:10", "12:10", 1],
    ["fire", "caught_up", "12:15", "12:15", 1],
    ["fire", "fired", "12:20", "12:20", 1],
  ]);
});

test("two missed fires are one skipped and the latest", () => {
  expect(seen(rows(due("latest"), () => at(400_000)))).toEqual([
    ["skip", "skipped", "12:00", "12:00", 1],
    ["fire", "caught_up", "12:05", "12:05", 1],
  ]);
});

test.each([
  [100, 0],
  [101, 1],
  [250, 150],
])(
  "all of %i missed fires are made up for but the oldest %i, which are one row",
  (missed, skipped) => {
    const steps = rows(due("all"), () => at((missed - 1) * 300_000 + 61_000));
    const fires = nextFires(due("all"), at(-1), missed);
    const made = steps.filter(({ outcome }) => outcome === "caught_up");
    expect(made.map(({ fireAt }) => fireAt)).toEqual(fires.slice(skipped));
    expect(steps).toHaveLength(made.length + Math.min(skipped, 1));
    if (skipped === 0) return;
    expect(steps[0]).toMatchObject({
      act: "skip",
      fireAt: fires[0],
      until: fires[skipped - 1],
      count: skipped,
      nextFireAt: fires[skipped],
    });
  },
);

test.each(MODES)(
  "with catch-up %s, what a crash interrupts is planned again alike, and no fire is in two rows or in none",
  (mode) => {
    // A day with a repeated hour in it, and fires every seven minutes.
    const schedule = due(mode, {
      cron: "*/7 * * * *",
      timezone: "Europe/Berlin",
      nextFireAt: new Date("2026-10-24T22:00:00Z"),
    });
    const now = new Date("2026-10-26T03:30:30Z");
    const whole = rows(schedule, () => now);
    for (const [n, step] of whole.entries()) {
      if (n % 9 > 1) continue;
      const nextFireAt = n === 0 ? schedule.nextFireAt : whole[n - 1]?.nextFireAt;
      if (nextFireAt === undefined) throw new Error("a row follows, so there was a next fire");
      // Another process, which has the stored row only.
      expect(rows({ ...schedule, nextFireAt }, () => now)).toEqual(whole.slice(n));
      expect(step.fireAt).toEqual(nextFireAt);
    }
    const total = whole.reduce((sum, { count }) => sum + count, 0);
    const fires = nextFires(schedule, new Date(schedule.nextFireAt.getTime() - 1), total + 1);
    expect(fires[total - 1]?.getTime()).toBeLessThanOrEqual(now.getTime());
    expect(fires[total]?.getTime()).toBeGreaterThan(now.getTime());
  },
);

test.each(MODES)(
  "with catch-up %s, time that goes on between the rows makes none of them overlap",
  (mode) => {
    const schedule = due(mode, { cron: "*/20 * * * * *" });
    const steps = rows(schedule, (row) => at(3_600_000 + Math.min(row, 40) * 25_000));
    const total = steps.reduce((sum, { count }) => sum + count, 0);
    const fires = nextFires(schedule, at(-1), total);
    expect(steps.at(-1)?.until).toEqual(fires.at(-1));
    let first = 0;
    for (const { fireAt, until, count } of steps) {
      expect([fireAt, until]).toEqual([fires[first], fires[first + count - 1]]);
      first += count;
    }
  },
);

test.each([
  ["every second for six weeks", "* * * * * *", 42 * 86_400, 42 * 86_400],
  ["every minute for two years", "* * * * *", 2 * 365 * 86_400, 2 * 365 * 1440],
  ["every hour for 400 days", "0 * * * *", 400 * 86_400, 400 * 24],
  ["the seconds of one hour a day for a year", "* * 2 * * *", 365 * 86_400, 365 * 3600],
])("after a gap of %s a step is planned fast", (_, cron, seconds, missed) => {
  const timezone = "Europe/Berlin";
  for (const catchUp of MODES) {
    const nextFireAt = at(-seconds * 1000);
    const [first = nextFireAt] = nextFires(
      { cron, timezone },
      new Date(nextFireAt.getTime() - 1),
      1,
    );
    const started = process.cpuUsage();
    const step = planStep({ cron, timezone, catchUp, nextFireAt: first }, NOON);
    const { user, system } = process.cpuUsage(started);
    expect(step).toMatchObject({ act: "skip", fireAt: first });
    // A gap may have a change of the clock in it, and a minute of it is not missed.
    expect(Math.abs((step?.count ?? 0) - missed)).toBeLessThan(8000);
    // Processor time, in microseconds: a busy machine is slow, not wrong.
    expect(user + system).toBeLessThan(200_000);
  }
});

test.each([
  ["* * * * * *", 1000 * 86_400],
  ["0 3 * * *", 10_000],
])("of the fires of %s in forty years, %i and few more are counted", (cron, counted) => {
  const nextFireAt = new Date("1986-05-01T03:00:00Z");
  const count = planStep(due("latest", { cron, nextFireAt }), NOON)?.count ?? 0;
  expect(count).toBeGreaterThanOrEqual(counted);
  expect(count).toBeLessThan(counted * 1.01);
});

test("a stored fire that the expression no longer has is still the first of the missed", () => {
  const stored = due("none", { nextFireAt: at(60_000) });
  expect(seen(rows(stored, () => at(900_000 + 30_000)))).toEqual([
    ["skip", "skipped", "12:01", "12:10", 3],
    ["fire", "fired", "12:15", "12:15", 1],
  ]);
});

test("a schedule without another fire says so", () => {
  const last = new Date("2999-12-31T00:00:00Z");
  const step = planStep(due("latest", { cron: "0 0 31 12 *", nextFireAt: last }), last);
  expect(step).toMatchObject({ act: "fire", outcome: "fired", nextFireAt: undefined });
});
