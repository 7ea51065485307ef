import { type Backend, totalUsage } from "@tidebase/core";
import { z } from "zod";
import { ask } from "../answers/plain.ts";

/** Sums of usage; all of it is numbers, so none of it is foreign. */
export const UsageSums = z.object({
  costUsd: z.string(),
  inputTokens: z.int(),
  outputTokens: z.int(),
  records: z.int(),
  withoutCost: z.int().optional().describe("Records that costUsd leaves out."),
});

/** Undefined when nothing was recorded. */
export async function usageSums(
  backend: Backend,
  which: { runId: string; tree?: "true" } | { since: string },
): Promise<z.output<typeof UsageSums> | undefined> {
  const { total } = await ask(backend, totalUsage, which);
  const { costUsd, inputTokens, outputTokens, records, withoutCost } = total as Required<
    z.output<typeof UsageSums>
  >;
  if (records === 0) return undefined;
  const unpriced = withoutCost === 0 ? {} : { withoutCost };
  return { costUsd, inputTokens, outputTokens, records, ...unpriced };
}
