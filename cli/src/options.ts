import { InvalidArgumentError } from "commander";

const UNITS = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 } as const;

/** A whole number that is not negative. */
export function wholeNumber(text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("It must be a whole number.");
}

/** A whole number, be it negative. */
export function integer(text: string): number {
  if (/^-?\d{1,15}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("It must be a whole number.");
}

/** A whole number, or null for `none`; wrapped, since commander takes a bare null for a missing value. */
export function limitOrNone(text: string): { readonly value: number | null } {
  return { value: text === "none" ? null : wholeNumber(text) };
}

/** Words between commas. */
export function wordList(text: string): string[] {
  return text
    .split(",")
    .map((word) => word.trim())
    .filter((word) => word !== "");
}

/** As wordList, each of them one of the choices. */
export function choices<const Choice extends string>(
  known: readonly Choice[],
): (text: string) => Choice[] {
  return (text) =>
    wordList(text).map((word) => {
      const choice = known.find((one) => one === word);
      if (choice === undefined) throw new InvalidArgumentError(`Choose from ${known.join(", ")}.`);
      return choice;
    });
}

/** Milliseconds of `30m`, `12h`, `7d`; undefined when it is no such length. */
function lengthOf(text: string): number | undefined {
  const [, number, unit] = /^(\d{1,6})([smhdw])$/.exec(text) ?? [];
  return unit === undefined ? undefined : Number(number) * UNITS[unit as keyof typeof UNITS];
}

/** A length of time, in milliseconds. */
export function span(text: string): number {
  const length = lengthOf(text);
  if (length !== undefined) return length;
  throw new InvalidArgumentError("Write 45s, 30m, 12h or 7d.");
}

/** A length of time in milliseconds, or null for `none`. */
export function spanOrNone(text: string): number | null {
  return text === "none" ? null : span(text);
}

/** An instant, in ISO form. */
export function instant(text: string): string {
  return readInstant(text).toISOString();
}

/** A length of time before now, or an instant; as an ISO instant. */
export function instantBefore(text: string): string {
  const length = lengthOf(text);
  return length === undefined ? instant(text) : new Date(Date.now() - length).toISOString();
}

/** How long from now, in milliseconds: a length of time, or until an instant. */
export function timeFromNow(text: string): number {
  return lengthOf(text) ?? readInstant(text).getTime() - Date.now();
}

function readInstant(text: string): Date {
  const instant = new Date(text);
  if (/^\d{4}-\d\d-\d\d/.test(text) && !Number.isNaN(instant.getTime())) return instant;
  throw new InvalidArgumentError("Write 30m, 12h or 7d, or an instant such as 2026-01-31T12:00Z.");
}

/** Any JSON value. */
export function jsonValue(text: string): { readonly value: unknown } {
  try {
    return { value: JSON.parse(text) };
  } catch (cause) {
    const refusal = new InvalidArgumentError("It must be JSON; a string needs its quotes.");
    throw Object.assign(refusal, { cause });
  }
}
