import { v7 as uuid } from "uuid";
import { z } from "zod";
import { pageOf, readCursor } from "../cursor.ts";
import { operation } from "../operation.ts";
import { Name, readJson } from "../payload.ts";
import { contentOf } from "../runs/creation.ts";
import { RunId, Status } from "../runs/schema.ts";
import { put, setPaused, settled } from "./change.ts";
import { cronProblem } from "./cron-problem.ts";
import {
  contradicts,
  Definition,
  Fire,
  Schedule,
  ScheduleId,
  ScheduleName,
  ScheduleWithInput,
} from "./schema.ts";
import { shown } from "./show.ts";
import * as schedules from "./sql.ts";

/*
 * A schedule is live, paused, or resting after five failed fires. Its next fire is an instant of the
 * database's clock that never moves back before one that has fired. A fire, its row and its run are one
 * commit, and the row's key (schedule, instant, kind) makes a second fire of an instant impossible. A fire
 * changes no revision; whatever a person changes does.
 *
 * Missed are fires that were late. What would have fired while a schedule was paused, or under a cron
 * expression it had before, was never due: resuming it, or giving it another expression or time zone, sets
 * the next fire anew from now.
 */

const Page = {
  limit: z.coerce.number().int().min(1).max(200).default(50),
  cursor: z.string().max(500).optional().describe("`nextCursor` of the page before."),
};

export const putSchedule = operation({
  name: "schedules.put",
  summary:
    "Make a schedule, or make the one of that name say this; the same again changes nothing.",
  route: "POST /v1/schedules",
  effect: "write",
  scope: "operate",
  fenced: false,
  because: "It concerns no run.",
  input: z.strictObject({
    name: ScheduleName,
    ...Definition,
    paused: z.boolean().optional().describe("Left out, it stays as it is; a new one is live."),
  }),
  output: z.strictObject({
    schedule: Schedule,
    outcome: z.enum(["created", "updated", "unchanged"]),
  }),
  errors: ["cron_invalid", "schedule_contradiction", "payload_too_large"],
  async run(context, { paused, ...given }) {
    const { db, actor, fail } = context;
    const problem = cronProblem(given);
    if (problem !== undefined) throw fail("cron_invalid", { problem });
    const { catchUp, overlap } = given;
    if (contradicts(given)) throw fail("schedule_contradiction", { catchUp, overlap });
    const { body, bodyHash: _, ...texts } = contentOf(given, context);
    const said = { deadlineMs: undefined, ...given, ...body };
    const by = { body: said, paused, actor: actor.name };
    const { row, outcome } = await put(db, { ...given, ...texts }, by);
    return { schedule: shown(plain(row)), outcome };
  },
});

export const getSchedule = operation({
  name: "schedules.get",
  summary: "One schedule with its input, its next five fires and its last one.",
  route: "GET /v1/schedules/:name",
  effect: "read",
  scope: "read",
  fenced: false,
  because: "It only reads.",
  input: z.strictObject({ name: ScheduleName }),
  output: z.strictObject({ schedule: ScheduleWithInput }),
  errors: ["schedule_not_found"],
  async run({ db, fail }, { name }) {
    const row = await db.maybe(schedules.get, { name });
    if (row === undefined) throw fail("schedule_not_found", { name });
    const { input, inputMeta } = row;
    return { schedule: { ...shown(plain(row)), input, inputMeta } };
  },
});

export const listSchedules = operation({
  name: "schedules.list",
  summary: "Schedules, newest first, with their next fires and how the last one went.",
  route: "GET /v1/schedules",
  effect: "read",
  scope: "read",
  fenced: false,
  because: "It only reads.",
  input: z.strictObject(Page),
  output: z.strictObject({ schedules: z.array(Schedule), nextCursor: z.string().nullable() }),
  errors: ["cursor_invalid"],
  async run({ db, fail }, { cursor, limit }) {
    const filters = { list: "schedules" };
    const after = cursor === undefined ? undefined : readCursor(cursor, filters);
    if (after === "invalid") throw fail("cursor_invalid");
    const [beforeAt, beforeId] = after ?? [];
    const rows = await db.many(schedules.list, { beforeAt, beforeId, limit: limit + 1 });
    const idOf = ({ scheduleId }: schedules.ScheduleRow) => scheduleId;
    const { page, nextCursor } = pageOf(rows, idOf, { limit, filters });
    return { schedules: page.map(shown), nextCursor };
  },
});

