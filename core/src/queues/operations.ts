import { z } from "zod";
import { principalOf } from "../access/rules.ts";
import { claimBesides } from "../claim-besides.ts";
import type { Database } from "../database.ts";
import { isAway } from "../failure.ts";
import { Holder, machineOf } from "../leases/holder.ts";
import { GrantId, LeaseMs } from "../leases/schema.ts";
import { operation } from "../operation.ts";
import { Name } from "../payload.ts";
import * as recovery from "../recovery/sql.ts";
import { RunId, UUID } from "../runs/schema.ts";
import { grantsOf } from "./grant.ts";
import { DeadLetters, Grant, Queue, QueueLimits, QueueName, Worker } from "./schema.ts";
import * as queues from "./sql.ts";

/*
 * A job is a run in `queued`. A slot is a run in `running`: derived, never counted up and down. A queue
 * exists as soon as it is named; its row holds only limits and switches.
 */

export const claimRuns = operation({
  name: "queues.claim",
  summary: "Take the leases of runs that wait in the queue; waits for one when there is none.",
  route: "POST /v1/queues/:queue/claim",
  effect: "write",
  scope: "work",
  fenced: false,
  because: "It makes the leases; a repeat with the same grantId finds its own.",
  input: z.strictObject({
    queue: QueueName,
    grantId: GrantId.describe("Of all runs of this call; a new one for the next."),
    limit: z.int().min(1).max(100).default(1),
    leaseMs: LeaseMs.optional(),
    waitMs: z.int().min(0).max(30_000).default(0).describe("How long to wait for a first run."),
    workflows: z
      .array(Name.min(1))
      .min(1)
      .max(1000)
      .optional()
      .describe("Only runs of these; others stay in the queue."),
    workerId: z
      .string()
      .regex(new RegExp(`^worker_${UUID}$`), "must be worker_ and a lower-case uuid")
      .optional()
      .describe("Made by the worker, to be listed."),
    version: Name.optional().describe("The worker's code version."),
    holder: Holder.optional(),
  }),
  output: z.strictObject({ runs: z.array(Grant).describe("None when the time was over.") }),
  errors: [],
  async run({ db, actor, limits, signal, watch }, { waitMs, ...given }) {
    const call = {
      ...given,
      leaseMs: given.leaseMs ?? limits.leaseMs,
      principal: principalOf(actor),
      machine: given.holder === undefined ? undefined : machineOf(given.holder),
    };
    const until = performance.now() + waitMs;
    const ready = watch.queue(given.queue);
    try {
      for (;;) {
        const claimed = await claimBesides(db, {
          sweep: "claims",
          claim: (only) =>
            db.many(queues.claim, { ...call, runIds: only?.map(({ runId }) => runId) }),
          toClaim: () => db.many(queues.toClaim, { ...call, pushed: false }),
        });
        const leftMs = until - performance.now();
        if (claimed.length > 0 || leftMs <= 0) return { runs: await grantsOf(db, claimed) };
        const isReady = await ready.next(leftMs);
        if (!isReady || signal.aborted) return { runs: [] }; // none came, or nobody hears the answer
      }
    } finally {
      ready.end();
    }
  },
});

export const listQueues = operation({
  name: "queues.list",
  summary: "Every queue by name: its limits, depth, oldest ready age, dead letters and workers.",
  route: "GET /v1/queues",
  effect: "read",
  scope: "read",
  fenced: false,
  because: "It only reads.",
  input: z.strictObject({
    after: z.string().max(200).default("").describe("`nextAfter` of the page before."),
    limit: z.coerce.number().int().min(1).max(200).default(50),
  }),
  output: z.strictObject({ queues: z.array(Queue), nextAfter: z.string().nullable() }),
  errors: [],
  async run({ db }, { after, limit }) {
    const rows = await db.many(queues.list, { after, limit: limit + 1 });
    const page = rows.slice(0, limit);
    return { queues: page, nextAfter: rows.length > limit ? (page.at(-1)?.queue ?? null) : null };
  },
});

export const getQueue = operation({
  name: "queues.get",
  summary: "One queue with the workers that asked for work within a minute.",
  route: "GET /v1/queues/:queue",
  effect: "read",
  scope: "read",
  fenced: false,
  because: "It only reads.",
  input: z.strictObject({ queue: QueueName }),
  output: z.strictObject({ queue: Queue, workers: z.array(Worker) }),
  errors: [],
  async run({ db }, { queue }) {
    return {
      queue: await db.one(queues.get, { queue }),
      workers: await db.many(queues.workers, { queue }),
    };
  },
});

