import { FAILURE_CLASSES, STATUSES } from "@tidebase/core";
import { z } from "zod";
import { Age, age, Instant } from "../answers/time.ts";
import { quote } from "../answers/untrusted.ts";

const RUN_ID = /^run_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** As core makes it. Checked without a pattern in the schema, since agents pay for it in every tool. */
export const RunId = z
  .string()
  .max(40)
  .refine((text) => RUN_ID.test(text), "must be run_ and a lower-case uuid");

/** An instant; checked likewise. */
export const Since = z
  .string()
  .max(40)
  .refine(
    (text) => z.iso.datetime({ offset: true }).safeParse(text).success,
    "must be an instant such as 2026-01-31T12:00:00Z",
  );

/** Kept with the act. */
export const Reason = z.string().min(1).max(200);

/** A name or key as people write them. */
export const Name = z.string().min(1).max(200);

/** A JSON object, handed on as it came: zod's own would lose a member named `__proto__`. */
export const JsonObject = z
  .unknown()
  .refine((value) => typeof value === "object" && value !== null && !Array.isArray(value), {
    error: "must be a JSON object",
  })
  .meta({ type: "object" }) as z.ZodType<unknown> as z.ZodType<Record<string, unknown>>;

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
  parentRunId: z.string().optional().describe("The run whose child this is."),
};

/** What every answer about a run says of it in the words of others. */
export const foreignRunFields = {
  runId: z.string(),
  workflow: z.string(),
  queue: z.string().optional(),
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
  readonly queue: string | null;
  readonly parentRunId: string | null;
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
    ...optional("parentRunId", run.parentRunId),
  };
}

const NAME_LENGTH = 200;
const TAG_LENGTH = 40;

/** The members of `foreignRunFields`; `text` caps the error. */
export function foreignOfRun(
  { runId, workflow, queue, tags, errorMessage }: Run,
  text: number,
): z.output<z.ZodObject<typeof foreignRunFields>> {
  return {
    runId,
    workflow: quote(workflow, Math.min(text, NAME_LENGTH)),
    ...(queue === null ? {} : { queue: quote(queue, Math.min(text, NAME_LENGTH)) }),
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
