import { openCore } from "@tidebase/core";
import { expect } from "vitest";
import type { TestDatabase } from "../../core/test/support/database.ts";

const WEEK_HOURS = 168;
const HOURS = 4;

/** Lets a week pass by the database's clock, while every sweep looks at each part of it. */
export async function passWeek(db: TestDatabase): Promise<void> {
  const sweeper = openCore({ databaseUrl: db.url, sweepEveryMs: 10 });
  const looks = async () =>
    (await sweeper.status()).sweeps.map(({ lastRunAt, lastError }) => {
      expect(lastError).toBeNull();
      return lastRunAt;
    });
  for (let hour = 0; hour < WEEK_HOURS; hour += HOURS) {
    await db.advance(`${HOURS} hours`);
    // a look may have begun before the clock was moved: the one after it has not
    for (const _ of ["perhaps before", "after"]) {
      const before = await looks();
      await expect
        .poll(async () => (await looks()).every((at, n) => at !== before[n]), { interval: 5 })
        .toBe(true);
    }
  }
  await sweeper.close();
}
