import type { ErrorCode } from "./operations.gen.ts";

/** Codes of the server, and what the SDK itself refuses. */
export type SdkErrorCode =
  | ErrorCode
  | "child_cancelled"
  | "child_failed"
  | "child_mismatch"
  | "client_closed"
  | "config_invalid"
  | "duplicate_step"
  | "fanout_failed"
  | "gate_not_json"
  | "input_mismatch"
  | "manual_review_required"
  | "output_too_large"
  | "run_failed"
  | "run_released"
  | "run_suspended"
  | "server_answer_invalid"
  | "server_unreachable"
  | "signal_invalid"
  | "signal_not_json"
  | "state_not_json"
  | "step_failed"
  | "step_timeout"
  | "undecodable_output"
  | "unserializable_output"
  | "usage_not_json"
  | "workflow_not_registered"
  | "workflow_registered_twice";

/**
 * Every failure of a call. The message says what to do next; `data` holds the members of the
 * server's problem, such as `leaseLeftMs` or `requestId`.
 */
export class TidebaseError extends Error {
  override readonly name = "TidebaseError";
  readonly code: SdkErrorCode;
  readonly data: Readonly<Record<string, unknown>>;

  constructor(
    code: SdkErrorCode,
    message: string,
    data: Readonly<Record<string, unknown>> = {},
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.code = code;
    this.data = data;
  }
}

/** Whether the value is a TidebaseError of one of these codes. Never throws. */
export function isTidebaseError(
  error: unknown,
  ...codes: readonly SdkErrorCode[]
): error is TidebaseError {
  try {
    return error instanceof TidebaseError && (codes.length === 0 || codes.includes(error.code));
  } catch {
    return false; // a revoked Proxy refuses even to be asked
  }
}

/** A foreign message as a sentence of ours: ended by its own punctuation, or by a full stop. */
export const sentence = (message: string): string =>
  /[.!?…]$/.test(message) ? message : `${message}.`;
