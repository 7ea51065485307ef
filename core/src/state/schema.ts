import { z } from "zod";
import { unread } from "../json-text.ts";
import { JsonObject, Name, storable } from "../payload.ts";
import { RunId } from "../runs/schema.ts";

export const StreamName = Name.min(1).default("state").describe("Name of the stream.");

/** How long a version is worth keeping, from least to most. */
export const Importance = z.enum(["transient", "normal", "checkpoint", "milestone"]);

const Target = z
  .strictObject({ type: Name.min(1), id: Name.min(1) })
  .describe("Something outside that the version is a snapshot of.");

/** What a version may say of itself. */
export const Remark = {
  label: Name.min(1).optional().describe("Names the version, for people and for time travel."),
  reason: storable(2000).optional(),
  importance: Importance.optional(),
  target: Target.optional(),
};

export const WriteKey = Name.min(1).describe(
  "Made by the SDK: a write that is sent again, or replayed, changes nothing.",
);

/** One version of a stream, without its document. */
export const Version = z.strictObject({
  version: z.int(),
  kind: z.enum(["set", "patch"]),
  bytes: z.int(),
  labels: unread(
    z.array(
      z.strictObject({
        label: z.string(),
        reason: z.string().optional(),
        importance: Importance,
        target: Target.optional(),
      }),
    ),
  ).describe("A labeled version is a snapshot."),
  reason: z.string().nullable(),
  importance: Importance,
  createdBy: z.string(),
  createdAt: z.iso.datetime(),
});

/** The members that name a stream. */
export const StreamOfRun = { runId: RunId, stream: StreamName };

/** RFC 6902. */
export const JsonPatch = z.array(JsonObject);
