import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { countFires, lastFires, nextFire, nextFires } from "../src/schedules/cron.ts";
import { cronProblem } from "../src/schedules/cron-problem.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const seed = Number(process.env["TIDEBASE_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
const on = (cron: string, timezone = "UTC") => ({ cron, timezone });
const iso = (dates: readonly Date[]) => dates.map((date) => date.toISOString().slice(0, 16));
const from = (spec: ReturnType<typeof on>, after: string, count: number) =>
  iso(nextFires(spec, new Date(after), count));

describe("what is refused says what to write instead", () => {
  test.each([
    ["", "is empty; write one such as"],
    ["   ", "is empty; write one such as"],
    [
      "* * * *",
      "Write five fields (minute, hour, day of the month, month, day of the week), or six",
    ],
    ["0 0 0 1 1 * 2027", 'seconds first; "0 0 0 1 1 * 2027" has 7.'],
    ["2027-01-01T00:00:00", "has 1."],
    ["1 1 2027 10:00 UTC", 'The day of the month "2027" is not valid; write *, or 1-31'],
    ["60 * * * *", 'The minute "60" is not valid; write *, or 0-59'],
    ["0 24 * * *", 'The hour "24" is not valid'],
    ["0 0 32 * *", 'The day of the month "32" is not valid'],
    ["0 0 * 13 *", 'The month "13" is not valid'],
    ["0 0 * * 8", 'The day of the week "8" is not valid'],
    ["61 0 0 * * *", 'The second "61" is not valid'],
    ["0/5 * * * *", 'The minute "0/5" is not valid'],
    ["*/0 * * * *", 'The minute "*/0" is not valid'],
    ["0 0 * * MONDAY", 'The day of the week "MONDAY" is not valid'],
    ["@reboot", '"@reboot" is no known nickname; write @hourly'],
    ["@every 5m", '"@every 5m" is no known nickname'],
    ["0 0 * * @daily", 'The day of the week "@daily" is not valid'],
    ["0 0 30 2 *", "never fires, no year has such a day; change"],
    ["0 0 31 2,4,6,9,11 *", "never fires"],
    ["0 0 31W 2 *", "never fires"],
    ["0 0 29 2 +MON#1", "never fires"],
    [`${"0,".repeat(100)}0 * * * *`, "more than 200 characters; shorten it"],
  ])("the expression %j: %s", (cron, problem) => {
    expect(cronProblem(on(cron))).toContain(problem);
  });

  test.each(["", "Mars/Phobos", "+02:00", "CEST", "Europe/Berlin ", "local"])(
    "the zone %j",
    (timezone) => {
      expect(cronProblem(on("0 0 * * *", timezone))).toContain("is not a time zone; write a name");
    },
  );
});

