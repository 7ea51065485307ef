import type { Schedule, Tidebase } from "@tidebase/sdk";
import { QUEUE, WORKFLOWS } from "./names.ts";

/** The schedule of this example. */
export const NIGHTLY = "nightly-reports";

/**
 * Has all documents queued every night at two, by the clocks of the zone; started again it says the
 * same and changes nothing. Gives the schedule with its next fires.
 */
export async function planNights(
  tide: Tidebase,
  documents: number,
  timezone = new Intl.DateTimeFormat().resolvedOptions().timeZone,
): Promise<Schedule> {
  const { schedule } = await tide.schedules.put(NIGHTLY, WORKFLOWS.all, {
    cron: "0 2 * * *",
    timezone,
    queue: QUEUE,
    input: { documents },
  });
  return schedule;
}