export const listFires = operation({
  name: "schedules.fires",
  summary: "What a schedule has fired and skipped, the latest first.",
  route: "GET /v1/schedules/:name/fires",
  effect: "read",
  scope: "read",
  fenced: false,
  because: "It only reads.",
  input: z.strictObject({ name: ScheduleName, ...Page }),
  output: z.strictObject({ fires: z.array(Fire), nextCursor: z.string().nullable() }),
  errors: ["schedule_not_found", "cursor_invalid"],
  async run({ db, fail }, { name, cursor, limit }) {
    const filters = { list: "fires", name };
    const after = cursor === undefined ? undefined : readCursor(cursor, filters);
    if (after === "invalid") throw fail("cursor_invalid");
    const [beforeAt, beforeId] = after ?? [];
    const rows = await db.many(schedules.fires, {
      name,
      beforeAt,
      beforeKind: beforeId?.split("_")[0],
      limit: limit + 1,
    });
    if (rows.length === 0) throw fail("schedule_not_found", { name });
    const fires = rows.filter((row): row is schedules.FireRow => row.fireAt !== null);
    // Where a row stands is its instant and kind; a cursor's id carries the kind as its noun.
    const idOf = ({ kind, scheduleId }: schedules.FireRow) =>
      scheduleId.replace("schedule_", `${kind}_`);
    const { page, nextCursor } = pageOf(fires, idOf, { limit, filters });
    return { fires: page.map(({ scheduleId: _, ...fire }) => fire), nextCursor };
  },
});

export const updateSchedule = operation({
  name: "schedules.update",
  summary:
    "Pause a schedule, or resume it from now: what would have fired meanwhile is not made up for.",
  route: "POST /v1/schedules/:name",
  effect: "write",
  scope: "operate",
  fenced: false,
  because: "It concerns no run.",
  input: z.strictObject({
    name: ScheduleName,
    paused: z
      .boolean()
      .describe("False also wakes a schedule that rests because its fires failed."),
  }),
  output: z.strictObject({ schedule: Schedule }),
  errors: ["schedule_not_found", "cron_invalid"],
  async run({ db, actor, fail }, { name, paused }) {
    const row = await setPaused(db, name, {
      paused,
      actor: actor.name,
      check(spec) {
        const problem = cronProblem(spec);
        if (problem !== undefined) throw fail("cron_invalid", { problem });
      },
    });
    if (row === undefined) throw fail("schedule_not_found", { name });
    return { schedule: shown(plain(row)) };
  },
});

export const triggerSchedule = operation({
  name: "schedules.trigger",
  summary: "Make one run of a schedule now, paused or not, whatever else of it is running.",
  route: "POST /v1/schedules/:name/trigger",
  effect: "write",
  scope: "operate",
  fenced: false,
  because: "Nobody holds a run before it exists; the idempotency key makes a repeat harmless.",
  input: z.strictObject({
    name: ScheduleName,
    idempotencyKey: Name.min(1)
      .optional()
      .describe("The run's: the same key triggers once, and finds that run for its whole life."),
  }),
  output: z.strictObject({
    runId: RunId.describe(
      "Its run. Later fires of the schedule see it: `skip` waits for it, `cancel` cancels it.",
    ),
    created: z.boolean(),
    status: Status,
  }),
  errors: ["schedule_not_found", "idempotency_conflict"],
  async run({ db, actor, limits, fail }, { name, idempotencyKey }) {
    const { runId, status, outcome } = await settled("schedules.trigger", async () => {
      const row = await db.maybe(schedules.get, { name });
      if (row === undefined) throw fail("schedule_not_found", { name });
      const { fireAt: _, ...own } = readJson<Record<string, unknown>>(row.metadata) ?? {};
      return db.maybe(schedules.trigger, {
        name,
        revision: row.revision,
        runId: `run_${uuid()}`,
        head: JSON.stringify({ ...own, schedule: name }),
        idempotencyKey,
        maxSteps: limits.steps,
        actor: actor.name,
      });
    });
    if (outcome === "idempotency_conflict") throw fail(outcome, { runId, differs: ["schedule"] });
    return { runId, created: outcome === "created", status };
  },
});

export const deleteSchedule = operation({
  name: "schedules.delete",
  summary: "Delete a schedule and its history; its runs stay and go on.",
  route: "POST /v1/schedules/:name/delete",
  effect: "destroy",
  scope: "operate",
  fenced: false,
  because: "It concerns no run.",
  input: z.strictObject({ name: ScheduleName }),
  output: z.strictObject({ scheduleId: ScheduleId }),
  errors: ["schedule_not_found"],
  async run({ db, fail }, { name }) {
    const gone = await db.maybe(schedules.remove, { name });
    if (gone === undefined) throw fail("schedule_not_found", { name });
    return { scheduleId: gone.scheduleId };
  },
});

/** What lists show of a schedule that was read with all of it. */
function plain({
  input: _,
  inputMeta: __,
  firedUntil: ___,
  ...row
}: schedules.FullRow): schedules.ScheduleRow {
  return row;
}
