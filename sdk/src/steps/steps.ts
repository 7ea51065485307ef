import { decode, encode } from "../encoding/encoding.ts";
import type { HeldLease } from "../leases/lease.ts";
import type { Lanes } from "../transport/lanes.ts";
import { unheard } from "../unheard.ts";
import type { Activity } from "../waits/activity.ts";
import type { Waits } from "../waits/waits.ts";
import type { StepWork } from "./call.ts";
import { checkWork, declare, isAnnounced, type StepContract } from "./contract.ts";
import { type Executing, execute } from "./execute.ts";
import { type Doing, type StepItem, stepItem } from "./item.ts";
import { Outcomes, type ReadInput, type StepFailureClass } from "./outcome.ts";
import type { Claimed, JournalEntry, Recorded } from "./recorded.ts";
import { hashesDiffer } from "./refusals.ts";

/**
 * Runs `work` once in the life of the run and remembers what it returned. What the caller gets is
 * the value as it was recorded, the first time as on every replay.
 *
 * A step whose time is over (`timeoutMs`) has its signal aborted. Its retry begins only once its
 * function has settled; what it returns after its time counts as done. Only the last attempt is not
 * waited for: its failure is recorded at once, and a function that ignores its signal goes on.
 *
 * Await every step: how one ends that nobody awaits is in the record alone.
 */
export interface Step {
  <Output>(name: string, work: StepWork<Output>): Promise<Output>;
  <Output>(name: string, contract: StepContract, work: StepWork<Output>): Promise<Output>;
}

/** The steps of one attempt: replays what is recorded, executes and records the rest. */
export class Steps {
  readonly #held: HeldLease;
  readonly #recorded: Recorded;
  readonly #activity: Activity;
  readonly #outcomes: Outcomes;
  readonly #executing: Executing;
  readonly #inFlight = new Map<Promise<unknown>, string>();

  constructor(
    held: HeldLease,
    recorded: Recorded,
    lanes: Lanes,
    readInput: ReadInput,
    { activity, waits }: { readonly activity: Activity; readonly waits: Waits },
  ) {
    this.#held = held;
    this.#recorded = recorded;
    this.#activity = activity;
    const outcomes = new Outcomes(held, lanes, readInput);
    this.#outcomes = outcomes;
    this.#executing = { held, lanes, activity, waits, outcomes, begunAt: performance.now() };
  }

  readonly step: Step = <Output>(
    name: string,
    ...rest: [StepWork<Output>] | [StepContract, StepWork<Output>]
  ) => {
    const [contract, work] = rest.length === 2 ? rest : [{}, rest[0]];
    return unheard(this.#step(name, contract, work)) as Promise<Output>;
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
    return this.#outcomes.failureClassOf(thrown);
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
  async note(claimed: Claimed, key: string): Promise<void> {
    await this.record(claimed, { key }, null);
  }

  /**
   * Records such a step as completed and gives its output as it was recorded. Throws
   * UnserializableOutput and `output_too_large`; then nothing is recorded.
   */
  async record(
    { name, unfinished }: Claimed,
    contract: { readonly key: string; readonly input?: unknown },
    output: unknown,
  ): Promise<unknown> {
    while (this.#activity.hold !== undefined) await this.#activity.hold;
    const item = stepItem(this.#held.lease, name, contract, undefined);
    const attempt = (unfinished?.attempt ?? 0) + 1;
    return this.#tracked(this.#outcomes.record(item, attempt, encode(output)), name);
  }

  /**
   * Works beside the steps and, like one that is executing, keeps the lease until it has settled.
   * Rejects when the lease is lost.
   */
  async during<Value>(name: string, work: () => Promise<Value>): Promise<Value> {
    while (this.#activity.hold !== undefined) await this.#activity.hold;
    this.#held.signal.throwIfAborted();
    return this.#tracked(work(), name);
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
    return this.#tracked(execute(this.#executing, doing, unfinished?.retryInMs ?? 0), name);
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
      throw await this.#outcomes.mismatch(item, entry.inputHash);
    return decode(entry.output, entry.outputMeta ?? null);
  }
}
