/*
 * Wall times and real time. A wall time is a number here: the milliseconds that UTC would have when its clock showed
 * the same.
 */

export const SECOND = 1000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

/** Of each kind; what is not used for a while is worked out anew. */
const REMEMBERED = 400;

/** The clock around one day: its distance from UTC, and the instant where that changes, if it does. */
interface Clock {
  readonly before: number;
  readonly after: number;
  readonly change: number | undefined;
}
/** The clock of a zone around a day, numbered from 1970. */
export type Zone = (day: number) => Clock;

const zones = new Map<string, Zone>();

/** What is known of the key, or is made now. */
export function remembered<K, V>(known: Map<K, V>, key: K, make: () => V): V {
  const found = known.get(key);
  if (found !== undefined) return found;
  if (known.size >= REMEMBERED) known.clear();
  const made = make();
  known.set(key, made);
  return made;
}

/** The clock of a zone of the IANA database. */
export function zoneOf(timeZone: string): Zone {
  return remembered(zones, timeZone, () => newZone(timeZone));
}

/**
 * Looks a day beyond either end, so that a day of the wall clock and one of UTC with the same number
 * both lie inside; no zone changes its clock twice in three days.
 */
function newZone(timeZone: string): Zone {
  const format = new Intl.DateTimeFormat("en-US", { timeZone, timeZoneName: "longOffset" });
  const offsetAt = (instant: number): number => {
    const [, sign, hours, minutes, seconds = 0] =
      /GMT([+-])(\d\d):(\d\d)(?::(\d\d))?$/.exec(format.format(instant)) ?? [];
    const size = Number(hours) * HOUR + Number(minutes) * MINUTE + Number(seconds) * SECOND;
    return sign === undefined ? 0 : sign === "-" ? -size : size;
  };
  const look = (day: number): Clock => {
    let [early, late] = [(day - 1) * DAY, (day + 2) * DAY];
    const [before, after] = [offsetAt(early), offsetAt(late)];
    if (before === after) return { before, after, change: undefined };
    while (late - early > SECOND) {
      const middle = early + Math.floor((late - early) / (2 * SECOND)) * SECOND;
      if (offsetAt(middle) === before) early = middle;
      else late = middle;
    }
    return { before, after, change: late };
  };
  const days = new Map<number, Clock>();
  return (day) => remembered(days, day, () => look(day));
}

/** The distance of the wall clock from UTC at an instant, in milliseconds. */
export function offsetAt(zone: Zone, instant: number): number {
  const { before, after, change = Number.POSITIVE_INFINITY } = zone(Math.floor(instant / DAY));
  return instant < change ? before : after;
}

/** Where a wall time is in real time: at one instant, at two, or (in a gap) at none. */
export function placeOf(zone: Zone, wall: number) {
  const { before, after, change } = zone(Math.floor(wall / DAY));
  if (change === undefined) return { at: [wall - before], before, after, change: wall };
  const at = [wall - before].filter((instant) => instant < change);
  if (wall - after >= change) at.push(wall - after);
  return { at, before, after, change };
}
