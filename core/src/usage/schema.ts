import { z } from "zod";
import { unread } from "../json-text.ts";
import { JsonObject, Name } from "../payload.ts";
import { RunId } from "../runs/schema.ts";
import { readMoment } from "./rules.ts";

const Decimal = z.union([
  z
    .string()
    .regex(
      /^\d{1,12}(?:\.\d{1,12})?$/,
      "must be a decimal of at most 12 digits before the point and 12 after",
    ),
  z.number().min(0).lt(1e12),
]);

const Tokens = z.int().min(0).max(1_000_000_000).optional();

const Word = Name.min(1);

/** What a record may say; at least one of `FIGURES` among it. */
export const Figures = {
  kind: Word.describe("What was used, such as `llm`, `search` or `gpu`."),
  provider: Word.optional(),
  model: Word.optional(),
  label: Word.optional().describe("What it was used for."),
  quantity: Decimal.optional().describe("How much of `unit`, of what is not counted in tokens."),
  unit: Word.optional(),
  inputTokens: Tokens,
  outputTokens: Tokens,
  totalTokens: Tokens.describe("Input and output together, unless given."),
  costUsd: Decimal.optional().describe(
    "Text is kept exactly; a number, which is a double, is rounded to 12 places.",
  ),
  metadata: JsonObject.optional(),
};

export const FIGURES = [
  "quantity",
  "inputTokens",
  "outputTokens",
  "totalTokens",
  "costUsd",
] as const;

const Amount = z.string().describe("An exact decimal without trailing zeros.");

/** One record, as it was written. */
export const UsageRecord = z.strictObject({
  runId: RunId,
  seq: z.int().describe("The number of its event."),
  at: z.iso.datetime(),
  kind: z.string(),
  provider: z.string().nullable(),
  model: z.string().nullable(),
  label: z.string().nullable(),
  quantity: Amount.nullable(),
  unit: z.string().nullable(),
  inputTokens: z.int().nullable(),
  outputTokens: z.int().nullable(),
  totalTokens: z.int().nullable(),
  costUsd: Amount.nullable(),
  metadata: unread(JsonObject.nullable()),
});

/** Sums over records. */
export const UsageSums = z.strictObject({
  records: z.int(),
  withoutCost: z.int().describe("Records that name no cost: `costUsd` leaves them out."),
  costUsd: Amount,
  inputTokens: z.int(),
  outputTokens: z.int(),
  totalTokens: z.int(),
  quantities: z
    .array(z.strictObject({ unit: z.string().nullable(), quantity: Amount }))
    .describe("By unit, the most recorded first, at most twenty."),
  moreUnits: z.boolean().describe("There are more units than these."),
});

export type UsageSums = z.output<typeof UsageSums>;

/** What totals are grouped by. */
export const USAGE_GROUPS = ["day", "workflow", "model", "provider", "kind", "label"] as const;

export const Moment = z
  .string()
  .max(40)
  .refine(
    (text) => readMoment(text) !== undefined,
    "must be an instant such as 2026-11-01T12:00:00Z, a day such as 2026-11-01, or a time before now such as 24h",
  );