describe("what is accepted fires when it says", () => {
  test.each([
    ["0 9 * * MON-FRI", ["2026-01-01T09:00", "2026-01-02T09:00", "2026-01-05T09:00"]],
    ["  0\t9 * jan ?  ", ["2026-01-01T09:00", "2026-01-02T09:00", "2026-01-03T09:00"]],
    ["0 0 L * *", ["2026-01-31T00:00", "2026-02-28T00:00", "2026-03-31T00:00"]],
    ["0 0 LW * *", ["2026-01-30T00:00", "2026-02-27T00:00", "2026-03-31T00:00"]],
    ["0 0 1W * *", ["2026-02-02T00:00", "2026-03-02T00:00", "2026-04-01T00:00"]],
    ["0 0 * * FRI#2", ["2026-01-09T00:00", "2026-02-13T00:00", "2026-03-13T00:00"]],
    ["0 0 * * FRI#L", ["2026-01-30T00:00", "2026-02-27T00:00", "2026-03-27T00:00"]],
    ["0 0 13 * +FRI", ["2026-02-13T00:00", "2026-03-13T00:00", "2026-11-13T00:00"]],
    ["0 0 13 * 7", ["2026-01-04T00:00", "2026-01-11T00:00", "2026-01-13T00:00"]],
    ["0 0 29 2 *", ["2028-02-29T00:00", "2032-02-29T00:00", "2036-02-29T00:00"]],
    ["@hourly", ["2026-01-01T01:00", "2026-01-01T02:00", "2026-01-01T03:00"]],
    ["@Daily", ["2026-01-02T00:00", "2026-01-03T00:00", "2026-01-04T00:00"]],
    ["@midnight", ["2026-01-02T00:00", "2026-01-03T00:00", "2026-01-04T00:00"]],
    ["@weekly", ["2026-01-04T00:00", "2026-01-11T00:00", "2026-01-18T00:00"]],
    ["@monthly", ["2026-02-01T00:00", "2026-03-01T00:00", "2026-04-01T00:00"]],
    ["@yearly", ["2027-01-01T00:00", "2028-01-01T00:00", "2029-01-01T00:00"]],
    ["@annually", ["2027-01-01T00:00", "2028-01-01T00:00", "2029-01-01T00:00"]],
  ])("%s", (cron, expected) => {
    expect(cronProblem(on(cron))).toBeUndefined();
    expect(from(on(cron), "2026-01-01T00:00:00Z", 3)).toEqual(expected);
  });

  test("a fire is strictly after the given time and a whole second", () => {
    const spec = on("*/10 * * * * *");
    const next = (after: string) => nextFire(spec, new Date(after))?.toISOString();
    expect(next("2026-01-01T00:00:00.000Z")).toBe("2026-01-01T00:00:10.000Z");
    expect(next("2026-01-01T00:00:09.999Z")).toBe("2026-01-01T00:00:10.000Z");
    expect(next("2026-01-01T00:00:10.001Z")).toBe("2026-01-01T00:00:20.000Z");
    expect(nextFires(spec, new Date(), 0)).toEqual([]);
  });

  test("what never fires has no next fire, and what is not valid is thrown", () => {
    expect(nextFire(on("0 0 30 2 *"), new Date())).toBeUndefined();
    expect(nextFires(on("0 0 30 2 *"), new Date(), 5)).toEqual([]);
    expect(() => nextFire(on("nonsense"), new Date())).toThrow();
    expect(() => nextFire(on("0 0 * * *", "Mars/Phobos"), new Date())).toThrow();
  });
});

describe("where the clock of Berlin changes (02:00 to 03:00 on 29 March, 03:00 to 02:00 on 25 October)", () => {
  const spring = (cron: string, n = 3) => from(on(cron, "Europe/Berlin"), "2026-03-28T23:55Z", n);
  const autumn = (cron: string, n = 3) => from(on(cron, "Europe/Berlin"), "2026-10-24T23:55Z", n);

  test("a chosen hour fires after the gap, once, and in the first pass of the repeated hour", () => {
    expect(spring("30 2 * * *", 2)).toEqual(["2026-03-29T01:00", "2026-03-30T00:30"]);
    expect(spring("*/15 2 * * *", 2)).toEqual(["2026-03-29T01:00", "2026-03-30T00:00"]);
    expect(spring("30 2,3 * * *")).toEqual([
      "2026-03-29T01:00",
      "2026-03-29T01:30",
      "2026-03-30T00:30",
    ]);
    expect(autumn("30 2 * * *", 2)).toEqual(["2026-10-25T00:30", "2026-10-26T01:30"]);
    expect(autumn("*/30 2 * * *")).toEqual([
      "2026-10-25T00:00",
      "2026-10-25T00:30",
      "2026-10-26T01:00",
    ]);
    expect(autumn("0 1-3 * * *")).toEqual([
      "2026-10-25T00:00",
      "2026-10-25T02:00",
      "2026-10-26T00:00",
    ]);
  });

  test("every hour is every hour of real time", () => {
    expect(spring("30 * * * *")).toEqual([
      "2026-03-29T00:30",
      "2026-03-29T01:30",
      "2026-03-29T02:30",
    ]);
    expect(autumn("30 0-23 * * *")).toEqual([
      "2026-10-25T00:30",
      "2026-10-25T01:30",
      "2026-10-25T02:30",
    ]);
  });

  test("an hour in steps loses nothing in the gap and goes on in the repeated hour", () => {
    expect(spring("30 */2 * * *", 2)).toEqual(["2026-03-29T01:00", "2026-03-29T02:30"]);
    expect(autumn("0 */2 * * *")).toEqual([
      "2026-10-25T00:00",
      "2026-10-25T01:00",
      "2026-10-25T03:00",
    ]);
  });

  test("asked from within the second pass, a chosen hour waits for the next day", () => {
    const asked = (cron: string) =>
      from(on(cron, "Europe/Berlin"), "2026-10-25T01:10:00.500Z", 1)[0];
    expect(asked("30 2 * * *")).toBe("2026-10-26T01:30");
    expect(asked("30 * * * *")).toBe("2026-10-25T01:30");
    expect(asked("* * 2 * * *")).toBe("2026-10-26T01:00");
  });
});

