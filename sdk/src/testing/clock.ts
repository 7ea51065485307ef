import type { ThrowawayServer } from "@tidebase/server/testing";
import { TidebaseError } from "../errors.ts";
import { type Duration, milliseconds } from "../waits/duration.ts";
import type { MovableClock } from "../waits/movable-clock.ts";

type Word = "second" | "minute" | "hour" | "day" | "week";

/** A duration, or one in words, such as `"3 days"`. */
export type TestDuration = Duration | `${number} ${Word}` | `${number} ${Word}s`;

/** The store's clock. It flows like any clock, and can be moved forwards. */
export interface TestClock {
  now(): Promise<Date>;
  /**
   * Moves the clock so far, with a stop wherever something is due on the way. Resolves when all of it
   * has happened. Throws what a sweep or a gate's rule threw.
   */
  advance(duration: TestDuration): Promise<void>;
  /** Moves it to the moment, which may not be past. */
  set(moment: Date | string): Promise<void>;
}

const WORDS: Readonly<Record<Word, number>> = {
  second: 1000,
  minute: 60_000,
  hour: 3_600_000,
  day: 86_400_000,
  week: 604_800_000,
};

/** One move at a time, in the order in which they were asked for. */
export function openTestClock(server: ThrowawayServer, movable: MovableClock): TestClock {
  let moving: Promise<unknown> = Promise.resolve();

  function move(target: (now: Date) => Date): Promise<void> {
    const moved = moving.then(async () => {
      const now = await server.now();
      const moment = target(now);
      if (!(moment >= now)) throw backwards(moment);
      await server.moveTo(moment, (ms) => movable.moved(ms));
    });
    moving = moved.catch(() => {});
    return moved;
  }

  return {
    now: () => server.now(),
    async advance(duration) {
      const ms = read(duration);
      return move((now) => new Date(now.getTime() + ms));
    },
    set: (moment) => move(() => new Date(moment)),
  };
}

function read(duration: TestDuration): number {
  const [, number, word] =
    /^(\d+(?:\.\d+)?) (second|minute|hour|day|week)s?$/.exec(String(duration)) ?? [];
  if (word !== undefined) return Number(number) * WORDS[word as Word];
  return milliseconds(duration as Duration, "clock.advance");
}

function backwards(moment: Date): TidebaseError {
  const says = Number.isNaN(moment.getTime())
    ? "clock.set takes a Date or an ISO date."
    : `The clock of a store only moves forwards; ${moment.toISOString()} is past.`;
  return new TidebaseError("input_invalid", says);
}
