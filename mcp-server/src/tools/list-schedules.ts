import { type Backend, getSchedule, listFires, listSchedules } from "@tidebase/core";
import { z } from "zod";
import { fit, TOKENS, Truncated, truncation } from "../answers/fit.ts";
import { ask, type Plain } from "../answers/plain.ts";
import { storeNow } from "../answers/store-clock.ts";
import { quoteJson, untrusted, untrustedOf } from "../answers/untrusted.ts";
import { READ_FOREIGN, tool } from "../tool.ts";
import { Hints, Name, optional } from "./run-fields.ts";
import {
  fireFields,
  foreignOfSchedule,
  foreignScheduleFields,
  isLate,
  isResting,
  ofFire,
  ofSchedule,
  type Schedule,
  scheduleFields,
} from "./schedule-fields.ts";

const TEXT_LENGTH = 300;
const FIRES_MAX = 20;

type Page = Plain<z.output<typeof listSchedules.output>>;

export const listSchedulesTool = tool({
  name: "tidebase_list_schedules",
  title: "List schedules",
  toolset: "ops",
  description:
    "Schedules, newest first: next fires, last outcome, paused, late; name, cron, zone, workflow and queue under untrusted, by n. With name: that one, its input and its last fires.",
  input: z.strictObject({
    name: Name.optional(),
    limit: z.int().min(1).max(50).default(20),
    cursor: z.string().max(500).optional(),
  }),
  output: z.object({
    schedules: z.array(z.object(scheduleFields)),
    fires: z.array(z.object(fireFields)).optional().describe("Of the one, the latest first."),
    nextCursor: z.string().optional(),
    truncated: Truncated,
    untrusted: untrustedOf({
      schedules: z.array(z.object(foreignScheduleFields)),
      input: z.string().optional(),
    }).optional(),
    hints: Hints,
  }),
  annotations: READ_FOREIGN,
  async handler({ name, limit, cursor }, { backend }) {
    if (name !== undefined) return await presentOne(backend, name);
    const after = cursor === undefined ? {} : { cursor };
    const now = await storeNow(backend);
    const page = await ask(backend, listSchedules, { ...after, limit });
    const total = page.schedules.length;
    let answer = answerOf(page, { total, now });
    // The cursor follows the last row shown: what did not fit is asked again as a shorter page.
    while (answer.schedules.length < answer.asked && answer.schedules.length > 0) {
      const shorter = { ...after, limit: answer.schedules.length };
      answer = answerOf(await ask(backend, listSchedules, shorter), { total, now });
    }
    const { asked: _, ...shown } = answer;
    return shown;
  },
});

function answerOf(
  page: Page,
  { total, now }: { readonly total: number; readonly now: number },
): { asked: number; schedules: object[] } {
  const asked = page.schedules.length;
  const budget = { tokens: TOKENS.list, text: TEXT_LENGTH, rows: asked };
  const answer = fit(budget, ({ text, rows, detail }) => {
    const shown = page.schedules.slice(0, rows);
    const foreign = shown.map((row, index) => foreignOfSchedule(row, index + 1, text));
    return {
      schedules: shown.map((row, index) => ofSchedule(row, { n: index + 1, detail, now })),
      ...optional("nextCursor", page.nextCursor),
      ...truncation({ field: "schedules", shown: shown.length, total }),
      ...(shown.length === 0 ? {} : { untrusted: untrusted({ schedules: foreign }) }),
      ...optional("hints", hintsFor(shown, now)),
    };
  });
  return { ...answer, asked };
}

async function presentOne(backend: Backend, name: string): Promise<object> {
  const now = await storeNow(backend);
  const { schedule } = await ask(backend, getSchedule, { name });
  const { fires } = await ask(backend, listFires, { name, limit: FIRES_MAX });
  const { input } = schedule;
  return fit({ tokens: TOKENS.list, text: 2000, rows: fires.length }, ({ text, rows }) => ({
    schedules: [ofSchedule(schedule, { n: 1, detail: true, now })],
    ...optional("fires", fires.slice(0, rows).map(ofFire)),
    ...truncation({ field: "fires", shown: Math.min(rows, fires.length), total: fires.length }),
    untrusted: untrusted({
      schedules: [foreignOfSchedule(schedule, 1, text)],
      ...(input === null ? {} : { input: quoteJson(input, text) }),
    }),
    ...optional("hints", hintsFor([schedule], now)),
  }));
}

function hintsFor(shown: readonly Schedule[], now: number): string[] {
  const hints: string[] = [];
  if (shown.length === 0) hints.push("No schedule is here.");
  if (shown.some((schedule) => isLate(schedule, now)))
    hints.push("Late: no process that fires schedules is running, such as tidebase-server.");
  if (shown.some(isResting))
    hints.push("A schedule rests after five failed fires, until it is resumed: see lastError.");
  return hints;
}
