import { z } from "zod";
import { JsonObject } from "../payload.ts";

/** The events after which a run never gets another. */
export const FINAL_EVENTS: readonly string[] = ["run.completed", "run.cancelled"];

/** What happened to a run, once and for good. */
export const Event = z.strictObject({
  seq: z.int(),
  type: z.string(),
  at: z.iso.datetime({ offset: true }),
  data: JsonObject.nullable(),
});

/** A committed event, read. */
export type RunEvent = z.output<typeof Event>;
