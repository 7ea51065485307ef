import { Cron, CronPattern } from "croner";
import {
  DAY,
  HOUR,
  MINUTE,
  offsetAt,
  placeOf,
  remembered,
  SECOND,
  type Zone,
  zoneOf,
} from "./zone.ts";

/**
 * When a cron expression fires in a time zone. The library answers one question only: which times a
 * wall clock that never changes would show. What happens where the real clock changes is decided
 * here (model.md §10), because the library decides it otherwise for three kinds of expressions: a
 * chosen hour with every minute, an hour in steps, a gap that ends on the next day.
 *
 * - **Chosen hours** (`30 2 * * *`, `0 8-18 * * *`, `* 2 * * *`): a time that the clock leaps over
 *   fires at the first instant after the gap, several of them once together; a time that comes twice
 *   fires the first time only.
 * - **Running hours** (`*`, a step, or all 24: `0 * * * *`, `30 0-23/2 * * *`) follow real time: they
 *   fire in both passes of a repeated hour. In a gap of whole hours an expression of every hour has
 *   nothing to make up for, since the hour after has the same minutes; any other fires right after it.
 *
 * Wall times are numbers here: the milliseconds that UTC would have when its clock showed the same.
 */
export interface CronSpec {
  /** Five fields, six with the seconds first, or a nickname such as `@daily`. */
  readonly cron: string;
  /** A name of the IANA database; UTC is one. */
  readonly timezone: string;
}

const MOST_COUNTED = 10_000;
const DAYS_COUNTED = 1000;

interface Schedule {
  readonly walls: Cron;
  readonly pattern: CronPattern;
  readonly zone: Zone;
  readonly isRunning: boolean;
  readonly isEveryHour: boolean;
}

const schedules = new Map<string, Schedule>();

function scheduleOf({ cron, timezone }: CronSpec): Schedule {
  return remembered(schedules, JSON.stringify([timezone, cron]), () => {
    const pattern = new CronPattern(cron, undefined, { mode: "5-or-6-parts" });
    const hour = pattern.pattern.trim().split(/\s+/).at(-4) ?? "*";
    const isEveryHour = pattern.hour.every(Boolean);
    return {
      walls: new Cron(cron, { utcOffset: 0, mode: "5-or-6-parts", paused: true }),
      pattern,
      zone: zoneOf(timezone),
      isRunning: isEveryHour || /[*?/]/.test(hour),
      isEveryHour,
    };
  });
}

const nextWall = ({ walls }: Schedule, wall: number) => walls.nextRun(new Date(wall))?.getTime();

/** The instants at which the expression fires because of a wall time that it matches. */
function firesOf({ isRunning, isEveryHour }: Schedule, place: ReturnType<typeof placeOf>) {
  const { at, before, after, change } = place;
  if (at.length > 0) return isRunning ? at : at.slice(0, 1);
  return isEveryHour && (after - before) % HOUR === 0 ? [] : [change];
}

function fireAfter(schedule: Schedule, instant: number): number | undefined {
  const { zone, isRunning } = schedule;
  const now = instant + offsetAt(zone, instant);
  const here = placeOf(zone, now);
  let wall = nextWall(schedule, now);
  // The first pass of a repeated hour is over: the second begins with wall times that have been.
  const isFirstPass = here.at.length > 1 && instant < here.change;
  if (isRunning && isFirstPass && !(wall !== undefined && wall < here.change + here.before)) {
    wall = nextWall(schedule, here.change + here.after - SECOND);
  }
  while (wall !== undefined) {
    const place = placeOf(zone, wall);
    const fire = firesOf(schedule, place).find((candidate) => candidate > instant);
    if (fire !== undefined) return fire;
    // Nothing of this gap or repeated hour fires any more: on to its end.
    const end = place.change + Math.max(place.before, place.after);
    wall = nextWall(schedule, Math.max(wall, end - SECOND));
  }
  return undefined;
}

function* firesAfter(schedule: Schedule, instant: number): Generator<number> {
  let fire = fireAfter(schedule, instant);
  while (fire !== undefined) {
    yield fire;
    fire = fireAfter(schedule, fire);
  }
}

