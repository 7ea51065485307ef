import { currentStep } from "./current-step.ts";
import { decode, encode } from "./encoding.ts";
import { isTidebaseError, TidebaseError } from "./errors.ts";
import { lineOf, recordFailure } from "./failure.ts";
import { lossOf } from "./heart.ts";
import { diffPaths } from "./input-hash.ts";
import type { Lanes } from "./lanes.ts";
import type { HeldLease } from "./lease.ts";
import { sleep } from "./pause.ts";
import type { Claimed, JournalEntry, Recorded } from "./recorded.ts";
import { callStep, type Ended, type StepWork } from "./step-call.ts";
import { declare, isAnnounced, retryInMs, type StepContract } from "./step-contract.ts";
import { type StepItem, stepItem } from "./step-item.ts";

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

/** How the steps of one attempt failed, for the failure of the run. */
export type StepFailureClass = "step_failed" | "manual_review";

type Doing = {
  readonly item: StepItem;
  readonly contract: StepContract;
  readonly work: StepWork<unknown>;
  attempt: number;
  failures: number;
};

type Refusal = Exclude<
  Awaited<ReturnType<Lanes["begin" | "complete" | "fail"]>>["outcome"],
  "execute" | "replayed"
>;

/** The steps of one attempt: replays what is recorded, executes and records the rest. */
export class Steps {
  readonly #held: HeldLease;
  readonly #recorded: Recorded;
  readonly #lanes: Lanes;
  readonly #readInput: ReadInput;
  readonly #begunAt = performance.now();
  readonly #inFlight = new Map<Promise<unknown>, string>();
  readonly #failures = new Map<unknown, StepFailureClass>();

  constructor(held: HeldLease, recorded: Recorded, lanes: Lanes, readInput: ReadInput) {
    this.#held = held;
    this.#recorded = recorded;
    this.#lanes = lanes;
    this.#readInput = readInput;
  }

  readonly step: Step = <Output>(
    name: string,
    ...rest: [StepWork<Output>] | [StepContract, StepWork<Output>]
  ) => {
    const [contract, work] = rest.length === 1 ? [{}, rest[0]] : rest;
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

  async #step(name: string, contract: StepContract, work: StepWork<unknown>): Promise<unknown> {
    const declared = declare(name, contract);
    const claimed = this.#recorded.claim(name, contract.key ?? "", contract.was);
    const item = stepItem(this.#held.lease, claimed.name, contract, declared);
    if (claimed.entry !== undefined) return this.#replay(item, contract, claimed.entry);
    this.#held.signal.throwIfAborted();
    const { unfinished } = claimed;
    const doing: Doing = {
      ...{ item, contract, work, attempt: (unfinished?.attempt ?? 0) + 1 },
      failures: unfinished?.failures ?? 0,
    };
    const execution = this.#execute(doing, claimed);
    this.#inFlight.set(execution, name);
    const landed = () => this.#inFlight.delete(execution);
    execution.then(landed, landed);
    return this.#held.guard(execution);
  }

  async #replay(item: StepItem, contract: StepContract, entry: JournalEntry): Promise<unknown> {
    if (differs(item.inputHash, entry.inputHash))
      throw await this.#mismatch(item, contract, entry.inputHash);
    return decode(entry.output, entry.outputMeta ?? null);
  }

  /** Attempts until one succeeds or the policy is spent. */
  async #execute(doing: Doing, { unfinished }: Claimed): Promise<unknown> {
    const { item, contract } = doing;
    const asks = unfinished !== undefined || this.#recorded.isPartial || isAnnounced(contract);
    await this.#restOfPause(unfinished?.retryInMs ?? 0);
    for (;;) {
      if (asks) {
        const begun = await this.#begin(doing);
        if (begun !== undefined) return begun.value;
      }
      const ended = await this.#call(doing, !asks);
      if (ended.ok) return await this.#complete(doing, ended.value);
      const pause = await this.#fail(doing, ended);
      if (pause === undefined) throw ended.error;
      await sleep(pause, this.#held.signal);
      doing.attempt += 1;
      this.#held.signal.throwIfAborted();
    }
  }

