import { ErrorCode } from "@modelcontextprotocol/sdk/types.js";
import type { ToolError } from "./tool-error.ts";

/** The protocol's own, which the SDK has no name for. */
const RESOURCE_NOT_FOUND = -32002;

const CODES: Readonly<Record<string, number>> = {
  resource_not_found: RESOURCE_NOT_FOUND,
  page_not_found: RESOURCE_NOT_FOUND,
  run_not_found: RESOURCE_NOT_FOUND,
  gate_not_found: RESOURCE_NOT_FOUND,
  version_not_found: RESOURCE_NOT_FOUND,
  input_invalid: ErrorCode.InvalidParams,
  prompt_not_found: ErrorCode.InvalidParams,
  completion_not_found: ErrorCode.InvalidParams,
  resource_not_followed: ErrorCode.InvalidParams,
  subscriptions_too_many: ErrorCode.InvalidParams,
};

/** A failure where the protocol knows no answer but an error; the SDK sends code, message and data. */
export class ProtocolError extends Error {
  override readonly name = "ProtocolError";
  readonly code: number;
  readonly data: ToolError;

  constructor(error: ToolError) {
    super(`${error.message} ${error.fix}`);
    this.code = CODES[error.code] ?? ErrorCode.InternalError;
    this.data = error;
  }
}
