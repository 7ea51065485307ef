import { types } from "node:util";
import { TidebaseError } from "../errors.ts";
import { type Duration, milliseconds } from "../waits/duration.ts";

type Word = "second" | "minute" | "hour" | "day" | "week";

/** A duration, or one in words, such as `"3 days"`. */
export type TestDuration = Duration | `${number} ${Word}` | `${number} ${Word}s`;

const WORDS: Readonly<Record<Word, number>> = {
  second: 1000,
  minute: 60_000,
  hour: 3_600_000,
  day: 86_400_000,
  week: 604_800_000,
};

/** In whole milliseconds, up to ten years. Throws `input_invalid`. */
export function readDuration(duration: TestDuration): number {
  const ms = spelled(duration);
  if (ms !== undefined) return ms;
  throw new TidebaseError(
    "input_invalid",
    `clock.advance takes up to ten years: milliseconds, a number with ms, s, m, h or d, such as "90m", or one with seconds, minutes, hours, days or weeks, such as "3 days"; not ${shown(duration)}.`,
  );
}

/** Undefined for what is no duration. */
function spelled(duration: TestDuration): number | undefined {
  const [, number, word] =
    /^(\d+(?:\.\d+)?) (second|minute|hour|day|week)s?$/.exec(String(duration)) ?? [];
  const given = word === undefined ? duration : Number(number) * WORDS[word as Word];
  try {
    return milliseconds(given as Duration, "clock.advance");
  } catch {
    return undefined;
  }
}

const INSTANT =
  /^(\d{4})-(\d\d)-(\d\d)T([01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d+)?)?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/;

/** A Date of its own. Throws `input_invalid` for what is no moment: a day without a time, the 30th of February. */
export function readMoment(moment: unknown): Date {
  const date = types.isDate(moment) ? new Date(moment) : readInstant(moment);
  if (date !== undefined && !Number.isNaN(date.getTime())) return date;
  throw new TidebaseError(
    "input_invalid",
    `clock.set takes a Date, or an ISO instant with its zone, such as "2030-02-28T12:00:00Z"; not ${shown(moment)}.`,
  );
}

/** `Date.parse` takes a day that its month does not have for one of the next. */
function readInstant(text: unknown): Date | undefined {
  if (typeof text !== "string") return undefined;
  const [year, month, day] = (INSTANT.exec(text) ?? []).slice(1, 4).map(Number);
  if (year === undefined || month === undefined || day === undefined) return undefined;
  const hasDay = month >= 1 && day >= 1 && day <= new Date(Date.UTC(year, month, 0)).getUTCDate();
  return hasDay ? new Date(text) : undefined;
}

function shown(value: unknown): string {
  if (types.isDate(value)) return "an invalid Date";
  return typeof value === "string" ? JSON.stringify(value.slice(0, 100)) : typeOf(value);
}

function typeOf(value: unknown): string {
  if (value === null || typeof value === "number" || value === undefined) return String(value);
  return `a value of type ${typeof value}`;
}
