import {
  type Backend,
  getSchedule,
  nextFires,
  putSchedule,
  TidebaseError,
  triggerSchedule,
  updateSchedule,
} from "@tidebase/core";
import { z } from "zod";
import { fit, TOKENS } from "../answers/fit.ts";
import { ask, type Plain } from "../answers/plain.ts";
import { storeNow } from "../answers/store-clock.ts";
import { Instant } from "../answers/time.ts";
import { untrusted, untrustedOf } from "../answers/untrusted.ts";
import { tool, WRITE } from "../tool.ts";
import { ToolFailure } from "../tool-error.ts";
import { QueueName } from "./queue-fields.ts";
import { Hints, JsonObject, Name, optional, Status } from "./run-fields.ts";
import { foreignOfSchedule, foreignScheduleFields, type Schedule } from "./schedule-fields.ts";
import { CHANGES, planOf } from "./schedule-plan.ts";

const FIRES = 5;
const TEXT_LENGTH = 300;

const Input = z.strictObject({
  name: Name,
  action: z.enum(["pause", "resume", "trigger", "upsert"]),
  dryRun: z.boolean().default(true),
  idempotencyKey: Name.optional(),
  workflow: Name.optional(),
  cron: z.string().min(1).max(200).optional(),
  timezone: z.string().min(1).max(100).optional(),
  queue: QueueName.optional(),
  input: JsonObject.optional(),
  catchUp: z.enum(["none", "latest", "all"]).optional(),
  overlap: z.enum(["allow", "skip", "cancel"]).optional(),
});
type Given = z.output<typeof Input>;

export const manageScheduleTool = tool({
  name: "tidebase_manage_schedule",
  title: "Manage schedule",
  toolset: "ops",
  description:
    "A schedule's next five fires after pause, resume, trigger (a run now) or upsert (make it, or change what is given). A dry run unless dryRun is false; show it to the human first. A repeated idempotencyKey triggers once.",
  input: Input,
  output: z.object({
    action: Input.shape.action,
    dryRun: z.boolean(),
    applied: z.boolean(),
    outcome: z.enum(["created", "updated", "unchanged"]).optional(),
    changes: z.array(z.enum(CHANGES)).optional(),
    paused: z.boolean(),
    nextFires: z.array(Instant).optional(),
    runId: z.string().optional(),
    status: Status.optional(),
    untrusted: untrustedOf({
      schedule: z.object(foreignScheduleFields),
      before: z.object(foreignScheduleFields).optional(),
    }),
    hints: Hints,
  }),
  annotations: { ...WRITE, idempotentHint: false, openWorldHint: true },
  async handler(given, { backend }) {
    check(given);
    if (given.action === "upsert") return await upsert(backend, given);
    if (given.action === "trigger") return await trigger(backend, given);
    return await setPaused(backend, given);
  },
});

/** Nothing is there that means something to another action only. */
function check({ action, ...given }: Given): void {
  const strange = [
    ...(action === "upsert" ? [] : CHANGES),
    ...(action === "trigger" ? [] : (["idempotencyKey"] as const)),
  ].filter((name) => given[name] !== undefined);
  if (strange.length === 0) return;
  throw new ToolFailure({
    code: "input_invalid",
    message: `${strange.join(", ")}: not an argument of ${action}.`,
    fix: "Leave it out.",
    retryable: false,
  });
}

async function setPaused(backend: Backend, { name, action, dryRun }: Given): Promise<object> {
  const paused = action === "pause";
  const found = (await ask(backend, getSchedule, { name })).schedule;
  const schedule = dryRun ? found : (await ask(backend, updateSchedule, { name, paused })).schedule;
  const resumes = dryRun && !paused && schedule.nextFires.length === 0;
  return present(schedule, {
    ...{ action, dryRun, paused },
    nextFires: paused ? [] : resumes ? await firesOf(backend, schedule) : schedule.nextFires,
    hint: paused
      ? "Nothing fires until it is resumed; its runs go on."
      : "It fires again from now on; what would have fired meanwhile is not made up for.",
  });
}

async function trigger(backend: Backend, given: Given): Promise<object> {
  const { name, action, dryRun, idempotencyKey } = given;
  const { schedule } = await ask(backend, getSchedule, { name });
  const key = idempotencyKey === undefined ? {} : { idempotencyKey };
  const made = dryRun ? undefined : await ask(backend, triggerSchedule, { name, ...key });
  const { paused, nextFires } = schedule;
  const more = made === undefined ? {} : { runId: made.runId, status: made.status };
  return present(schedule, {
    ...{ action, dryRun, paused, nextFires, more },
    hint: dryRun
      ? "One run would be made now, paused or not, whatever else of it is running."
      : "tidebase_wait_for_run waits for its end.",
  });
}

async function upsert(backend: Backend, given: Given): Promise<object> {
  const { name, action, dryRun } = given;
  const found = await existing(backend, name);
  const { wanted, changes } = planOf(found, given);
  const put = dryRun ? undefined : await ask(backend, putSchedule, wanted);
  const paused = put?.schedule.paused ?? found?.paused ?? false;
  const moved = found === undefined || changes.some((change) => /cron|timezone/.test(change));
  const fires =
    put?.schedule.nextFires ?? (moved ? await firesOf(backend, wanted) : found.nextFires);
  const planned = found === undefined ? "created" : changes.length > 0 ? "updated" : "unchanged";
  return present(wanted, {
    ...{ action, dryRun, paused, nextFires: paused ? [] : fires },
    more: { outcome: put?.outcome ?? planned, ...optional("changes", changes) },
    before: changes.length > 0 ? found : undefined,
    hint: paused
      ? "It is paused: nothing fires until it is resumed."
      : "What is not given stays as it is.",
  });
}

type Found = Plain<z.output<typeof getSchedule.output>>["schedule"];

async function existing(backend: Backend, name: string): Promise<Found | undefined> {
  try {
    return (await ask(backend, getSchedule, { name })).schedule;
  } catch (error) {
    if (error instanceof TidebaseError && error.code === "schedule_not_found") return undefined;
    throw error;
  }
}

/** From now on by the store's clock, which fires them. */
async function firesOf(
  backend: Backend,
  spec: { cron: string; timezone: string },
): Promise<string[]> {
  const now = new Date(await storeNow(backend));
  return nextFires(spec, now, FIRES).map((at) => at.toISOString());
}

function present(
  schedule: Parameters<typeof foreignOfSchedule>[0],
  told: {
    readonly action: Given["action"];
    readonly dryRun: boolean;
    readonly paused: boolean;
    readonly nextFires: readonly string[];
    readonly more?: object;
    readonly before?: Schedule | undefined;
    readonly hint: string;
  },
): object {
  const { action, dryRun, paused, more, before, hint } = told;
  return fit({ tokens: TOKENS.list, text: TEXT_LENGTH, rows: 1 }, ({ text }) => ({
    ...{ action, dryRun, applied: !dryRun, ...more, paused },
    ...optional("nextFires", told.nextFires),
    untrusted: untrusted({
      schedule: foreignOfSchedule(schedule, 1, text),
      ...(before === undefined ? {} : { before: foreignOfSchedule(before, 1, text) }),
    }),
    hints: [...(dryRun ? ["Nothing was changed. To act: dryRun false."] : []), hint],
  }));
}
