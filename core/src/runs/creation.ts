import { z } from "zod";
import { payloadText } from "../json-text.ts";
import type { Limits } from "../limits.ts";
import { checkPayload, JsonObject, Name, Payload } from "../payload.ts";
import { hash } from "./identity.ts";
import { RunId } from "./schema.ts";

export const Tag = Name.min(1).max(100);

/** Up to a year. */
export const DeadlineMs = z
  .int()
  .min(1)
  .max(31_622_400_000)
  .describe("Not final so many milliseconds after its creation: cancelled, reason `deadline`.");

/** What every new run can be made of, whoever makes it. */
export const Creation = {
  workflow: Name.min(1).describe("Name of the workflow; its code lives with the caller."),
  input: Payload.optional(),
  inputMeta: Payload.optional().describe("What JSON cannot say of the input; made by the SDK."),
  tags: z.array(Tag).max(20).default([]).describe("Short words to filter by."),
  metadata: JsonObject.optional(),
  deadlineMs: DeadlineMs.optional(),
};

/** What a run that is made on its own can be made of besides. */
export const OwnCreation = {
  runId: RunId.optional().describe("Made by the caller; else by the server."),
  ...Creation,
  idempotencyKey: Name.min(1)
    .optional()
    .describe("The same key and body find the same run, for the run's whole life."),
  webhooks: z
    .array(Name.min(1))
    .max(20)
    .optional()
    .describe("Names of the webhooks that follow this run, besides those that follow every run."),
};

interface Given {
  readonly input?: unknown;
  readonly inputMeta?: unknown;
  readonly metadata?: unknown;
  readonly tags: readonly string[];
  readonly webhooks?: readonly string[] | undefined;
}

/**
 * The content of a new run: the body that an idempotency key stands for (with `more`, what else it
 * stands for), its hash, and the payloads as text. Throws `payload_too_large`.
 */
export function contentOf(
  given: Given,
  context: Parameters<typeof checkPayload>[2] & { readonly limits: Limits },
  more: object = {},
) {
  const tags = [...new Set(given.tags)].sort();
  const webhooks = given.webhooks === undefined ? undefined : [...new Set(given.webhooks)].sort();
  const body = {
    input: given.input,
    inputMeta: given.inputMeta,
    metadata: given.metadata,
    tags,
    ...(webhooks !== undefined && { webhooks }),
    ...more,
  };
  const input = payloadText(given.input);
  const inputMeta = payloadText(given.inputMeta);
  const metadata = payloadText(given.metadata);
  checkPayload("input", [input, inputMeta], context);
  checkPayload("metadata", [metadata], context);
  return { body, bodyHash: hash(body), tags, input, inputMeta, metadata };
}
