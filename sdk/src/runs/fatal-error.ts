/** Thrown by a workflow or a step that no repetition can help: it fails at once, whatever attempts are left. */
export class FatalError extends Error {
  override readonly name = "FatalError";
  readonly retryable = false;
}

/** Whether the thrown value says of itself that trying again is no use. Never throws. */
export function isFatal(thrown: unknown): boolean {
  try {
    return thrown instanceof Error && (thrown as { retryable?: unknown }).retryable === false;
  } catch {
    return false; // a revoked Proxy refuses even to be asked
  }
}
