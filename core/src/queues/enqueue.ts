import { v7 as uuid } from "uuid";
import { z } from "zod";
import type { Database } from "../database.ts";
import { type Actor, operation } from "../operation.ts";
import { conflictWith } from "../runs/conflict.ts";
import { contentOf } from "../runs/creation.ts";
import * as sql from "./enqueue-sql.ts";
import { EnqueueItem, EnqueueResult } from "./schema.ts";

export const enqueueRuns = operation({
  name: "runs.enqueue",
  summary: "Queue up to 1,000 runs in one commit, each with its own outcome.",
  route: "POST /v1/runs/enqueue",
  effect: "write",
  scope: "enqueue",
  fenced: false,
  because: "Nobody holds a run before it exists; ids and keys make a repeat harmless.",
  input: z.strictObject({ items: z.array(EnqueueItem).min(1).max(1000) }),
  output: z.strictObject({
    results: z
      .array(EnqueueResult)
      .describe("In the order of the items; `deduplicated` gives the active run of the key."),
  }),
  errors: ["payload_too_large", "webhook_not_found"],
  async run(context, { items }) {
    const { db, fail } = context;
    const names = [...new Set(items.flatMap(({ webhooks = [] }) => webhooks))];
    if (names.length > 0) {
      const unknown = await db.many(sql.unknownWebhooks, { names });
      if (unknown.length > 0)
        throw fail("webhook_not_found", { webhooks: unknown.map(({ name }) => name) });
    }
    const jobs = items.map((item) => jobOf(item, context).job);
    const results = items.every(isPlain) ? await enqueuePlain(db, jobs) : await enqueue(db, jobs);
    const conflicts = [...results.entries()].filter(
      ([, { outcome }]) => outcome === "idempotency_conflict",
    );
    for (const [index, result] of conflicts.slice(0, COMPARED_MAX))
      if (result.runId !== undefined)
        result.differs = await conflictWith(
          db,
          result.runId,
          jobOf(items[index] as EnqueueItem, context).body,
        );
    return { results };
  },
});

function isPlain({ idempotencyKey, dedupeKey, webhooks = [] }: EnqueueItem): boolean {
  return idempotencyKey === undefined && dedupeKey === undefined && webhooks.length === 0;
}

/** Those that were met are asked about in a second commit: they had been made before. */
async function enqueuePlain(db: Database, jobs: readonly sql.NewJob[]): Promise<EnqueueResult[]> {
  const rows = await db.batch(sql.enqueuePlain, jobs);
  const made = rows.map(({ outcome }) => outcome === "created");
  const others = await enqueue(
    db,
    jobs.filter((_, index) => made[index] !== true),
  );
  const left = others.values();
  return jobs.map(({ runId }, index) =>
    made[index] === true
      ? { runId, status: "queued", outcome: "created" }
      : (left.next().value ?? { outcome: "input_refused" }),
  );
}

async function enqueue(db: Database, jobs: readonly sql.NewJob[]): Promise<EnqueueResult[]> {
  const rows = jobs.length === 0 ? [] : await db.batch(sql.enqueue, jobs);
  return rows.map((row) =>
    "runId" in row
      ? { runId: row.runId, status: row.status, outcome: row.outcome }
      : { outcome: row.outcome },
  );
}

/** The row of a new run, and the body that its idempotency key stands for. */
function jobOf(
  item: EnqueueItem,
  context: Parameters<typeof contentOf>[1] & { readonly actor: Actor },
): { job: sql.NewJob; body: Record<string, unknown> } {
  const { workflow, idempotencyKey, queue, dedupeKey, concurrencyKey, backoff } = item;
  const content = contentOf(item, context, { queue, dedupeKey, concurrencyKey });
  const job = {
    runId: item.runId ?? `run_${uuid()}`,
    ...{ workflow, queue, idempotencyKey, dedupeKey, concurrencyKey },
    input: content.input,
    inputMeta: content.inputMeta,
    metadata: content.metadata,
    tags: JSON.stringify(content.tags),
    webhooks: JSON.stringify(item.webhooks ?? []),
    bodyHash: content.bodyHash,
    priority: item.priority,
    runAt: item.runAt,
    delayMs: item.delayMs,
    ttlMs: item.ttlMs,
    deadlineMs: item.deadlineMs,
    maxAttempts: item.maxAttempts,
    backoffMinMs: backoff?.minMs,
    backoffMaxMs: backoff?.maxMs,
    backoffFactor: backoff?.factor,
    maxSteps: context.limits.steps,
    actor: context.actor.name,
  };
  return { job, body: { ...content.body, workflow, idempotencyKey } };
}

/** Conflicts of one call that are looked into: payloads are read for it. */
const COMPARED_MAX = 100;
