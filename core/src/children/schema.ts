import { z } from "zod";
import { Name, StoredPayload } from "../payload.ts";
import { QueueName } from "../queues/schema.ts";
import { Creation } from "../runs/creation.ts";
import { FAILURE_CLASSES, RunId, Status } from "../runs/schema.ts";

/** Children of one run: as many as steps. */
export const CHILDREN_MAX = 10_000;
/** Runs from the root of a tree down to its deepest child. */
export const LEVELS_MAX = 32;

export const ChildName = Name.min(1).describe(
  "Name of the child; all children of one name are a fan-out.",
);
export const ChildKey = Name.default("").describe("Tells children of one name apart.");

/** What only a run of a queue can have. */
const QUEUED = ["priority", "maxAttempts", "concurrencyKey", "keyLimit", "delayMs"] as const;

/** A child as its parent asks for it: no idempotency key, for its name and key are one. */
export const NewChild = z
  .strictObject({
    name: ChildName,
    key: ChildKey,
    ...Creation,
    queue: QueueName.optional().describe(
      "Workers of this queue run it; without one the parent's process begins it.",
    ),
    priority: z.int().min(-100).max(100).optional().describe("A point is worth a minute of age."),
    maxAttempts: z.int().min(1).max(1000).optional().describe("3 by default."),
    concurrencyKey: Name.min(1).optional().describe("Runs of the queue that share a limit."),
    keyLimit: z
      .int()
      .min(1)
      .max(1_000_000)
      .optional()
      .describe("How many runs of the concurrency key may run at once: a fan-out's limit."),
    delayMs: z.int().min(0).max(315_576_000_000).optional().describe("Not claimed before."),
    detached: z.boolean().default(false).describe("Goes on when its parent is cancelled."),
    fanoutSize: z
      .int()
      .min(1)
      .max(1_000_000)
      .optional()
      .describe(
        "All children of its name, if they take several calls: none is created unless all have room.",
      ),
  })
  .refine(
    (child) => child.queue !== undefined || QUEUED.every((option) => child[option] === undefined),
    `only a child with a queue takes ${QUEUED.join(", ")}`,
  )
  .refine(
    (child) => child.keyLimit === undefined || child.concurrencyKey !== undefined,
    "keyLimit limits a concurrencyKey: give one",
  );
export type NewChild = z.output<typeof NewChild>;

/** What `children.create` answers for an item, in the order of the items. */
export const CreatedChild = z.strictObject({
  runId: RunId,
  outcome: z
    .enum(["created", "existing", "child_mismatch"])
    .describe("`child_mismatch`: the name and key belong to a child of another workflow or body."),
  status: Status,
});

/** A child as its parent sees it. */
export const Child = z.strictObject({
  name: z.string(),
  key: z.string(),
  ordinal: z.int().describe("Its place among all children of the run, as they were created."),
  runId: RunId,
  workflow: z.string(),
  status: Status,
  ended: z.boolean().describe("Completed, cancelled or failed."),
  failureClass: z.enum(FAILURE_CLASSES).nullable(),
  errorMessage: z.string().nullable(),
  result: StoredPayload.optional(),
  resultMeta: StoredPayload.optional(),
  error: StoredPayload.optional().describe("The failure that ended its last attempt."),
});
export type Child = z.output<typeof Child>;
