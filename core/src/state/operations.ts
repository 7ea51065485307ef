import { z } from "zod";
import { payloadText } from "../json-text.ts";
import { Lease, REFUSALS } from "../leases/schema.ts";
import { operation } from "../operation.ts";
import { checkPayload, Name, Payload } from "../payload.ts";
import { RunId } from "../runs/schema.ts";
import * as runs from "../runs/sql.ts";
import { readDocument } from "./read.ts";
import { patchBetween } from "./rules.ts";
import {
  Importance,
  JsonPatch,
  Remark,
  StreamName,
  StreamOfRun,
  Version,
  WriteKey,
} from "./schema.ts";
import * as state from "./sql.ts";

/*
 * A stream is versions 1..n, each the whole document (`set`) or an RFC 7386 merge patch (`patch`).
 * A write appends one version and takes one event number; reading folds patches onto the last
 * keyframe. A write key that is known answers with its version and changes nothing, so that a
 * resumed run never moves its state backwards.
 */

export const writeState = operation({
  name: "state.write",
  summary: "Append a version: replace the document (`set`) or merge into it (`patch`, RFC 7386).",
  route: "POST /v1/runs/:runId/state",
  effect: "write",
  scope: "work",
  fenced: true,
  because: "State belongs to the worker that holds the run.",
  input: z.strictObject({
    ...Lease.shape,
    stream: StreamName,
    kind: z.enum(["set", "patch"]),
    value: Payload.describe("The document, or the merge patch; null removes a member in a patch."),
    expectVersion: z
      .int()
      .min(0)
      .optional()
      .describe("Refused unless the stream is at it; 0 = new."),
    writeKey: WriteKey.optional(),
    ...Remark,
    createdBy: Name.min(1).optional(),
  }),
  output: z.strictObject({
    version: z.int(),
    recorded: z.boolean().describe("True when this write key had been written before."),
  }),
  errors: [...REFUSALS, "version_conflict", "payload_too_large"],
  async run(context, { value, ...item }) {
    const { db, actor, fail } = context;
    const body = payloadText(value ?? null);
    checkPayload("value", [body], context);
    const [row] = await db.batch(state.write, [
      { ...item, body, createdBy: item.createdBy ?? actor.name },
    ]);
    const { runId, stream } = item;
    if (row === undefined) throw fail("run_not_found", { runId });
    if (row.outcome === "version_conflict")
      throw fail(row.outcome, { runId, stream, latest: row.latest });
    if (row.outcome !== "written" && row.outcome !== "recorded") throw fail(row.outcome, { runId });
    return { version: row.version ?? 0, recorded: row.outcome === "recorded" };
  },
});

export const labelState = operation({
  name: "state.label",
  summary: "Label a version, by default the current one, without changing it.",
  route: "POST /v1/runs/:runId/state/label",
  effect: "write",
  scope: "work",
  fenced: true,
  because: "Labels are written by the worker that holds the run.",
  input: z.strictObject({
    ...Lease.shape,
    stream: StreamName,
    version: z.int().min(1).optional(),
    ...Remark,
    label: Remark.label.unwrap(),
    importance: Importance.default("checkpoint"),
    writeKey: WriteKey.optional(),
  }),
  output: z.strictObject({ version: z.int(), recorded: z.boolean() }),
  errors: [...REFUSALS, "version_not_found"],
  async run({ db, fail }, item) {
    const [row] = await db.batch(state.label, [item]);
    const { runId, stream } = item;
    if (row === undefined) throw fail("run_not_found", { runId });
    if (row.outcome === "version_not_found")
      throw fail(row.outcome, { runId, stream, version: item.version, latest: row.latest });
    if (row.outcome !== "labeled" && row.outcome !== "recorded") throw fail(row.outcome, { runId });
    return { version: row.version ?? 0, recorded: row.outcome === "recorded" };
  },
});

const At = z.coerce.number().int().min(1).optional();

