import { z } from "zod";
import { unread } from "../json-text.ts";
import { operation } from "../operation.ts";
import { RunId } from "../runs/schema.ts";
import { Event } from "./schema.ts";
import * as events from "./sql.ts";

/* Numbers run from 1 without gap; each is taken under the run's lock, in the commit of what it reports. */

export const listEvents = operation({
  name: "events.list",
  summary: "What happened to a run, in order.",
  route: "GET /v1/runs/:runId/events",
  effect: "read",
  scope: "read",
  fenced: false,
  because: "It only reads.",
  input: z.strictObject({
    runId: RunId,
    afterSeq: z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER).default(0),
    limit: z.coerce.number().int().min(1).max(1000).default(100),
    types: z
      .array(z.string().min(1).max(100))
      .max(50)
      .optional()
      .describe("Only events of these types."),
  }),
  output: z.strictObject({
    events: unread(z.array(Event)),
    lastSeq: z.int().describe("The run's latest event number."),
    nextAfterSeq: z.int().nullable().describe("Ask for the next page with it; null at the end."),
  }),
  errors: ["run_not_found"],
  async run({ db, fail }, page) {
    const found = await db.maybe(events.list, page);
    if (found === undefined) throw fail("run_not_found", { runId: page.runId });
    return found;
  },
});