test("what is remembered of one specification is never said of another that reads alike", () => {
  expect(cronProblem(on("9 * * * *", "UTC 0"))).toContain("is not a time zone");
  expect(cronProblem(on("0 9 * * * *", "UTC"))).toBeUndefined();
  expect(from(on("0 9 * * * *", "UTC"), "2026-01-01T00:00:00Z", 1)).toHaveLength(1);
});

test("a gap that ends on the next day, a skipped day and a gap of half an hour lose no fire", () => {
  // Nuuk goes from Saturday 23:00 to Sunday 00:00.
  const nuuk = "America/Nuuk";
  expect(from(on("30 23 * * SAT", nuuk), "2026-03-28T12:00Z", 2)).toEqual([
    "2026-03-29T01:00",
    "2026-04-05T00:30",
  ]);
  // Sunday's 00:30 is no fire, though one of Saturday's is put off to Sunday.
  const saturday = on("30 0,23 * * SAT", nuuk);
  const [first, second, third] = nextFires(saturday, new Date("2026-03-28T12:00Z"), 3);
  if (!first || !second || !third) throw new Error("there are three");
  expect(iso([first, second])).toEqual(["2026-03-29T01:00", "2026-04-04T01:30"]);
  expect(countFires(saturday, first, third)).toBe(3);
  // Apia had no 30 December 2011.
  expect(from(on("0 12 30 12 *", "Pacific/Apia"), "2011-12-29T12:00Z", 1)).toEqual([
    "2011-12-30T10:00",
  ]);
  // Lord Howe goes from 02:00 to 02:30: nothing in the hour after is as late as 02:15 would have been.
  const quarter = on("15 * * * *", "Australia/Lord_Howe");
  expect(from(quarter, "2026-10-03T14:00Z", 3)).toEqual([
    "2026-10-03T14:45",
    "2026-10-03T15:30",
    "2026-10-03T16:15",
  ]);
});

/** The wall clock by Intl alone, as milliseconds of a UTC that shows the same. */
function wallClock(timeZone: string): (instant: number) => number {
  const format = new Intl.DateTimeFormat("sv-SE", {
    timeZone,
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
    hour: "2-digit",
    minute: "2-digit",
  });
  return (instant) => Date.parse(`${format.format(instant).replace(" ", "T")}Z`);
}

/** Days from 2026 to 2035 around which the clock changes; without any, the first of March and of November. */
function changesOf(clock: (instant: number) => number): { at: number; leap: number }[] {
  const changes: { at: number; leap: number }[] = [];
  for (let day = Date.UTC(2026, 0, 1); day < Date.UTC(2036, 0, 1); day += DAY) {
    const leap = clock(day + DAY) - clock(day) - DAY;
    if (leap === 0) continue;
    let at = day;
    while (clock(at + MINUTE) - clock(at) === MINUTE)
      at += clock(at + HOUR) - clock(at) === HOUR ? HOUR : MINUTE;
    changes.push({ at: at + MINUTE, leap });
  }
  if (changes.length > 0) return changes;
  const years = [2026, 2029, 2032, 2035];
  return years.flatMap((y) => [2, 10].map((month) => ({ at: Date.UTC(y, month, 1), leap: 0 })));
}

