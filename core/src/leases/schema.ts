import { z } from "zod";
import { Name, Payload } from "../payload.ts";
import { RunId, UUID } from "../runs/schema.ts";

export const GrantId = z
  .string()
  .regex(new RegExp(`^grant_${UUID}$`), "must be grant_ and a lower-case uuid")
  .describe("Made by the worker: a repeated call finds its own grant.");

/** What every write of a worker carries. */
export const Lease = z.strictObject({ runId: RunId, epoch: z.int().min(0), grantId: GrantId });
export type Lease = z.output<typeof Lease>;

/** The outcomes of an item whose lease is not the run's present one, or whose own data failed. */
export const REFUSALS = ["run_not_found", "run_cancelled", "lease_lost", "input_refused"] as const;

export const LeaseMs = z
  .int()
  .min(100)
  .max(3_600_000)
  .describe("Length of the lease in milliseconds.");

export const OrphanedSteps = z
  .array(z.strictObject({ name: Name, key: Name }))
  .max(50)
  .default([])
  .describe("Recorded steps this attempt never asked for, although it runs other code.");

/** The end of a run with its result. */
export const RunCompletion = z.strictObject({
  ...Lease.shape,
  result: Payload.optional(),
  resultMeta: Payload.optional(),
  orphanedSteps: OrphanedSteps,
});

/** What `runs.complete` answers for an item. */
export const RunCompleteOutcome = z.enum(["completed", "result_too_large", ...REFUSALS]);
