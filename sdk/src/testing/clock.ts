import type { ThrowawayServer } from "@tidebase/server/testing";
import { TidebaseError } from "../errors.ts";
import type { MovableClock } from "../waits/movable-clock.ts";
import { readDuration, readMoment, type TestDuration } from "./time.ts";

/** The store's clock. It flows like any clock, and can be moved forwards. */
export interface TestClock {
  now(): Promise<Date>;
  /**
   * Moves the clock so far, up to ten years at once, with a stop wherever something is due on the way.
   * Resolves when all of it has happened. Throws what a sweep or a gate's rule threw, and
   * `input_invalid` for what is no duration.
   */
  advance(duration: TestDuration): Promise<void>;
  /**
   * Moves it to the moment, a Date or an ISO instant with its zone. Throws as `advance`, and
   * `input_invalid` for a moment that is past.
   */
  set(moment: Date | string): Promise<void>;
}

/**
 * The clock runs so many years ahead of the real time at most: room for hundreds of long moves, as a crash check
 * makes them, and far from the last moment that Postgres and JavaScript know.
 */
const YEARS_MAX = 1000;
const YEAR_MS = 31_557_600_000;

/** One move at a time, in the order in which they were asked for. `checkOpen` throws once the store is closed. */
export function openTestClock(
  server: ThrowawayServer,
  movable: MovableClock,
  checkOpen: () => void,
): TestClock {
  let moving: Promise<unknown> = Promise.resolve();

  async function whileOpen<Value>(ask: () => Promise<Value>): Promise<Value> {
    checkOpen();
    try {
      return await ask();
    } catch (error) {
      checkOpen(); // what a store says that is closed on the way is no answer
      throw error;
    }
  }

  function move(target: (now: Date) => Date): Promise<void> {
    const moved = moving.then(() =>
      whileOpen(async () => {
        const now = await server.now();
        const moment = target(now);
        check(moment, now);
        await server.moveTo(moment, (ms) => movable.moved(ms));
      }),
    );
    moving = moved.catch(() => {});
    return moved;
  }

  return {
    now: () => whileOpen(() => server.now()),
    async advance(duration) {
      checkOpen();
      const ms = readDuration(duration);
      return move((now) => new Date(now.getTime() + ms));
    },
    async set(moment) {
      checkOpen();
      const at = readMoment(moment);
      return move(() => at);
    },
  };
}

function check(moment: Date, now: Date): void {
  if (moment < now)
    throw new TidebaseError(
      "input_invalid",
      `The clock of a store only moves forwards; ${moment.toISOString()} is past.`,
    );
  if (moment.getTime() - Date.now() <= YEARS_MAX * YEAR_MS) return;
  throw new TidebaseError(
    "input_invalid",
    `The clock of a store runs ${YEARS_MAX} years ahead of the real time at most; ${moment.toISOString()} is later. Open another store, whose clock begins anew.`,
  );
}
