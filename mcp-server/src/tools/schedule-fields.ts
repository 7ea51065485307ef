import type { listSchedules } from "@tidebase/core";
import { z } from "zod";
import type { Plain } from "../answers/plain.ts";
import { Age, age, Instant } from "../answers/time.ts";
import { quote } from "../answers/untrusted.ts";
import { optional } from "./run-fields.ts";

/** A schedule as the wire shows it. */
export type Schedule = Plain<z.output<typeof listSchedules.output>>["schedules"][number];

/** Later than this, in milliseconds, nobody fires it: the sweep of any running process would have. */
const LATE_MS = 60_000;

/** A row of a schedule's history, in our words. */
export const fireFields = {
  fireAt: Instant,
  age: Age,
  kind: z.enum(["cron", "manual"]),
  outcome: z.enum(["fired", "skipped", "caught_up", "manual"]),
  reason: z.string().optional(),
  count: z.int().optional().describe("Fires that this stands for, when several."),
  runId: z.string().optional(),
};

/** What every answer about a schedule says of it in our words; `n` finds its name under `untrusted`. */
export const scheduleFields = {
  n: z.int(),
  paused: z.boolean(),
  failures: z.int().optional().describe("Failed fires in a row; after five it rests."),
  late: z.boolean().optional().describe("Due for over a minute, and nobody fired it."),
  catchUp: z.enum(["none", "latest", "all"]),
  overlap: z.enum(["allow", "skip", "cancel"]),
  nextFires: z.array(Instant).optional(),
  lastFire: z.object(fireFields).optional(),
};

/** The same schedule in the words of others. */
export const foreignScheduleFields = {
  n: z.int(),
  name: z.string(),
  workflow: z.string(),
  queue: z.string(),
  cron: z.string(),
  timezone: z.string(),
  pausedBy: z.string().optional(),
  lastError: z.string().optional(),
};

/** Whether it was due for long, by the store's clock, and nobody fired it. */
export function isLate({ nextFireAt }: Schedule, now: number): boolean {
  return nextFireAt !== null && Date.parse(nextFireAt) < now - LATE_MS;
}

/** Whether its fires failed so often that nothing fires until somebody acts. */
export function isResting({ paused, failures, nextFireAt }: Schedule): boolean {
  return !paused && failures > 0 && nextFireAt === null;
}

/** The members of `scheduleFields`, numbered `n`; all five next fires with detail, else one; late or not at `now`. */
export function ofSchedule(
  schedule: Schedule,
  { n, detail, now }: { readonly n: number; readonly detail: boolean; readonly now: number },
): z.output<z.ZodObject<typeof scheduleFields>> {
  const { paused, failures, catchUp, overlap, nextFires, lastFire } = schedule;
  return {
    ...{ n, paused },
    ...(failures === 0 ? {} : { failures }),
    ...(isLate(schedule, now) ? { late: true } : {}),
    ...{ catchUp, overlap },
    ...optional("nextFires", nextFires.slice(0, detail ? 5 : 1)),
    ...(lastFire === null ? {} : { lastFire: ofFire(lastFire) }),
  };
}

/** The members of `fireFields`. */
export function ofFire({
  fireAt,
  kind,
  outcome,
  reason,
  count,
  runId,
}: NonNullable<Schedule["lastFire"]>): z.output<z.ZodObject<typeof fireFields>> {
  return {
    ...{ fireAt, age: age(fireAt), kind, outcome },
    ...(reason !== null && /^[a-z_]{1,20}$/.test(reason) ? { reason } : {}),
    ...(count === 1 ? {} : { count }),
    ...optional("runId", runId),
  };
}

const NAME_LENGTH = 200;

/** One that is there, or one that is to be. */
interface Named extends Pick<Schedule, "name" | "workflow" | "queue" | "cron" | "timezone"> {
  readonly pausedBy?: string | null;
  readonly lastError?: string | null;
}

/** The members of `foreignScheduleFields`, numbered `n`. */
export function foreignOfSchedule(
  schedule: Named,
  n: number,
  text: number,
): z.output<z.ZodObject<typeof foreignScheduleFields>> {
  const { name, workflow, queue, cron, timezone, pausedBy = null, lastError = null } = schedule;
  const short = Math.min(text, NAME_LENGTH);
  return {
    n,
    name: quote(name, NAME_LENGTH), // the next call needs it whole
    workflow: quote(workflow, short),
    queue: quote(queue, short),
    cron: quote(cron, short),
    timezone: quote(timezone, short),
    ...(pausedBy === null ? {} : { pausedBy: quote(pausedBy, short) }),
    ...(lastError === null ? {} : { lastError: quote(lastError, text) }),
  };
}