export const updateQueue = operation({
  name: "queues.update",
  summary: "Pause or resume a queue, set or lift its limits, push its runs to a webhook.",
  route: "POST /v1/queues/:queue",
  effect: "write",
  scope: "operate",
  fenced: false,
  because: "An operator's act on the queue; runs that are under way are not touched.",
  input: z.strictObject({
    queue: QueueName,
    paused: z.boolean().optional().describe("Paused: nothing is claimed; what runs goes on."),
    ...QueueLimits.partial().shape,
    webhook: Name.min(1)
      .nullable()
      .optional()
      .describe(
        "Each run is sent to this webhook as `run.invoke`; null: no longer. Workers that claim from the queue get their share.",
      ),
  }),
  output: z.strictObject({ queue: Queue }),
  errors: ["webhook_not_found"],
  async run({ db, actor, fail }, given) {
    const { queue, webhook } = given;
    const updated = await db.maybe(queues.update, {
      ...given,
      actor: actor.name,
      setConcurrency: given.concurrency !== undefined,
      setKeyConcurrency: given.keyConcurrency !== undefined,
      setRatePerMinute: given.ratePerMinute !== undefined,
      setWebhook: webhook !== undefined,
    });
    if (updated === undefined) throw fail("webhook_not_found", { webhooks: [webhook] });
    return { queue: await db.one(queues.get, { queue }) };
  },
});

export const redriveQueue = operation({
  name: "queues.redrive",
  summary: "Queue a queue's dead letters again, with fresh attempts and their checkpoints.",
  route: "POST /v1/queues/:queue/redrive",
  effect: "write",
  scope: "operate",
  fenced: false,
  because: "An operator's act on runs at rest.",
  input: z.strictObject({
    queue: QueueName,
    ...DeadLetters,
    dryRun: z.boolean().default(true),
    limit: z.int().min(1).max(1000).default(1000),
  }),
  output: z.strictObject({
    dryRun: z.boolean(),
    until: z.iso.datetime().describe("Send it back to redrive exactly what was counted."),
    matching: z.int().describe("Dead letters that match and can be queued, at most `limit`."),
    redriven: z.int(),
    skipped: z
      .array(
        z.strictObject({
          runId: RunId,
          code: z.string(),
          activeRunId: RunId.nullable().optional(),
        }),
      )
      .describe("Runs left alone, and why: those after the others that can be queued."),
    more: z.boolean().describe("There are more that can be queued: call again."),
  }),
  errors: [],
  async run({ db, actor, touched }, { dryRun, limit, ...filter }) {
    const rows = await db.many(queues.dead, { ...filter, limit: limit + 1 });
    const free = rows.flatMap((row) =>
      row.runId === null || row.activeRunId !== null ? [] : [row.runId],
    );
    const skipped = rows.flatMap(({ runId, activeRunId }): Skipped[] =>
      runId === null || activeRunId === null
        ? []
        : [{ runId, code: "dedupe_conflict", activeRunId }],
    );
    const runIds = free.slice(0, limit);
    const until = rows[0]?.until ?? "";
    const found = { dryRun, until, matching: runIds.length, more: free.length > limit };
    if (dryRun) return { ...found, redriven: 0, skipped };
    const left = skipped.length;
    for (const runId of runIds) skipped.push(...(await redrive(db, runId, actor.name)));
    touched(runIds);
    return { ...found, redriven: runIds.length - (skipped.length - left), skipped };
  },
});

type Skipped = { runId: string; code: string; activeRunId?: string | null };

/** Nothing, or why the run was left alone; one that is at fault itself stops no other. */
async function redrive(db: Database, runId: string, actor: string): Promise<Skipped[]> {
  try {
    const call = { runId, dryRun: false, onlyFailed: true, actor, reason: "redrive" };
    const acted = await db.maybe(recovery.recover, call);
    if (acted === undefined) return [{ runId, code: "run_not_found" }]; // retention was faster
    if (acted.outcome === "ready") return [];
    const { outcome: code, activeRunId } = acted;
    return [{ runId, code, ...(activeRunId !== null && { activeRunId }) }];
  } catch (failure) {
    if (isAway(failure)) throw failure;
    return [{ runId, code: "input_refused" }];
  }
}
