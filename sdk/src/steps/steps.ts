import { decode, encode } from "../encoding/encoding.ts";
import { isTidebaseError, type TidebaseError } from "../errors.ts";
import { lineOf, recordFailure } from "../failure.ts";
import { type HeldLease, lossOf } from "../leases/lease.ts";
import { sleep } from "../pause.ts";
import type { Lanes } from "../transport/lanes.ts";
import type { Activity } from "../waits/activity.ts";
import type { Waits } from "../waits/waits.ts";
import { callStep, type Ended, type StepWork } from "./call.ts";
import { checkWork, declare, isAnnounced, retryInMs, type StepContract } from "./contract.ts";
import { currentStep } from "./current.ts";
import { type StepItem, stepItem } from "./item.ts";
import type { Claimed, JournalEntry, Recorded } from "./recorded.ts";
import {
  called,
  hashesDiffer,
  mismatch,
  outputTooLarge,
  type Refusal,
  refusedStep,
  tooLargeToSend,
} from "./refusals.ts";

/**
 * Runs `work` once in the life of the run and remembers what it returned. What the caller gets is
 * the value as it was recorded, the first time as on every replay.
 *
 * A step whose time is over (`timeoutMs`) has its signal aborted. Its retry begins only once its
 * function has settled; what it returns after its time counts as done. Only the last attempt is not
 * waited for: its failure is recorded at once, and a function that ignores its signal goes on.
 */
export interface Step {
  <Output>(name: string, work: StepWork<Output>): Promise<Output>;
  <Output>(name: string, contract: StepContract, work: StepWork<Output>): Promise<Output>;
}

/** Reads the stored input of a recorded step as JSON; undefined when it was not stored. */
export type ReadInput = (name: string, key: string) => Promise<unknown>;

/** A step that takes longer is announced in the background, so that people see it running. */
const ANNOUNCE_AFTER_MS = 50;

/** A longer pause before the next attempt suspends the run (model.md §17). */
const LONGEST_PAUSE_MS = 30_000;

/** How the steps of one attempt failed, for the failure of the run. */
export type StepFailureClass = "step_failed" | "manual_review";

type Doing = {
  readonly item: StepItem;
  readonly contract: StepContract;
  readonly work: StepWork<unknown>;
  /** Whether the server is asked, and told, before the function is called. */
  asks: boolean;
  attempt: number;
  failures: number;
};

/** The steps of one attempt: replays what is recorded, executes and records the rest. */
export class Steps {
  readonly #held: HeldLease;
  readonly #recorded: Recorded;
  readonly #lanes: Lanes;
  readonly #readInput: ReadInput;
  readonly #activity: Activity;
  readonly #waits: Waits;
  readonly #begunAt = performance.now();
  readonly #inFlight = new Map<Promise<unknown>, string>();
  readonly #failures = new Map<unknown, StepFailureClass>();

  constructor(
    held: HeldLease,
    recorded: Recorded,
    lanes: Lanes,
    readInput: ReadInput,
    { activity, waits }: { readonly activity: Activity; readonly waits: Waits },
  ) {
    this.#held = held;
    this.#recorded = recorded;
    this.#lanes = lanes;
    this.#readInput = readInput;
    this.#activity = activity;
    this.#waits = waits;
  }

  readonly step: Step = <Output>(
    name: string,
    ...rest: [StepWork<Output>] | [StepContract, StepWork<Output>]
  ) => {
    const [contract, work] = rest.length === 2 ? rest : [{}, rest[0]];
    return this.#step(name, contract, work) as Promise<Output>;
  };

