import { z } from "zod";
import { ChildKey, ChildName } from "../children/schema.ts";
import { GateId } from "../gates/schema.ts";
import { Name } from "../payload.ts";
import { StepKey, StepName } from "../steps/schema.ts";

export const SignalName = Name.min(1).describe("Name of the signal.");

const Place = z.strictObject({ name: StepName, key: StepKey });

/** All that a run waits for; the first to happen wakes it. */
export const Waits = z
  .strictObject({
    gates: z.array(GateId).max(1000).default([]),
    timers: z.array(Place).max(1000).default([]).describe("Set before with `timers.set`."),
    retries: z
      .array(Place)
      .max(1000)
      .default([])
      .describe("Failed steps, until their backoff is over."),
    signals: z.array(SignalName).max(1000).default([]),
    children: z
      .array(z.strictObject({ name: ChildName, key: ChildKey }))
      .max(1000)
      .default([])
      .describe("Until one has ended: completed, cancelled or failed."),
    joins: z
      .array(z.strictObject({ name: ChildName, mode: z.enum(["all", "any"]) }))
      .max(1000)
      .default([])
      .describe(
        "Until all children of a name have ended; or any of them has completed, or none is open.",
      ),
  })
  .refine(
    (waits) => Object.values(waits).some((some) => some.length > 0),
    "must name something to wait for",
  );
export type Waits = z.output<typeof Waits>;

/** Up to ten years. */
export const WaitMs = z.int().min(0).max(315_576_000_000);