  /** A backoff that an earlier worker began lasts to its end. */
  async #restOfPause(retryMs: number): Promise<void> {
    const left = retryMs - (performance.now() - this.#begunAt);
    if (left > 0) await sleep(left, this.#held.signal);
  }

  /** The recorded value when the step turns out to be completed; undefined to execute it. */
  async #begin({ item, contract, attempt }: Doing): Promise<{ value: unknown } | undefined> {
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
      throw await this.#mismatch(item, contract, begun.inputHash, begun);
    throw this.#refused(begun.outcome, item);
  }

  /** A step that is not announced is, after a while, for people to see. */
  async #call({ item, contract, work, attempt, failures }: Doing, shows: boolean): Promise<Ended> {
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
    const timer = shows ? setTimeout(announce, ANNOUNCE_AFTER_MS) : undefined;
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
      throw await this.#lostOutput(doing, tooLarge(item, bytes, limitBytes), outcome);
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
    if (pause !== undefined && (outcome === "failed_retryable" || outcome === "completed"))
      return pause;
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
    if (
      outcome === "lease_lost" ||
      outcome === "run_cancelled" ||
      outcome === "run_not_found"
    ) {
      const loss = lossOf(outcome, runId);
      this.#held.lose(loss);
      return this.#held.lost ?? loss;
    }
    const error = new TidebaseError(outcomeCode(outcome), adviceFor(outcome, name, key, runId), {
      ...{ runId, name, key },
    });
    if (outcome === "step_failed") this.#failures.set(error, "step_failed");
    return error;
  }

  async #mismatch(
    { name, key, inputHash, input }: StepItem,
    contract: StepContract,
    recordedHash: string | undefined,
    known?: { readonly input?: unknown },
  ): Promise<TidebaseError> {
    const stored =
      known?.input ?? (await this.#readInput(name, key).catch(() => undefined));
    const isKept = stored !== undefined && stored !== null && input !== undefined;
    const paths = isKept ? diffPaths(stored, JSON.parse(input)) : [];
    const where = paths.length === 0 ? "" : ` They differ at ${paths.map(shown).join(", ")}.`;
    return new TidebaseError(
      "input_mismatch",
      `Step "${name}"${key === "" ? "" : ` with key "${key}"`} was recorded with another input.${where} ` +
        "Its recorded output is not used. Give the step another name or key if this is other work, or run it with the recorded input.",
      { name, key, recordedHash, inputHash, paths, wasGiven: contract.input !== undefined },
    );
  }
}

/** Hashes of another version, or given on one side only, are not compared. */
function differs(given: string | undefined, recorded: string | undefined): boolean {
  if (given === undefined || recorded === undefined) return false;
  return given.split(":", 1)[0] === recorded.split(":", 1)[0] && given !== recorded;
}

function shown(path: string): string {
  return path === "" ? "the whole value" : path;
}

function tooLarge({ name, key }: StepItem, bytes: number, limitBytes: number | undefined) {
  const limit = limitBytes === undefined ? "" : ` of ${limitBytes}`;
  return new TidebaseError(
    "output_too_large",
    `The output of step "${name}" has ${bytes} bytes, more than the limit${limit}. Store it elsewhere and return its address.`,
    { name, key, bytes, limitBytes },
  );
}

/** A request that is refused for its size holds one output that is too large. */
function tooLargeToSend(error: unknown): { outcome: "output_too_large"; limitBytes?: number } {
  if (!isTidebaseError(error, "body_too_large", "payload_too_large")) throw error;
  const { limitBytes } = error.data;
  return {
    outcome: "output_too_large",
    ...(typeof limitBytes === "number" && { limitBytes }),
  };
}

function outcomeCode(outcome: Refusal): TidebaseError["code"] {
  if (outcome === "manual_review") return "manual_review_required";
  if (outcome === "failed" || outcome === "failed_retryable") return "step_failed";
  return outcome === "completed" ? "server_answer_invalid" : outcome;
}

function adviceFor(outcome: Refusal, name: string, key: string, runId: string): string {
  const step = `Step "${name}"${key === "" ? "" : ` with key "${key}"`} of run ${runId}`;
  if (outcome === "manual_review_required")
    return `${step} may have had its effect, and is not run again before somebody reviews it: retry, completed or failed.`;
  if (outcome === "step_failed")
    return `${step} has failed for good and may not run again. Review it as retry, or go on without it.`;
  if (outcome === "run_too_long")
    return `${step} is one more than a run may have. Split the work over several runs.`;
  return `${step} was refused: ${outcome}.`;
}
