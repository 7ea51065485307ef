import { type Backend, listSchedules } from "@tidebase/core";
import { z } from "zod";
import { ask } from "../answers/plain.ts";
import { Age, age, Instant } from "../answers/time.ts";
import { quote } from "../answers/untrusted.ts";
import { optional } from "./run-fields.ts";
import { isLate, isResting, type Schedule } from "./schedule-fields.ts";

const SCHEDULES_MAX = 200;
const SHOWN_MAX = 5;
const NAME_LENGTH = 100;

const row = z.object({
  n: z.int(),
  failures: z.int().optional(),
  dueAt: Instant.optional(),
  lateFor: Age.optional(),
});

/** What the overview says of schedules; `n` finds their names. */
export const LateSchedules = z.object({
  total: z.int(),
  paused: z.int(),
  late: z.int().describe("Due for over a minute, and nobody fired them."),
  resting: z.int().describe("After five failed fires, until resumed."),
  worst: z.array(row).optional().describe("Of the late and resting, at most five."),
});

/** The same schedules' names. */
export const ForeignLateSchedules = z.array(z.object({ n: z.int(), name: z.string() }));

interface FoundLate {
  readonly ours: z.output<typeof LateSchedules>;
  readonly foreign: z.output<typeof ForeignLateSchedules>;
}

/** The schedules that need somebody at the instant `now` answers, of the newest 200. */
export async function lateSchedules(
  backend: Backend,
  now: () => Promise<number>,
): Promise<FoundLate> {
  const { schedules } = await ask(backend, listSchedules, { limit: SCHEDULES_MAX });
  const at = await now();
  const late = schedules.filter((schedule) => isLate(schedule, at));
  const resting = schedules.filter(isResting);
  const worst = [...late, ...resting].slice(0, SHOWN_MAX);
  return {
    ours: {
      total: schedules.length,
      paused: schedules.filter(({ paused }) => paused).length,
      ...{ late: late.length, resting: resting.length },
      ...optional(
        "worst",
        worst.map((schedule, index) => rowOf(schedule, { n: index + 1, now: at })),
      ),
    },
    foreign: worst.map(({ name }, index) => ({ n: index + 1, name: quote(name, NAME_LENGTH) })),
  };
}

function rowOf(
  { failures, nextFireAt }: Schedule,
  { n, now }: { readonly n: number; readonly now: number },
): z.output<typeof row> {
  return {
    n,
    ...(failures === 0 ? {} : { failures }),
    ...(nextFireAt === null ? {} : { dueAt: nextFireAt, lateFor: age(nextFireAt, now) }),
  };
}

/** What to do about them. */
export function scheduleHints({ ours }: FoundLate): string[] {
  const hints: string[] = [];
  if (ours.late > 0)
    hints.push("Late schedules: no process that fires them is running, such as tidebase-server.");
  if (ours.resting > 0)
    hints.push("Resting schedules failed five times: tidebase_list_schedules says why.");
  return hints;
}
