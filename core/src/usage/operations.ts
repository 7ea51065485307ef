import { z } from "zod";
import { payloadText, unread } from "../json-text.ts";
import { Lease, REFUSALS } from "../leases/schema.ts";
import { operation } from "../operation.ts";
import { checkPayload, Name } from "../payload.ts";
import { RunId } from "../runs/schema.ts";
import * as runs from "../runs/sql.ts";
import { WriteKey } from "../state/schema.ts";
import { decimalText, readMoment } from "./rules.ts";
import { FIGURES, Figures, Moment, USAGE_GROUPS, UsageRecord, UsageSums } from "./schema.ts";
import * as usage from "./sql.ts";

/*
 * A record is written once and never changes; it takes one event number. A write key that is known answers with the
 * first record, so that a resumed run counts nothing twice.
 */

export const recordUsage = operation({
  name: "usage.record",
  summary:
    "Record what the run used and what it cost. A write key that is known answers with the first record, whatever else is said now.",
  route: "POST /v1/runs/:runId/usage",
  effect: "write",
  scope: "work",
  fenced: true,
  because: "A worker that lost its run would count what another one counts again.",
  input: z
    .strictObject({ ...Lease.shape, ...Figures, writeKey: WriteKey.optional() })
    .refine((given) => FIGURES.some((name) => given[name] !== undefined), {
      error: `give at least one of ${FIGURES.join(", ")}`,
    })
    .refine(({ unit, quantity }) => unit === undefined || quantity !== undefined, {
      path: ["unit"],
      error: "a unit needs a quantity",
    }),
  output: z.strictObject({
    record: UsageRecord,
    recorded: z.boolean().describe("True when this write key had been recorded before."),
  }),
  errors: [...REFUSALS, "payload_too_large"],
  async run(context, { quantity, costUsd, totalTokens, metadata, ...rest }) {
    const { db, fail } = context;
    const { runId, inputTokens, outputTokens } = rest;
    const text = payloadText(metadata);
    checkPayload("metadata", [text], context);
    const counted = inputTokens !== undefined || outputTokens !== undefined;
    const item = {
      ...rest,
      quantity: quantity === undefined ? undefined : decimalText(quantity),
      costUsd: costUsd === undefined ? undefined : decimalText(costUsd),
      totalTokens: totalTokens ?? (counted ? (inputTokens ?? 0) + (outputTokens ?? 0) : undefined),
      metadata: text,
    };
    const [row] = await db.batch(usage.record, [item]);
    if (row === undefined) throw fail("run_not_found", { runId });
    if (row.outcome !== "written" && row.outcome !== "recorded") throw fail(row.outcome, { runId });
    const { i: _, outcome, ...record } = row;
    return { record, recorded: outcome === "recorded" };
  },
});

export const listUsage = operation({
  name: "usage.list",
  summary: "The usage records of a run, oldest first.",
  route: "GET /v1/runs/:runId/usage",
  effect: "read",
  scope: "read",
  fenced: false,
  because: "It only reads.",
  input: z.strictObject({
    runId: RunId,
    afterSeq: z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER).default(0),
    limit: z.coerce.number().int().min(1).max(1000).default(100),
  }),
  output: z.strictObject({
    records: z.array(UsageRecord).describe("At most about 4 MB of metadata."),
    nextAfterSeq: z.int().nullable().describe("Ask for the next page with it; null at the end."),
  }),
  errors: ["run_not_found"],
  async run({ db, fail }, page) {
    const rows = await db.many(usage.list, page);
    if (rows.length === 0 && (await db.maybe(runs.exists, page)) === undefined)
      throw fail("run_not_found", { runId: page.runId });
    const last = rows.at(-1);
    return {
      records: rows.map(({ more: _, ...record }) => record),
      nextAfterSeq: last?.more === true ? last.seq : null,
    };
  },
});

export const totalUsage = operation({
  name: "usage.totals",
  summary: "Sums of usage: of a run, of its tree, or of all runs, whole and by group.",
  route: "GET /v1/usage/totals",
  effect: "read",
  scope: "read",
  fenced: false,
  because: "It only reads.",
  input: z.strictObject({
    by: z.enum(USAGE_GROUPS).optional().describe("A day is a day of UTC, by the store's clock."),
    runId: RunId.optional(),
    tree: z.stringbool().default(false).describe("With `runId`: its descendants too."),
    workflow: Name.min(1).optional(),
    since: Moment.optional().describe("Recorded at or after: an instant, a day of UTC, or 24h."),
    until: Moment.optional().describe("Recorded before."),
    limit: z.coerce.number().int().min(1).max(1000).default(100).describe("Of groups."),
  }),
  output: z.strictObject({
    since: z.iso.datetime().nullable(),
    until: z.iso.datetime().nullable(),
    total: unread(UsageSums).describe("Of all groups, also of those that are not shown."),
    groups: unread(
      z.array(z.strictObject({ group: z.string().nullable(), ...UsageSums.shape })),
    ).describe("Days: the latest first. Else the dearest first. Empty without `by`."),
    more: z.boolean().describe("There are more groups; ask for days `until` the last one."),
  }),
  errors: ["run_not_found", "input_invalid"],
  async run({ db, fail }, { runId, tree, since, until, ...rest }) {
    if (tree && runId === undefined)
      throw fail("input_invalid", { issues: [{ path: "runId", message: "a tree needs its run" }] });
    const [from, to] = [since, until].map((text) => readMoment(text ?? ""));
    const which = {
      ...rest,
      ...{ since: from?.at, sinceMs: from?.agoMs, until: to?.at, untilMs: to?.agoMs },
    };
    const byWorkflow = which.workflow !== undefined || which.by === "workflow";
    const ofStore = byWorkflow ? usage.totalsOfWorkflows : usage.totalsOfStore;
    if (runId === undefined) return await db.one(ofStore, which);
    const { found, ...answer } = await db.one(usage.totalsOfRuns, { ...which, runId, tree });
    if (!found) throw fail("run_not_found", { runId });
    return answer;
  },
});
