import { decode, type Encoded, encode } from "../encoding/encoding.ts";
import { isTidebaseError, type TidebaseError } from "../errors.ts";
import { lineOf, recordFailure } from "../failure.ts";
import { type HeldLease, lossOf } from "../leases/lease.ts";
import { isFatal } from "../runs/fatal-error.ts";
import type { Lanes } from "../transport/lanes.ts";
import type { Ended } from "./call.ts";
import { retryInMs } from "./contract.ts";
import type { Doing, StepItem } from "./item.ts";
import { mismatch, outputTooLarge, type Refusal, refusedStep, tooLargeToSend } from "./refusals.ts";

/** Reads the stored input of a recorded step as JSON; undefined when it was not stored. */
export type ReadInput = (name: string, key: string) => Promise<unknown>;

/** How the steps of one attempt failed, for the failure of the run. */
export type StepFailureClass = "step_failed" | "manual_review";

/** Records how the steps of one attempt end, and says why one is refused. */
export class Outcomes {
  readonly #held: HeldLease;
  readonly #lanes: Lanes;
  readonly #readInput: ReadInput;
  readonly #failures = new Map<unknown, StepFailureClass>();

  constructor(held: HeldLease, lanes: Lanes, readInput: ReadInput) {
    this.#held = held;
    this.#lanes = lanes;
    this.#readInput = readInput;
  }

  /** How a step failed whose failure is this very value. */
  failureClassOf(thrown: unknown): StepFailureClass | undefined {
    if (isTidebaseError(thrown, "manual_review_required")) return "manual_review";
    return this.#failures.get(thrown);
  }

  /**
   * Records what the function returned, and gives it as it was recorded. Outside of everything that
   * watches the function: when the server cannot be reached this is sent again, and never makes a
   * failure of a step that succeeded.
   */
  async complete(doing: Doing, value: unknown): Promise<unknown> {
    const written = await this.#written(doing, value);
    try {
      return await this.record(doing.item, doing.attempt, written);
    } catch (error) {
      if (!isTidebaseError(error, "output_too_large")) throw error;
      throw await this.#lostOutput(doing, error, "output_too_large");
    }
  }

  /**
   * Records an output that is written already. Throws `output_too_large`, and then nothing is
   * recorded.
   */
  async record(item: StepItem, attempt: number, { json, meta }: Encoded): Promise<unknown> {
    const output = `"output":${json}${meta === null ? "" : `,"outputMeta":${meta}`}`;
    const { outcome, limitBytes } = await this.#lanes
      .complete(`{${item.members},"attempt":${attempt},${output}}`)
      .catch((error: unknown) => tooLargeToSend(error));
    const bytes = Buffer.byteLength(json) + Buffer.byteLength(meta ?? "");
    if (outcome === "output_too_large") throw outputTooLarge(item, bytes, limitBytes);
    if (outcome !== "completed") throw this.refused(outcome, item);
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
  async fail(doing: Doing, ended: Ended & { ok: false }): Promise<number | undefined> {
    const { signal, lost, lapsed } = this.#held;
    const { error, reason } = ended;
    if (lost !== undefined || lapsed !== undefined) throw lost ?? error; // aborted by us: not its failure
    doing.failures += 1;
    const isLast = signal.aborted || isFatal(error);
    const pause = isLast ? undefined : retryInMs(doing.contract.retry, doing.failures);
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
    if (as === undefined) throw this.refused(outcome, item);
    return as;
  }

  /** Why the server refused the step; a lease that is lost with it is given up. */
  refused(outcome: Refusal, { name, key }: StepItem): TidebaseError {
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

  /** Both hashes, and the paths that differ where the recorded input is stored. */
  async mismatch(
    item: StepItem,
    recordedHash: string | undefined,
    known?: { readonly input?: unknown },
  ): Promise<TidebaseError> {
    const stored =
      known?.input ?? (await this.#readInput(item.name, item.key).catch(() => undefined));
    return mismatch(item, recordedHash, stored);
  }
}
