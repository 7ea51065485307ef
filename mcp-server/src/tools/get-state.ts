import { diffState, listVersions, readState } from "@tidebase/core";
import { z } from "zod";
import { type Cut, fit, TOKENS, Truncated, truncation } from "../answers/fit.ts";
import { ask, type Plain } from "../answers/plain.ts";
import { Age, age, Instant } from "../answers/time.ts";
import { quote, quoteJson, untrusted, untrustedOf } from "../answers/untrusted.ts";
import { READ_FOREIGN, tool } from "../tool.ts";
import { Hints, optional, RunId } from "./run-fields.ts";
import { type Member, membersOf } from "./state-members.ts";

const RECENT = 10;
const VALUE_LENGTH = 12_000;
const VersionNumber = z.int().min(1).max(Number.MAX_SAFE_INTEGER);

const PatchRow = z.object({ op: z.string(), path: z.string(), value: z.string().optional() });
const VersionRow = z.object({
  version: z.int(),
  kind: z.string(),
  bytes: z.int(),
  importance: z.string(),
  createdAt: Instant,
  age: Age,
});
const ForeignVersion = z.object({
  version: z.int(),
  labels: z.array(z.string()).optional(),
  reason: z.string().optional(),
  createdBy: z.string(),
});

/** RFC 6901. Checked without a pattern in the schema, since agents pay for it. */
const POINTER = /^(\/([^~]|~[01])*)*$/;

export const getStateTool = tool({
  name: "tidebase_get_state",
  title: "Get state",
  toolset: "runs",
  description:
    "A run's state as JSON text under untrusted: at a version (default the latest), the part at a JSON Pointer (path, such as /plan/0), or with diffFrom the JSON patch between two versions; and the recent versions. A large document lists its members and sizes: read on with path.",
  input: z.strictObject({
    runId: RunId,
    stream: z.string().min(1).max(200).default("state"),
    version: VersionNumber.optional(),
    path: z
      .string()
      .max(2000)
      .refine((path) => POINTER.test(path), "must be a JSON Pointer such as /plan/0")
      .optional(),
    diffFrom: VersionNumber.optional().describe("The patch from this version to `version`."),
  }),
  output: z.object({
    runId: z.string(),
    version: z.int().describe("0: nothing was ever written."),
    latest: z.int(),
    diffFrom: z.int().optional(),
    found: z.boolean().describe("Whether something stands at path."),
    bytes: z.int().optional().describe("Size of the value as JSON."),
    createdAt: Instant.optional(),
    age: Age.optional(),
    recentVersions: z.array(VersionRow).optional(),
    truncated: Truncated,
    untrusted: untrustedOf({
      value: z.string().optional(),
      members: z
        .array(z.object({ path: z.string(), kind: z.string(), bytes: z.int() }))
        .optional()
        .describe("Parts of a value that is too large."),
      patch: z.array(PatchRow).optional(),
      versions: z.array(ForeignVersion).optional(),
    }).optional(),
    hints: Hints,
  }),
  annotations: READ_FOREIGN,
  async handler({ runId, stream, version, path, diffFrom }, { backend }) {
    const at = { runId, stream, ...(version === undefined ? {} : { version }) };
    const state = await ask(backend, readState, {
      ...at,
      ...(path === undefined || diffFrom !== undefined ? {} : { path }),
    });
    const { versions } = await ask(backend, listVersions, { runId, stream, limit: RECENT });
    const facts = { runId, state, versions };
    if (diffFrom === undefined || state.version === 0) return showValue(facts);
    const to = state.version;
    const { patch } = await ask(backend, diffState, { runId, stream, from: diffFrom, to });
    const rows = patch.filter(({ path: where }) => isUnder(where, path));
    return showPatch({ ...facts, diffFrom, patch: rows });
  },
});

interface Facts {
  readonly runId: string;
  readonly state: Plain<z.output<typeof readState.output>>;
  readonly versions: Plain<z.output<typeof listVersions.output>>["versions"];
}

