import { CronPattern } from "croner";
import { type CronSpec, everFires } from "./cron.ts";
import { remembered } from "./zone.ts";

const LONGEST = 200;

const FIELDS = [
  ["second", "0-59"],
  ["minute", "0-59"],
  ["hour", "0-23"],
  ["day of the month", "1-31, L (the last), LW or 15W (the nearest weekday)"],
  ["month", "1-12 or JAN-DEC"],
  ["day of the week", "0-7 or SUN-SAT, FRI#2 (the second), FRI#L (the last)"],
] as const;

const NICKNAMES = ["@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually"];

function isPattern(text: string): boolean {
  try {
    return new CronPattern(text, undefined, { mode: "5-or-6-parts" }) !== undefined;
  } catch {
    return false;
  }
}

function isZone(timeZone: string): boolean {
  // Distances such as +02:00 are accepted by some versions of Intl; they have no clock changes to follow.
  if (!/^[A-Za-z]/.test(timeZone)) return false;
  try {
    return new Intl.DateTimeFormat("en-US", { timeZone }) !== undefined;
  } catch {
    return false;
  }
}

function patternProblem(cron: string): string | undefined {
  const words = cron.trim().split(/\s+/);
  const quoted = JSON.stringify(words.join(" "));
  if (cron.length > LONGEST) {
    return `The cron expression has more than ${LONGEST} characters; shorten it or make two schedules of it.`;
  }
  if (words[0] === "") return 'The cron expression is empty; write one such as "0 9 * * MON-FRI".';
  if (words[0]?.startsWith("@")) {
    if (NICKNAMES.includes(words.join(" ").toLowerCase())) return undefined;
    return `${quoted} is no known nickname; write ${NICKNAMES.join(", ")} or five fields.`;
  }
  if (words.length !== 5 && words.length !== 6) {
    return `Write five fields (minute, hour, day of the month, month, day of the week), or six with the seconds first; ${quoted} has ${words.length}.`;
  }
  if (isPattern(cron)) return undefined;
  const names = FIELDS.slice(-words.length);
  // The library names fields by what it makes of them (32 is day 31 there): find the bad one by trying each alone.
  const bad = words.findIndex(
    (word, n) => !isPattern(words.map((_, i) => (i === n ? word : "*")).join(" ")),
  );
  const [name, values] = names[bad] ?? ["expression", "five fields"];
  return `The ${name} ${JSON.stringify(words[bad] ?? cron)} is not valid; write *, or ${values}, also in lists (1,2), ranges (1-5) and steps (*/2).`;
}

/**
 * What is wrong with a specification, as one sentence that says what to write instead; undefined
 * when it is good: five or six fields or a nickname, a zone of the IANA database, and at least one
 * fire in the 400 years after which the calendar repeats itself.
 */
export function cronProblem(spec: CronSpec): string | undefined {
  const key = JSON.stringify([spec.timezone, spec.cron]);
  return remembered(known, key, () => ({ problem: problemOf(spec) })).problem;
}

const known = new Map<string, { readonly problem: string | undefined }>();

function problemOf(spec: CronSpec): string | undefined {
  const problem = patternProblem(spec.cron);
  if (problem !== undefined) return problem;
  if (!isZone(spec.timezone)) {
    return `${JSON.stringify(spec.timezone)} is not a time zone; write a name of the IANA database, such as "Europe/Berlin" or "UTC".`;
  }
  if (everFires(spec)) return undefined;
  return `${JSON.stringify(spec.cron.trim())} never fires, no year has such a day; change the day of the month, the month or the day of the week.`;
}