type Kind = "chosen" | "steps" | "every hour";
interface Case {
  readonly cron: string;
  readonly kind: Kind;
  readonly hours: (hour: number) => boolean;
  readonly minutes: (minute: number) => boolean;
}

/** Expressions that meet a change: `hour` is the one that the clock leaps over or shows twice. */
function casesAt(hour: number, minute: number): Case[] {
  const [only, all] = [(h: number) => h === hour, () => true];
  const other = (hour + 9) % 24;
  return [
    { cron: `${minute} ${hour} * * *`, kind: "chosen", hours: only, minutes: (m) => m === minute },
    {
      cron: `${minute + 17} ${hour} * * *`,
      kind: "chosen",
      hours: only,
      minutes: (m) => m === minute + 17,
    },
    { cron: `*/10 ${hour} * * *`, kind: "chosen", hours: only, minutes: (m) => m % 10 === 0 },
    {
      cron: `20,40 ${hour},${other} * * *`,
      kind: "chosen",
      hours: (h) => h === hour || h === other,
      minutes: (m) => m === 20 || m === 40,
    },
    { cron: "0 0 * * *", kind: "chosen", hours: (h) => h === 0, minutes: (m) => m === 0 },
    { cron: "59 23 * * *", kind: "chosen", hours: (h) => h === 23, minutes: (m) => m === 59 },
    { cron: "15 */2 * * *", kind: "steps", hours: (h) => h % 2 === 0, minutes: (m) => m === 15 },
    { cron: "45 1-23/2 * * *", kind: "steps", hours: (h) => h % 2 === 1, minutes: (m) => m === 45 },
    { cron: "*/15 * * * *", kind: "every hour", hours: all, minutes: (m) => m % 15 === 0 },
    { cron: "5 * * * *", kind: "every hour", hours: all, minutes: (m) => m === 5 },
  ];
}

/** Walks the real minutes and writes down when each expression has to fire. */
function oracle(
  walk: readonly { at: number; wall: number }[],
  { kind, hours, minutes }: Case,
): number[] {
  const matches = (wall: number) => {
    const date = new Date(wall);
    return hours(date.getUTCHours()) && minutes(date.getUTCMinutes());
  };
  const fires: number[] = [];
  let highest = walk[0]?.wall ?? 0;
  for (const { at, wall } of walk.slice(1)) {
    const leap = wall - highest - MINUTE;
    const isMadeUpFor = leap > 0 && !(kind === "every hour" && leap % HOUR === 0);
    let isDue = matches(wall) && (wall > highest || kind !== "chosen");
    for (let lost = highest + MINUTE; isMadeUpFor && lost < wall; lost += MINUTE) {
      isDue ||= matches(lost);
    }
    if (isDue) fires.push(at);
    highest = Math.max(highest, wall);
  }
  return fires;
}

test.each([
  "Europe/Berlin",
  "America/New_York",
  "Australia/Lord_Howe",
  "America/Sao_Paulo",
  "Asia/Kolkata",
  "Africa/Casablanca",
  "America/Nuuk",
  "America/Havana",
])(
  "at every change of the clock from 2026 to 2035, %s fires exactly when a walk through the minutes says",
  (timezone) => {
    const clock = wallClock(timezone);
    const changes = changesOf(clock);
    expect(changes.length).toBeGreaterThanOrEqual(8);
    for (const { at: change, leap } of changes) {
      const [start, end] = [change - 14 * HOUR, change + 14 * HOUR];
      const walk = Array.from({ length: (end - start) / MINUTE }, (_, n) => start + n * MINUTE).map(
        (at) => ({ at, wall: clock(at) }),
      );
      // The first wall time of the gap, or of the hour that comes twice.
      const affected = new Date(clock(change) - Math.max(leap, 0));
      for (const item of casesAt(affected.getUTCHours(), affected.getUTCMinutes() % 30)) {
        const fires: number[] = [];
        let fire = nextFire(on(item.cron, timezone), new Date(start));
        while (fire !== undefined && fire.getTime() < end) {
          fires.push(fire.getTime());
          fire = nextFire(on(item.cron, timezone), fire);
        }
        const title = `${item.cron} around ${new Date(change).toISOString()}`;
        expect(
          fires.map((at) => new Date(at)),
          title,
        ).toEqual(oracle(walk, item).map((at) => new Date(at)));
      }
    }
  },
);

