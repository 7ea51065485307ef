/*
 * When a cron expression fires, by trying each second: slow, plain, and nothing of the library that the product uses.
 * Only what the trials need: numbers, lists, ranges and steps; an hour or a day in UTC alone.
 */

const RANGES = [
  [0, 59],
  [0, 59],
  [0, 23],
  [1, 31],
  [1, 12],
  [0, 6],
] as const;

/** Tells whether it fires at this second, given in ms. */
export type Fires = (at: number) => boolean;

/** Undefined for an expression or a zone that this cannot judge. */
export function firesOf(cron: string, timezone: string): Fires | undefined {
  const given = cron.trim().split(/\s+/);
  const fields = given.length === 5 ? ["0", ...given] : given;
  const sets = fields.map((field, i) => valuesOf(field, RANGES[i] ?? [0, 0]));
  const isDaily = fields.slice(2).some((field) => field !== "*");
  const hasDays = fields[3] !== "*" && fields[5] !== "*"; // either of the two would do
  if (sets.length !== 6 || sets.includes(undefined) || hasDays) return undefined;
  if (isDaily && timezone !== "UTC") return undefined;
  return (at) => {
    const date = new Date(at);
    const parts = [
      date.getUTCSeconds(),
      date.getUTCMinutes(),
      date.getUTCHours(),
      date.getUTCDate(),
      date.getUTCMonth() + 1,
      date.getUTCDay(),
    ];
    return parts.every((part, i) => sets[i]?.has(part) === true);
  };
}

function valuesOf(field: string, [least, most]: readonly [number, number]) {
  const found = new Set<number>();
  for (const part of field.split(",")) {
    const match = /^(?:\*|(\d+)(?:-(\d+))?)(?:\/(\d+))?$/.exec(part);
    if (match === null) return undefined;
    const [, from, to, step] = match;
    const first = from === undefined ? least : Number(from);
    const isSingle = from !== undefined && to === undefined && step === undefined;
    const last = isSingle ? first : Number(to ?? most);
    for (let value = first; value <= last; value += Number(step ?? 1)) found.add(value);
  }
  return found;
}

/** Two days of seconds: no trial's clock jumps further. */
const HORIZON_MS = 2 * 86_400_000;

/** The first instant at which it fires after this one, ms; undefined when there is none within two days. */
export function firstAfter(fires: Fires, after: number): number | undefined {
  const from = Math.floor(after / 1000) * 1000 + 1000;
  for (let at = from; at <= from + HORIZON_MS; at += 1000) if (fires(at)) return at;
  return undefined;
}

/** How often it fires from the one instant to the other, both counted. */
export function countBetween(fires: Fires, from: number, to: number): number {
  let n = 0;
  for (let at = from; at <= to; at += 1000) n += Number(fires(at));
  return n;
}
