import { z } from "zod";
import { unread } from "../json-text.ts";
import { JsonObject, Name, StoredPayload, storable } from "../payload.ts";
import { Placement, QueueName } from "../queues/schema.ts";
import { Creation } from "../runs/creation.ts";
import { RunId, UUID } from "../runs/schema.ts";

export const ScheduleId = z
  .string()
  .regex(new RegExp(`^schedule_${UUID}$`), "must be schedule_ and a lower-case uuid")
  .describe("Id of the schedule.");

export const ScheduleName = Name.min(1)
  .refine((name) => name !== "." && name !== "..", "must not be . or .., which no URL carries")
  .describe("Name of the schedule.");

export const CATCH_UPS = ["none", "latest", "all"] as const;
export const OVERLAPS = ["allow", "skip", "cancel"] as const;
const KINDS = ["cron", "manual"] as const;
const OUTCOMES = ["fired", "skipped", "caught_up", "manual"] as const;

/** What a schedule says: when, what, and what happens when fires are missed or meet. */
export const Definition = {
  ...Creation,
  cron: storable(1000)
    .min(1)
    .describe("Five fields, six with the seconds first, or a nickname such as `@daily`."),
  timezone: storable(100).min(1).default("UTC").describe("A name of the IANA database."),
  queue: QueueName.default("default"),
  priority: Placement.priority,
  maxAttempts: Placement.maxAttempts,
  catchUp: z
    .enum(CATCH_UPS)
    .default("latest")
    .describe(
      "Of fires more than 60 s late: `none` is made up for, the `latest`, or `all`, at most the last 100.",
    ),
  overlap: z
    .enum(OVERLAPS)
    .default("skip")
    .describe(
      "When a run of the schedule is active at a fire: `allow` another, `skip` the fire, or `cancel` the runs before it.",
    ),
};

/** Whether all missed fires would be made up for at once, and held back by one another. */
export function contradicts({
  catchUp,
  overlap,
}: {
  readonly catchUp: (typeof CATCH_UPS)[number];
  readonly overlap: (typeof OVERLAPS)[number];
}): boolean {
  return catchUp === "all" && overlap !== "allow";
}

/** A row of a schedule's history: a fire, or a row of fires that were skipped together. */
export const Fire = z.strictObject({
  fireAt: z.iso.datetime().describe("The instant it was due; of several, the first."),
  kind: z.enum(KINDS),
  outcome: z.enum(OUTCOMES),
  reason: z
    .string()
    .nullable()
    .describe("Of a skipped fire: `missed`, or `overlap` (a run was active)."),
  until: z.iso.datetime().describe("Of several fires, the last."),
  count: z.int().describe("How many fires the row stands for."),
  runId: RunId.nullable(),
  at: z.iso.datetime().describe("When it was recorded."),
});
export type Fire = z.output<typeof Fire>;

/** A schedule as lists show it: without its input. */
export const Schedule = z.strictObject({
  scheduleId: ScheduleId,
  name: z.string(),
  workflow: z.string(),
  cron: z.string(),
  timezone: z.string(),
  queue: z.string(),
  priority: z.int(),
  maxAttempts: z.int(),
  deadlineMs: z.int().nullable(),
  tags: z.array(z.string()),
  metadata: unread(JsonObject.nullable()),
  catchUp: z.enum(CATCH_UPS),
  overlap: z.enum(OVERLAPS),
  revision: z.int().describe("Counts the changes; fires are none."),
  createdAt: z.iso.datetime(),
  paused: z.boolean(),
  pausedAt: z.iso.datetime().nullable(),
  pausedBy: z.string().nullable(),
  failures: z
    .int()
    .describe("Failed fires in a row; after five it rests until it is put or resumed."),
  lastError: z.string().nullable().describe("Why the last of them failed."),
  nextFireAt: z.iso
    .datetime()
    .nullable()
    .describe("The next fire; in the past when it is overdue. Null while it rests."),
  nextFires: z
    .array(z.iso.datetime())
    .describe("The next five that are still to come; none while it rests."),
  lastFire: Fire.nullable(),
});
export type Schedule = z.output<typeof Schedule>;

/** With what its runs are given. */
export const ScheduleWithInput = Schedule.extend({
  input: StoredPayload,
  inputMeta: StoredPayload,
});