export const readState = operation({
  name: "state.read",
  summary: "The document of a stream at a version, by default the latest, or a part of it.",
  route: "GET /v1/runs/:runId/state",
  effect: "read",
  scope: "read",
  fenced: false,
  because: "It only reads.",
  input: z.strictObject({
    ...StreamOfRun,
    version: At,
    path: z
      .string()
      .max(2000)
      .regex(/^(?:\/(?:[^~]|~[01])*)*$/, "must be a JSON Pointer, such as /a/0")
      .optional()
      .describe("JSON Pointer (RFC 6901) to a part of the document."),
  }),
  output: z.strictObject({
    stream: z.string(),
    version: z.int().describe("0 when nothing was ever written."),
    latest: z.int(),
    found: z.boolean().describe("False when nothing stands at `path`, or nothing was written."),
    value: Payload,
    createdAt: z.iso.datetime().nullable(),
  }),
  errors: ["run_not_found", "version_not_found"],
  async run({ db, fail }, { runId, stream, version, path }) {
    const read = await readDocument(db, { runId, stream, version, path });
    if (read === "run_not_found") throw fail(read, { runId });
    if (read === "version_not_found") throw fail(read, { runId, stream, version });
    return read;
  },
});

export const listVersions = operation({
  name: "state.versions",
  summary: "The versions of a stream without their documents, newest first.",
  route: "GET /v1/runs/:runId/state/versions",
  effect: "read",
  scope: "read",
  fenced: false,
  because: "It only reads.",
  input: z.strictObject({
    ...StreamOfRun,
    labeled: z.stringbool().default(false).describe("Only snapshots: versions with a label."),
    before: At.describe("Versions below this one."),
    limit: z.coerce.number().int().min(1).max(200).default(50),
  }),
  output: z.strictObject({ versions: z.array(Version), before: z.int().nullable() }),
  errors: ["run_not_found"],
  async run({ db, fail }, { limit, ...page }) {
    const rows = await db.many(state.versions, { ...page, limit: limit + 1 });
    if (rows.length === 0 && (await db.maybe(runs.exists, page)) === undefined)
      throw fail("run_not_found", { runId: page.runId });
    const versions = rows.slice(0, limit);
    const more = rows.length > limit;
    return { versions, before: more ? (versions.at(-1)?.version ?? null) : null };
  },
});

export const diffState = operation({
  name: "state.diff",
  summary: "The JSON patch (RFC 6902) that turns one version of a stream into another.",
  route: "GET /v1/runs/:runId/state/diff",
  effect: "read",
  scope: "read",
  fenced: false,
  because: "It only reads.",
  input: z.strictObject({
    ...StreamOfRun,
    from: z.coerce.number().int().min(1),
    to: z.coerce.number().int().min(1),
  }),
  output: z.strictObject({ from: z.int(), to: z.int(), patch: JsonPatch }),
  errors: ["run_not_found", "version_not_found"],
  async run({ db, fail }, { runId, stream, from, to }) {
    const sides: unknown[] = [];
    for (const version of [from, to]) {
      const read = await readDocument(db, { runId, stream, version });
      if (read === "run_not_found") throw fail(read, { runId });
      if (read === "version_not_found") throw fail(read, { runId, stream, version });
      sides.push(read.value);
    }
    return { from, to, patch: patchBetween(sides[0], sides[1]) };
  },
});

export const listStreams = operation({
  name: "state.streams",
  summary: "The streams of a run with their latest version.",
  route: "GET /v1/runs/:runId/streams",
  effect: "read",
  scope: "read",
  fenced: false,
  because: "It only reads.",
  input: z.strictObject({ runId: RunId }),
  output: z.strictObject({
    streams: z.array(z.strictObject({ stream: z.string(), version: z.int() })),
  }),
  errors: ["run_not_found"],
  async run({ db, fail }, { runId }) {
    const streams = await db.many(state.streams, { runId });
    if (streams.length === 0 && (await db.maybe(runs.exists, { runId })) === undefined)
      throw fail("run_not_found", { runId });
    return { streams };
  },
});
