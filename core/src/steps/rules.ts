import { type JsonText, payloadText } from "../json-text.ts";
import { STEP_INPUT_BYTES } from "../limits.ts";
import type { Contract, OnUnknown } from "./schema.ts";

/** Whether a step says that it changes nothing outside. */
export function onlyReads({ sideEffects = [] }: Contract): boolean {
  return sideEffects.every((effect) => effect === "read");
}

/**
 * What a final failure, or "begun and never finished", means for a step: the outcome table of
 * model.md §3. Decided by the server alone, from the declared contract.
 */
export function onUnknown(contract: Contract = {}): OnUnknown {
  if (contract.replay === "never") return "failed";
  if (contract.replay === "manual") return "manual_review";
  if (contract.replay === "auto") return "failed_retryable";
  if (!onlyReads(contract) && contract.idempotencyKey === undefined) return "manual_review";
  return "failed_retryable";
}

/** What is kept of a step's declarations: no empty contract, and no input above 64 KiB. */
export function keptOf({ input, contract }: { input?: unknown; contract?: Contract | undefined }): {
  input: JsonText | undefined;
  contract: Contract | undefined;
} {
  const text = payloadText(input);
  const declared = contract !== undefined && Object.keys(contract).length > 0;
  return {
    input: text !== undefined && text.bytes <= STEP_INPUT_BYTES ? text : undefined,
    contract: declared ? contract : undefined,
  };
}