  /** Names of the steps whose functions are still running. */
  get inFlight(): string[] {
    return [...this.#inFlight.values()];
  }

  /** Resolves when no step is in flight any more, however each of them ended. */
  async settled(): Promise<void> {
    while (this.#inFlight.size > 0) await Promise.allSettled(this.#inFlight.keys());
  }

  /** How a step failed whose failure is this very value. */
  failureClassOf(thrown: unknown): StepFailureClass | undefined {
    if (isTidebaseError(thrown, "manual_review_required")) return "manual_review";
    return this.#failures.get(thrown);
  }

  /**
   * Takes the identity of a sleep or a wait, which are steps without a function. Throws
   * `duplicate_step`.
   */
  claim(name: string, key: string): Claimed {
    declare(name, { key });
    return this.#recorded.claim(name, key);
  }

  /** Records such a step as completed, with null for its output. */
  async note({ name, unfinished }: Claimed, key: string): Promise<void> {
    while (this.#activity.hold !== undefined) await this.#activity.hold;
    const item = stepItem(this.#held.lease, name, { key }, undefined);
    const attempt = (unfinished?.attempt ?? 0) + 1;
    const recorded = this.#lanes
      .complete(`{${item.members},"attempt":${attempt},"output":null}`)
      .then(({ outcome }) => {
        if (outcome !== "completed") throw this.#refused(outcome, item);
      });
    await this.#tracked(recorded, name);
  }

  async #step(name: string, contract: StepContract, work: StepWork<unknown>): Promise<unknown> {
    checkWork(name, contract, work);
    const declared = declare(name, contract);
    const claimed = this.#recorded.claim(name, contract.key ?? "", contract.was);
    const item = stepItem(this.#held.lease, claimed.name, contract, declared);
    if (claimed.entry !== undefined) return this.#replay(item, claimed.entry);
    while (this.#activity.hold !== undefined) await this.#activity.hold;
    this.#held.signal.throwIfAborted();
    const { unfinished } = claimed;
    const doing: Doing = {
      ...{ item, contract, work, attempt: (unfinished?.attempt ?? 0) + 1 },
      failures: unfinished?.failures ?? 0,
      asks: unfinished !== undefined || this.#recorded.isPartial || isAnnounced(contract),
    };
    return this.#tracked(this.#execute(doing, unfinished?.retryInMs ?? 0), name);
  }

  /** In flight until it has settled: the lease is not given away meanwhile. */
  #tracked<Value>(execution: Promise<Value>, name: string): Promise<Value> {
    this.#inFlight.set(execution, name);
    this.#activity.began();
    const landed = () => {
      this.#inFlight.delete(execution);
      this.#activity.ended();
    };
    execution.then(landed, landed);
    return this.#held.guard(execution);
  }

  async #replay(item: StepItem, entry: JournalEntry): Promise<unknown> {
    if (hashesDiffer(item.inputHash, entry.inputHash))
      throw await this.#mismatch(item, entry.inputHash);
    return decode(entry.output, entry.outputMeta ?? null);
  }

  /** Attempts until one succeeds or the policy is spent. */
  async #execute(doing: Doing, retryInMs: number): Promise<unknown> {
    const restMs = retryInMs - (performance.now() - this.#begunAt);
    if (restMs > 0) await this.#pause(doing.item, restMs);
    for (;;) {
      if (doing.asks) {
        const begun = await this.#begin(doing);
        if (begun !== undefined) return begun.value;
      }
      const ended = await this.#call(doing);
      if (ended.ok) return await this.#complete(doing, ended.value);
      const pause = await this.#fail(doing, ended);
      if (pause === undefined) throw ended.error;
      await this.#pause(doing.item, pause);
      doing.attempt += 1;
    }
  }

  /** A long one is no work: the run may be suspended for it. */
  async #pause({ name, key }: StepItem, ms: number): Promise<void> {
    if (ms <= LONGEST_PAUSE_MS || this.#waits.blocks) return sleep(ms, this.#held.signal);
    const dueAt = performance.now() + ms;
    const says = `the next attempt at step ${called({ name, key })}`;
    const pausing = this.#waits.until({ retry: { name, key }, says }, undefined, async () => {
      const leftMs = dueAt - performance.now();
      return leftMs <= 0 ? { value: undefined } : { leftMs };
    });
    this.#activity.ended();
    return pausing.finally(() => this.#activity.began());
  }

  /** The recorded value when the step turns out to be completed; undefined to execute it. */
  async #begin({ item, attempt }: Doing): Promise<{ value: unknown } | undefined> {
    const begun = await this.#untilAborted(
      this.#lanes.begin(`{${item.members},"attempt":${attempt}}`),
    );
    if (begun.outcome === "execute") {
      this.#held.signal.throwIfAborted();
      return undefined;
    }
    if (begun.outcome === "replayed")
      return { value: decode(begun.output ?? null, begun.outputMeta ?? null) };
    if (begun.outcome === "input_mismatch")
      throw await this.#mismatch(item, begun.inputHash, begun);
    throw this.#refused(begun.outcome, item);
  }

