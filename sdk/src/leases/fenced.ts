import type { Connection } from "../connection.ts";
import { isTidebaseError, type TidebaseError } from "../errors.ts";
import type { Operations } from "../operations.gen.ts";
import type { HeldLease } from "./lease.ts";

/** The writes under a lease that are sent alone. */
export type Fenced =
  | "children.create"
  | "gates.open"
  | "runs.deadline"
  | "signals.take"
  | "state.label"
  | "state.write"
  | "timers.set"
  | "usage.record";

/** Whether the error says that nothing more can be recorded under the lease. */
export function isLoss(error: unknown): error is TidebaseError {
  return isTidebaseError(error, "lease_lost", "run_cancelled", "run_not_found");
}

/** A write under the lease, sent until it is answered; a refusal of the lease ends the attempt. */
export async function fenced<Name extends Fenced>(
  { call, config }: Connection,
  held: HeldLease,
  name: Name,
  input: Operations[Name]["input"],
): Promise<Operations[Name]["output"]> {
  const { signal } = held;
  signal.throwIfAborted();
  try {
    return await call(name, input, { patienceMs: config.giveUpAfterMs, signal });
  } catch (error) {
    if (isLoss(error)) held.lose(error);
    throw error;
  }
}
