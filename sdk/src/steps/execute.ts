import { decode } from "../encoding/encoding.ts";
import type { HeldLease } from "../leases/lease.ts";
import type { Lanes } from "../transport/lanes.ts";
import type { Activity } from "../waits/activity.ts";
import { SHORT_WAIT_MS, type Waits } from "../waits/waits.ts";
import { callStep, type Ended } from "./call.ts";
import { currentStep } from "./current.ts";
import type { Doing, StepItem } from "./item.ts";
import type { Outcomes } from "./outcome.ts";
import { called } from "./refusals.ts";

/** What the steps of one attempt are executed with. */
export interface Executing {
  readonly held: HeldLease;
  readonly lanes: Lanes;
  readonly activity: Activity;
  readonly waits: Waits;
  readonly outcomes: Outcomes;
  /** When the attempt began, by `performance.now()`. */
  readonly begunAt: number;
}

/** A step that takes longer is announced in the background, so that people see it running. */
const ANNOUNCE_AFTER_MS = 50;

/**
 * Attempts until one succeeds or the policy is spent: gives the output as it was recorded, or throws
 * what the last attempt threw. `retryInMs` is what was left of a pause when the run was begun.
 */
export async function execute(
  executing: Executing,
  doing: Doing,
  retryInMs: number,
): Promise<unknown> {
  const { outcomes, begunAt } = executing;
  const restMs = retryInMs - (performance.now() - begunAt);
  if (restMs > 0) await pause(executing, doing.item, restMs);
  for (;;) {
    if (doing.asks) {
      const begun = await begin(executing, doing);
      if (begun !== undefined) return begun.value;
    }
    const ended = await call(executing, doing);
    if (ended.ok) return await outcomes.complete(doing, ended.value);
    const nextInMs = await outcomes.fail(doing, ended);
    if (nextInMs === undefined) throw ended.error;
    await pause(executing, doing.item, nextInMs);
    doing.attempt += 1;
  }
}

/** A long one is no work: the run may be suspended for it. */
async function pause(
  { activity, waits }: Executing,
  { name, key }: StepItem,
  ms: number,
): Promise<void> {
  if (ms <= SHORT_WAIT_MS || waits.blocks) return waits.pause(ms);
  const dueAt = performance.now() + ms;
  const says = `the next attempt at step ${called({ name, key })}`;
  const pausing = waits.until({ retry: { name, key }, says }, undefined, async () => {
    const leftMs = dueAt - performance.now();
    return leftMs <= 0 ? { value: undefined } : { leftMs };
  });
  activity.ended();
  return pausing.finally(() => activity.began());
}

/** The recorded value when the step turns out to be completed; undefined to execute it. */
async function begin(
  { held, lanes, outcomes }: Executing,
  { item, attempt }: Doing,
): Promise<{ value: unknown } | undefined> {
  const { signal } = held;
  const asked = lanes.begin(`{${item.members},"attempt":${attempt}}`);
  const begun = await untilAborted(signal, asked);
  if (begun.outcome === "execute") {
    signal.throwIfAborted();
    return undefined;
  }
  if (begun.outcome === "replayed")
    return { value: decode(begun.output ?? null, begun.outputMeta ?? null) };
  if (begun.outcome === "input_mismatch")
    throw await outcomes.mismatch(item, begun.inputHash, begun);
  throw outcomes.refused(begun.outcome, item);
}

/** A step that is not announced is, after a while, for people to see. */
async function call(
  { held, lanes, outcomes }: Executing,
  { item, contract, work, asks, attempt, failures }: Doing,
): Promise<Ended> {
  const { lease, signal } = held;
  const context = { signal, attempt, idempotencyKey: contract.idempotencyKey };
  const announce = () => {
    lanes.begin(`{${item.members},"attempt":${attempt}}`).then(
      ({ outcome }) => {
        if (outcome === "lease_lost" || outcome === "run_cancelled")
          outcomes.refused(outcome, item);
      },
      () => {}, // nobody depends on it: the completion says the same and more
    );
  };
  const timer = asks ? undefined : setTimeout(announce, ANNOUNCE_AFTER_MS);
  const isLast = failures + 1 >= (contract.retry?.maxAttempts ?? 1);
  const here = { lease, name: item.name, key: item.key, attempt, writes: 0 };
  try {
    return await currentStep.run(here, () => callStep(work, context, contract.timeoutMs, isLast));
  } finally {
    clearTimeout(timer);
  }
}

/** Stops waiting as soon as the attempt is given up; for what comes before an effect, or goes on alone. */
export function untilAborted<Value>(signal: AbortSignal, asked: Promise<Value>): Promise<Value> {
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal.reason);
    signal.addEventListener("abort", stop, { once: true });
    asked.then(resolve, reject).finally(() => signal.removeEventListener("abort", stop));
  });
}
