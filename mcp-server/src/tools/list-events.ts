import { listEvents } from "@tidebase/core";
import { z } from "zod";
import { fit, TOKENS, Truncated, truncation } from "../answers/fit.ts";
import { ask } from "../answers/plain.ts";
import { Age, age, Instant } from "../answers/time.ts";
import { quoteJson, untrusted, untrustedOf } from "../answers/untrusted.ts";
import { READ_FOREIGN, tool } from "../tool.ts";
import { Hints, optional, RunId } from "./run-fields.ts";

/** An event as core answers it. */
export interface EventRow {
  readonly seq: number;
  readonly type: string;
  readonly at: string;
  readonly data: unknown;
}

/** What every answer about an event says of it in our words. */
export const eventFields = { seq: z.int(), type: z.string(), at: Instant, age: Age };
/** The event's data, in the words of others. */
export const ForeignEvent = z.object({ seq: z.int(), data: z.string() });

/** Characters of an event's data, at first and at least. */
const LENGTHS = {
  none: { text: 0, leastText: 0, tokens: TOKENS.list },
  preview: { text: 160, leastText: 80, tokens: TOKENS.list },
  full: { text: 12_000, leastText: 12_000, tokens: TOKENS.cap },
} as const;

export const listEventsTool = tool({
  name: "tidebase_list_events",
  title: "List events",
  toolset: "runs",
  description:
    "What happened to a run, in order: number, type and instant of each event, with its data (step names, messages) as JSON text under untrusted. payload none, preview (default) or full. Page on with afterSeq = nextAfterSeq; filter by types such as step.failed.",
  input: z.strictObject({
    runId: RunId,
    afterSeq: z.int().min(0).max(Number.MAX_SAFE_INTEGER).default(0),
    types: z.array(z.string().min(1).max(60)).max(20).optional(),
    payload: z.enum(["none", "preview", "full"]).default("preview"),
    limit: z.int().min(1).max(200).default(50),
  }),
  output: z.object({
    events: z.array(z.object(eventFields)),
    lastSeq: z.int().describe("The run's latest event number."),
    nextAfterSeq: z.int().optional().describe("There is more: send it as afterSeq."),
    truncated: Truncated,
    untrusted: untrustedOf({ events: z.array(ForeignEvent) }).optional(),
    hints: Hints,
  }),
  annotations: READ_FOREIGN,
  async handler({ payload, ...page }, { backend }) {
    const found = await ask(backend, listEvents, page);
    const { lastSeq, nextAfterSeq } = found;
    const events = found.events as EventRow[];
    return fit({ ...LENGTHS[payload], rows: events.length }, ({ text, rows }) => {
      const shown = events.slice(0, rows);
      const next = shown.length < events.length ? shown.at(-1)?.seq : nextAfterSeq;
      const foreign =
        payload === "none" ? [] : shown.flatMap((event) => foreignOfEvent(event, text));
      return {
        events: shown.map(ofEvent),
        lastSeq,
        ...optional("nextAfterSeq", next),
        ...truncation({ field: "events", shown: shown.length, total: events.length }),
        ...(foreign.length === 0 ? {} : { untrusted: untrusted({ events: foreign }) }),
        ...(shown.length === 0 ? { hints: ["No event of these types after this number."] } : {}),
      };
    });
  },
});

/** The members of `eventFields`. */
export function ofEvent({ seq, type, at }: EventRow): z.output<z.ZodObject<typeof eventFields>> {
  return { seq, type, at, age: age(at) };
}

/** The event's data as text, when it has any. */
export function foreignOfEvent(
  { seq, data }: EventRow,
  text: number,
): z.output<typeof ForeignEvent>[] {
  const empty = data === null || Object.keys(data as object).length === 0;
  return empty ? [] : [{ seq, data: quoteJson(data, text) }];
}