  /** A step that is not announced is, after a while, for people to see. */
  async #call({ item, contract, work, asks, attempt, failures }: Doing): Promise<Ended> {
    const { lease, signal } = this.#held;
    const context = { signal, attempt, idempotencyKey: contract.idempotencyKey };
    const announce = () => {
      this.#lanes.begin(`{${item.members},"attempt":${attempt}}`).then(
        ({ outcome }) => {
          if (outcome === "lease_lost" || outcome === "run_cancelled") this.#refused(outcome, item);
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

  /**
   * Outside of everything that watches the function: when the server cannot be reached this is sent
   * again, and never makes a failure of a step that succeeded.
   */
  async #complete(doing: Doing, value: unknown): Promise<unknown> {
    const { item, attempt } = doing;
    const written = await this.#written(doing, value);
    const { json, meta } = written;
    const output = `"output":${json}${meta === null ? "" : `,"outputMeta":${meta}`}`;
    const { outcome, limitBytes } = await this.#lanes
      .complete(`{${item.members},"attempt":${attempt},${output}}`)
      .catch((error: unknown) => tooLargeToSend(error));
    if (outcome === "output_too_large") {
      const bytes = Buffer.byteLength(json) + Buffer.byteLength(meta ?? "");
      throw await this.#lostOutput(doing, outputTooLarge(item, bytes, limitBytes), outcome);
    }
    if (outcome !== "completed") throw this.#refused(outcome, item);
    return decode(JSON.parse(json), meta === null ? null : JSON.parse(meta));
  }

  async #written(doing: Doing, value: unknown): Promise<ReturnType<typeof encode>> {
    try {
      return encode(value);
    } catch (error) {
      throw await this.#lostOutput(doing, error, "unserializable_output");
    }
  }

  /** The effect has happened, only its output cannot be kept: final, and the contract decides. */
  async #lostOutput(
    doing: Doing,
    error: unknown,
    reason: "unserializable_output" | "output_too_large",
  ): Promise<unknown> {
    const outcome = await this.#recordFailure(doing, error, reason, undefined);
    this.#failures.set(error, outcome === "manual_review" ? outcome : "step_failed");
    return error;
  }

  /** Records a failure. The pause before the next attempt, or undefined when there is none. */
  async #fail(doing: Doing, ended: Ended & { ok: false }): Promise<number | undefined> {
    const { signal, lost, lapsed } = this.#held;
    const { error, reason } = ended;
    if (lost !== undefined || lapsed !== undefined) throw lost ?? error; // aborted by us: not its failure
    doing.failures += 1;
    const pause = signal.aborted ? undefined : retryInMs(doing.contract.retry, doing.failures);
    const outcome = await this.#recordFailure(doing, error, reason, pause);
    doing.asks ||= outcome === "completed"; // recorded all the same: the server has its output
    if (pause !== undefined && outcome === "completed") return 0;
    if (pause !== undefined && outcome === "failed_retryable") return pause;
    // What an aborted function throws is often the reason of the abort: not a failure of its own.
    if (!signal.aborted)
      this.#failures.set(error, outcome === "manual_review" ? outcome : "step_failed");
    return undefined;
  }

  async #recordFailure(
    { item, attempt }: Doing,
    error: unknown,
    reason: "error" | "timeout" | "unserializable_output" | "output_too_large",
    retryIn: number | undefined,
  ): Promise<"completed" | "failed_retryable" | "manual_review" | "failed"> {
    const recorded = recordFailure(error);
    const told = JSON.stringify({
      ...{ attempt, error: recorded, message: lineOf(recorded), reason },
      ...(retryIn !== undefined && { retryInMs: retryIn }),
    });
    const { outcome } = await this.#lanes.fail(`{${item.members},${told.slice(1)}`);
    const recordedAs = ["completed", "failed_retryable", "manual_review", "failed"] as const;
    const as = recordedAs.find((known) => known === outcome);
    if (as === undefined) throw this.#refused(outcome, item);
    return as;
  }

  /** Stops waiting as soon as the attempt is given up; for what comes before an effect. */
  #untilAborted<Value>(asked: Promise<Value>): Promise<Value> {
    const { signal } = this.#held;
    return new Promise((resolve, reject) => {
      const stop = () => reject(signal.reason);
      signal.addEventListener("abort", stop, { once: true });
      asked.then(resolve, reject).finally(() => signal.removeEventListener("abort", stop));
    });
  }

  #refused(outcome: Refusal, { name, key }: StepItem): TidebaseError {
    const { runId } = this.#held.lease;
    if (outcome === "lease_lost" || outcome === "run_cancelled" || outcome === "run_not_found") {
      const loss = lossOf(outcome, runId);
      this.#held.lose(loss);
      return this.#held.lost ?? loss;
    }
    const error = refusedStep(outcome, { runId, name, key });
    if (error.code === "step_failed") this.#failures.set(error, error.code);
    return error;
  }

  async #mismatch(
    item: StepItem,
    recordedHash: string | undefined,
    known?: { readonly input?: unknown },
  ): Promise<TidebaseError> {
    const stored =
      known?.input ?? (await this.#readInput(item.name, item.key).catch(() => undefined));
    return mismatch(item, recordedHash, stored);
  }
}
