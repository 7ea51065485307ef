import { TidebaseError } from "../errors.ts";
import { OVER, sleep } from "../pause.ts";

/** What the function of a step is given. */
export interface StepContext {
  /** Aborted when the step's time is over, or the run is lost, cancelled or given up. */
  readonly signal: AbortSignal;
  /** Counts from 1, also over the workers that tried before. */
  readonly attempt: number;
  /** The key of the step's contract, for the system that the step calls. */
  readonly idempotencyKey: string | undefined;
}

/** The function of a step. What it returns is recorded. */
export type StepWork<Output> = (context: StepContext) => Output | Promise<Output>;

/** How one call of the function ended. */
export type Ended =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly error: unknown; readonly reason: "error" | "timeout" };

/**
 * Calls the function once. When its time is over its signal is aborted; it is then waited for until
 * it settles, so that it never runs beside its retry, and a value that it returns all the same
 * counts: its effect has happened. Only a last attempt is not waited for.
 */
export async function callStep(
  work: StepWork<unknown>,
  context: StepContext,
  timeoutMs: number | undefined,
  isLast: boolean,
): Promise<Ended> {
  if (timeoutMs === undefined) return settle(work, context);
  const timeout = new AbortController();
  const stop = () => timeout.abort(context.signal.reason);
  context.signal.addEventListener("abort", stop, { once: true });
  const late = new TidebaseError("step_timeout", `The step did not end within ${timeoutMs} ms.`, {
    timeoutMs,
  });
  const settled = settle(work, { ...context, signal: timeout.signal });
  const clock = new AbortController();
  const overdue = sleep(timeoutMs, clock.signal).then(
    () => {
      timeout.abort(late);
      return isLast ? { ok: false as const, error: late, reason: "timeout" as const } : settled;
    },
    () => settled,
  );
  const ended = await Promise.race([settled, overdue]);
  clock.abort(OVER);
  context.signal.removeEventListener("abort", stop);
  return !ended.ok && timeout.signal.reason === late
    ? { ok: false, error: late, reason: "timeout" }
    : ended;
}

async function settle(work: StepWork<unknown>, context: StepContext): Promise<Ended> {
  try {
    return { ok: true, value: await work(context) };
  } catch (error) {
    return { ok: false, error, reason: "error" };
  }
}