const field = (low: number, high: number) =>
  fc.oneof(
    fc.constant("*"),
    fc.integer({ min: 2, max: 9 }).map((step) => `*/${step}`),
    fc.integer({ min: low, max: high }).map(String),
    fc
      .tuple(fc.integer({ min: low, max: high }), fc.integer({ min: low, max: high }))
      .map(([a, b]) => `${Math.min(a, b)}-${Math.max(a, b)}`),
  );
const specs = fc.record({
  cron: fc
    .tuple(
      fc.constantFrom("", "0 ", "* ", "*/20 "),
      field(0, 59),
      field(0, 23),
      fc.constantFrom("*", "*", "1-15", "L", "28-31"),
      fc.constantFrom("*", "*", "3,10", "MAR-APR"),
      fc.constantFrom("*", "*", "SUN", "SAT#L", "+SUN"),
    )
    .map(([seconds, ...fields]) => `${seconds}${fields.join(" ")}`),
  timezone: fc.constantFrom(
    "Europe/Berlin",
    "Australia/Lord_Howe",
    "America/Nuuk",
    "Africa/Casablanca",
    "UTC",
    "America/New_York",
  ),
});
/** Mostly around changes of the clock: of New York, Berlin, Lord Howe and Casablanca in 2026. */
const times = fc
  .tuple(
    fc.constantFrom(
      "2026-03-08T06",
      "2026-03-29T00",
      "2026-10-25T00",
      "2026-10-03T15",
      "2026-02-15T01",
      "2026-07-01T00",
    ),
    fc.integer({ min: -2 * HOUR, max: 3 * HOUR }),
  )
  .map(([hour, ms]) => new Date(Date.parse(`${hour}:00Z`) + ms));

test(`any fires increase, and asking from anywhere between two of them finds the second (seed ${seed})`, () => {
  const property = fc.property(
    specs,
    times,
    fc.double({ min: 0, max: 1, noNaN: true }),
    (spec, after, share) => {
      let last = after;
      for (const fire of nextFires(spec, after, 20)) {
        expect(fire.getTime()).toBeGreaterThan(last.getTime());
        expect(fire.getTime() % 1000).toBe(0);
        const between = last.getTime() + Math.floor((fire.getTime() - last.getTime() - 1) * share);
        expect(nextFire(spec, new Date(between))).toEqual(fire);
        last = fire;
      }
    },
  );
  fc.assert(property, { seed, numRuns: 120 });
});

test(`the last fires and the number of fires are those that going forward finds (seed ${seed})`, () => {
  const property = fc.property(
    specs,
    times,
    fc.integer({ min: 1, max: 200 }),
    fc.integer({ min: 1, max: 30 }),
    (spec, after, length, count) => {
      const fires = nextFires(spec, after, length);
      const last = fires.at(-1);
      if (fires[0] === undefined || last === undefined) return;
      expect(countFires(spec, fires[0], last)).toBe(fires.length);
      expect(lastFires(spec, { after, before: last }, count)).toEqual(
        fires.slice(0, -1).slice(-count),
      );
      const before = new Date(last.getTime() + 1);
      expect(lastFires(spec, { after, before }, count)).toEqual(fires.slice(-count));
    },
  );
  fc.assert(property, { seed, numRuns: 120 });
});