/** The first fire after `after`, in whole seconds; undefined when there is none. Throws where `cronProblem` has something to say. */
export function nextFire(spec: CronSpec, after: Date): Date | undefined {
  const fire = fireAfter(scheduleOf(spec), after.getTime());
  return fire === undefined ? undefined : new Date(fire);
}

/** The first `count` fires after `after`, each later than the one before; fewer when there are no more. */
export function nextFires(spec: CronSpec, after: Date, count: number): Date[] {
  const fires: Date[] = [];
  if (count < 1) return fires;
  for (const fire of firesAfter(scheduleOf(spec), after.getTime())) {
    if (fires.push(new Date(fire)) >= count) break;
  }
  return fires;
}

/**
 * The last `count` fires after `after` and before `before`, the oldest first; fewer when there are
 * no more. The wall clock says how far back to begin, going forward from there says what fires.
 */
export function lastFires(
  spec: CronSpec,
  { after, before }: { readonly after: Date; readonly before: Date },
  count: number,
): Date[] {
  const schedule = scheduleOf(spec);
  const [floor, end] = [after.getTime(), before.getTime()];
  const from = new Date(end + offsetAt(schedule.zone, end));
  // Several wall times can be one fire, so what is far enough back for most may not be.
  for (let walls = count; ; walls *= 4) {
    const back = schedule.walls.previousRuns(walls, from);
    const place = placeOf(schedule.zone, back.at(-1)?.getTime() ?? floor);
    const oldest =
      firesOf(schedule, place).findLast((instant) => instant < end) ?? place.change - SECOND;
    const start = back.length < walls ? floor : Math.max(oldest - SECOND, floor);
    const fires: number[] = [];
    for (const fire of firesAfter(schedule, start)) {
      if (fire >= end) break;
      fires.push(fire);
    }
    if (fires.length >= count || start === floor) {
      return fires.slice(-count).map((fire) => new Date(fire));
    }
  }
}

/** How many times of the day, of those that the expression matches, are earlier than `time`. */
function earlierInDay({ hour, minute, second }: CronPattern, time: number): number {
  const among = (field: readonly number[], end: number) => field.slice(0, end).filter(Boolean);
  const [h, m] = [Math.floor(time / HOUR), Math.floor(time / MINUTE) % 60];
  const inMinute = among(second, 60).length;
  const inThis = minute[m] ? among(second, Math.floor(time / SECOND) % 60).length : 0;
  const inHour = hour[h] ? among(minute, m).length * inMinute + inThis : 0;
  return among(hour, h).length * among(minute, 60).length * inMinute + inHour;
}

/**
 * The number of fires from `first`, which is one, to `last`; both count. A day between two changes of
 * the clock is one step, whatever its number of fires. Exact while it is at most 10,000, and within
 * 1,000 days whatever it is; beyond both it is the number up to there.
 */
export function countFires(spec: CronSpec, first: Date, last: Date): number {
  const schedule = scheduleOf(spec);
  const { zone, pattern, walls } = schedule;
  let fire: number | undefined = first.getTime();
  let count = 0;
  while (fire !== undefined && fire <= last.getTime()) {
    if (count > MOST_COUNTED && fire - first.getTime() > DAYS_COUNTED * DAY) break;
    const offset = offsetAt(zone, fire);
    const wall = fire + offset;
    const midnight = Math.floor(wall / DAY) * DAY;
    let end = Math.min(last.getTime() + SECOND, midnight + DAY - offset);
    // What was put off to the end of a gap says nothing about the day on which it fires.
    if (!walls.match(new Date(wall))) end = fire + SECOND;
    const { change } = zone(Math.floor(fire / DAY));
    if (change !== undefined && change > fire) end = Math.min(end, change);
    const more = [end + offset, wall + SECOND].map((at) => earlierInDay(pattern, at - midnight));
    count += 1 + (more[0] ?? 0) - (more[1] ?? 0);
    fire = fireAfter(schedule, end - SECOND);
  }
  return count;
}

/** Whether the expression fires at all, in the 400 years after which the calendar repeats itself. */
export function everFires(spec: CronSpec): boolean {
  return nextWall(scheduleOf(spec), Date.UTC(2000, 0, 1)) !== undefined;
}
