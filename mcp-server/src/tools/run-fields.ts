import { FAILURE_CLASSES, STATUSES } from "@tidebase/core";
import { z } from "zod";
import { Age, age, Instant } from "../answers/time.ts";
import { quote } from "../answers/untrusted.ts";

/** As core makes it: `run_` and a uuid. */
export const RunId = z
  .string()
  .regex(/^run_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, "must be run_ and a lower-case uuid")
  .describe("Id of the run.");

export const Status = z.enum(STATUSES);
export const FailureClass = z.enum(FAILURE_CLASSES);
/** Next steps, in our words. */
export const Hints = z.array(z.string()).optional();

/** What every answer about a run says of it in our words. */
export const runFields = {
  runId: z.string(),
  status: Status,
  failureClass: FailureClass.optional(),
  attempts: z.int(),
  updatedAt: Instant,
  age: Age,
  stalled: z.boolean().optional().describe("Running, but its lease lapsed and nobody took over."),
};

/** What every answer about a run says of it in the words of others. */
export const foreignRunFields = {
  runId: z.string(),
  workflow: z.string(),
  tags: z.array(z.string()).optional(),
  error: z.string().optional(),
};

interface Run {
  readonly runId: string;
  readonly workflow: string;
  readonly status: (typeof STATUSES)[number];
  readonly failureClass: (typeof FAILURE_CLASSES)[number] | null;
  readonly attempts: number;
  readonly tags: readonly string[];
  readonly updatedAt: string;
  readonly leaseOver: boolean;
  readonly errorMessage: string | null;
}

/** The members of `runFields`. */
export function ofRun(run: Run): z.output<z.ZodObject<typeof runFields>> {
  const { runId, status, failureClass, attempts, updatedAt, leaseOver } = run;
  return {
    runId,
    status,
    ...(failureClass === null ? {} : { failureClass }),
    attempts,
    updatedAt,
    age: age(updatedAt),
    ...(leaseOver ? { stalled: true } : {}),
  };
}

const NAME_LENGTH = 200;
const TAG_LENGTH = 40;

/** The members of `foreignRunFields`; `text` caps the error. */
export function foreignOfRun(
  { runId, workflow, tags, errorMessage }: Run,
  text: number,
): z.output<z.ZodObject<typeof foreignRunFields>> {
  return {
    runId,
    workflow: quote(workflow, Math.min(text, NAME_LENGTH)),
    ...(tags.length === 0 ? {} : { tags: tags.map((tag) => quote(tag, TAG_LENGTH)) }),
    ...(errorMessage === null ? {} : { error: quote(errorMessage, text) }),
  };
}

/** A member that is left out rather than null or empty. */
export function optional<Name extends string, Value>(
  name: Name,
  value: Value | null | undefined,
): { [Key in Name]?: Value } {
  const empty =
    value === null || value === undefined || (Array.isArray(value) && value.length === 0);
  return empty ? {} : ({ [name]: value } as { [Key in Name]?: Value });
}
