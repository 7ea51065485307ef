import { v7 as uuid } from "uuid";
import { z } from "zod";
import { pageOf, readCursor } from "../cursor.ts";
import { operation } from "../operation.ts";
import { Name, readJson, StoredPayload } from "../payload.ts";
import { Verdict } from "../recovery/schema.ts";
import { readVerdict } from "../recovery/verdict.ts";
import { conflictWith } from "./conflict.ts";
import { contentOf, OwnCreation, Tag } from "./creation.ts";
import { findRuns } from "./list.ts";
import { FAILURE_CLASSES, Run, RunId, RunSummary, STATUSES, Status, StepCounts } from "./schema.ts";
import * as runs from "./sql.ts";

/*
 * pending, queued → running → completed, cancelled (final) or failed, interrupted, waiting (at rest).
 * What is at rest is begun again, by claim when it has a queue, under the next epoch. Final is final: a trigger refuses all else.
 */

export const createRun = operation({
  name: "runs.create",
  summary: "Create a run, or find the one that this id or idempotency key already made.",
  route: "POST /v1/runs",
  effect: "write",
  scope: "enqueue",
  fenced: false,
  because: "Nobody holds a run before it exists; the key or id makes a repeat harmless.",
  input: z.strictObject(OwnCreation),
  output: z.strictObject({ runId: RunId, created: z.boolean(), status: Status }),
  errors: ["idempotency_conflict", "payload_too_large", "webhook_not_found"],
  async run(context, given) {
    const { db, actor, limits, fail } = context;
    const { body, ...content } = contentOf(given, context);
    const { workflow, idempotencyKey, deadlineMs, webhooks = [] } = given;
    const row = await db.one(runs.create, {
      ...content,
      runId: given.runId ?? `run_${uuid()}`,
      named: given.runId !== undefined,
      workflow,
      idempotencyKey,
      deadlineMs,
      maxSteps: limits.steps,
      actor: actor.name,
      webhooks: [...new Set(webhooks)],
    });
    if (row.outcome === "webhook_not_found") throw fail(row.outcome, { webhooks });
    const { runId, status } = row;
    if (row.outcome === "idempotency_conflict") {
      const sent = { ...body, workflow, idempotencyKey, runId: given.runId ?? runId };
      const differs = await conflictWith(db, runId, sent);
      throw fail("idempotency_conflict", { runId, differs });
    }
    return { runId, created: row.outcome === "created", status };
  },
});

export const getRun = operation({
  name: "runs.get",
  summary: "One run with its step counts and the verdict: is it safe to rerun?",
  route: "GET /v1/runs/:runId",
  effect: "read",
  scope: "read",
  fenced: false,
  because: "It only reads.",
  input: z.strictObject({
    runId: RunId,
    include: z
      .array(z.enum(["input", "result"]))
      .default([])
      .describe("Payloads to add; they may be large."),
  }),
  output: z.strictObject({
    run: Run,
    steps: StepCounts,
    verdict: Verdict,
    input: StoredPayload.optional(),
    inputMeta: StoredPayload.optional(),
    result: StoredPayload.optional(),
    resultMeta: StoredPayload.optional(),
  }),
  errors: ["run_not_found"],
  async run({ db, fail }, { runId, include }) {
    const found = await readVerdict(db, runId);
    if (found === undefined) throw fail("run_not_found", { runId });
    if (include.length === 0) return found;
    const kept = await db.maybe(runs.payloads, { runId });
    if (kept === undefined) throw fail("run_not_found", { runId });
    return {
      ...found,
      run: { ...found.run, erasedAt: kept.erasedAt }, // as of the payloads, which are gone by then
      ...(include.includes("input") ? { input: kept.input, inputMeta: kept.inputMeta } : {}),
      ...(include.includes("result") ? { result: kept.result, resultMeta: kept.resultMeta } : {}),
    };
  },
});

const Filters = z.strictObject({
  status: z.array(Status).optional().describe("Any of these."),
  workflow: Name.min(1).optional(),
  queue: Name.min(1).optional(),
  parentRunId: RunId.optional().describe("Children of this run."),
  forkedFrom: RunId.optional().describe("Forks and reruns of this run."),
  tag: Tag.optional(),
  failureClass: z.enum(FAILURE_CLASSES).optional(),
  idempotencyKey: Name.min(1).optional(),
  search: Name.min(2).optional().describe("Text within the error of a run, in any case."),
  since: z.iso.datetime({ offset: true }).optional().describe("Created at or after."),
  until: z.iso.datetime({ offset: true }).optional().describe("Created before."),
});

export const listRuns = operation({
  name: "runs.list",
  summary: "Runs, newest first, filtered; a page at a time.",
  route: "GET /v1/runs",
  effect: "read",
  scope: "read",
  fenced: false,
  because: "It only reads.",
  input: Filters.extend({
    limit: z.coerce.number().int().min(1).max(200).default(50),
    cursor: z
      .string()
      .max(500)
      .optional()
      .describe(
        "`nextCursor` of the page before. Only null ends a list: a filtered page may be short, or empty, and have one.",
      ),
  }),
  output: z.strictObject({ runs: z.array(RunSummary), nextCursor: z.string().nullable() }),
  errors: ["cursor_invalid"],
  async run({ db, fail }, { cursor, limit, ...filters }) {
    const after = cursor === undefined ? undefined : readCursor(cursor, filters);
    if (after === "invalid") throw fail("cursor_invalid");
    const { forkedFrom, status, ...others } = filters;
    const { rows, stopped } = await findRuns(db, {
      ...others,
      status: status === undefined ? STATUSES : [...new Set(status)],
      forkedFromRunId: forkedFrom,
      beforeAt: after?.[0],
      beforeId: after?.[1],
      limit: limit + 1,
    });
    const { page, nextCursor } = pageOf(rows, ({ runId }) => runId, { limit, filters, stopped });
    return { runs: page, nextCursor };
  },
});

export const overview = operation({
  name: "runs.overview",
  summary: "Counts of the runs that are not final, and those that need somebody, by id.",
  route: "GET /v1/overview",
  effect: "read",
  scope: "read",
  fenced: false,
  because: "It only reads.",
  input: z.strictObject({}),
  output: z.strictObject({
    counts: z.record(z.string(), z.int()).describe("Runs that are not final, by status."),
    finishedLastDay: z.int().describe("Runs completed or cancelled within 24 hours."),
    stalled: z.int().describe("Running, but the lease has lapsed and nobody took over."),
    openGates: z.int().describe("Questions that wait for a human."),
    oldestGateAt: z.iso.datetime().nullable(),
    attention: z
      .array(
        z.strictObject({
          runId: RunId,
          workflow: z.string(),
          status: Status,
          failureClass: z.enum(FAILURE_CLASSES).nullable(),
          updatedAt: z.iso.datetime(),
        }),
      )
      .describe("Failed, interrupted and stalled runs, newest first, at most twenty."),
    now: z.iso.datetime().describe("The store's clock."),
  }),
  errors: [],
  async run({ db }) {
    const { counts, attention, ...rest } = await db.one(runs.overview, {});
    return {
      ...rest,
      counts: readJson<Record<string, number>>(counts) ?? {},
      attention: readJson<never[]>(attention) ?? [],
    };
  },
});