function showValue(facts: Facts): object {
  const { found, value } = facts.state;
  const json = JSON.stringify(value) ?? "null";
  let members: Member[] | undefined; // made once, and only when the value does not fit
  return fit({ tokens: TOKENS.detail, text: VALUE_LENGTH, rows: RECENT }, (cut) => {
    const whole = json.length <= cut.text;
    if (!whole) members ??= membersOf(value);
    return answerOf(facts, cut, {
      ours: { found, ...(found ? { bytes: Buffer.byteLength(json) } : {}) },
      foreign: {
        ...(found ? { value: quote(json, cut.text) } : {}),
        ...(whole ? {} : optional("members", shownMembers(members ?? [], cut))),
      },
      cutFields: [{ field: "value", shown: Math.min(cut.text, json.length), total: json.length }],
      hints: whole ? [] : ["The value is cut. Read a member of it with path."],
    });
  });
}

const MEMBERS_MAX = 30;

/** Fewer of them as the texts are cut. */
function shownMembers(members: readonly Member[], { text }: Cut): object[] {
  return members
    .slice(0, text > 1000 ? MEMBERS_MAX : 10)
    .map(({ path, ...rest }) => ({ path: quote(path, 200), ...rest }));
}

function showPatch(
  facts: Facts & { diffFrom: number; patch: readonly Record<string, unknown>[] },
): object {
  const { diffFrom, patch } = facts;
  return fit({ tokens: TOKENS.detail, text: 2000, rows: patch.length }, (cut) => {
    const shown = patch.slice(0, cut.rows).map(({ op, path, value }) => ({
      op: quote(String(op), 10),
      path: quote(String(path), 300),
      ...(value === undefined ? {} : { value: quoteJson(value, cut.text) }),
    }));
    return answerOf(facts, cut, {
      ours: { diffFrom, found: patch.length > 0 },
      foreign: { patch: shown },
      cutFields: [{ field: "patch", shown: shown.length, total: patch.length }],
      hints: shown.length < patch.length ? ["The patch is cut. Narrow it with path."] : [],
    });
  });
}

function answerOf(
  { runId, state, versions }: Facts,
  cut: Cut,
  part: {
    ours: object;
    foreign: object;
    cutFields: { field: string; shown: number; total: number }[];
    hints: string[];
  },
): object {
  const { version, latest, createdAt } = state;
  const recent = cut.detail ? versions : versions.slice(0, 3);
  const foreign = { ...part.foreign, ...optional("versions", recent.map(foreignOfVersion)) };
  return {
    runId,
    version,
    latest,
    ...part.ours,
    ...(createdAt === null ? {} : { createdAt, age: age(createdAt) }),
    ...optional("recentVersions", recent.map(ofVersion)),
    ...truncation(...part.cutFields, {
      field: "recentVersions",
      shown: recent.length,
      total: versions.length,
    }),
    ...(Object.keys(foreign).length === 0 ? {} : { untrusted: untrusted(foreign) }),
    ...optional("hints", part.hints),
  };
}

function ofVersion(row: Facts["versions"][number]): z.output<typeof VersionRow> {
  const { version, kind, bytes, importance, createdAt } = row;
  return { version, kind, bytes, importance, createdAt, age: age(createdAt) };
}

function foreignOfVersion({
  version,
  labels,
  reason,
  createdBy,
}: Facts["versions"][number]): z.output<typeof ForeignVersion> {
  const names = (labels as { label: string }[]).slice(0, 5).map(({ label }) => quote(label, 60));
  return {
    version,
    ...optional("labels", names),
    ...(reason === null ? {} : { reason: quote(reason, 100) }),
    createdBy: quote(createdBy, 60),
  };
}

function isUnder(where: unknown, path: string | undefined): boolean {
  return path === undefined || where === path || String(where).startsWith(`${path}/`);
}
