import type { Connection } from "./connection.ts";
import { inputHash } from "./encoding/input-hash.ts";
import { type Fenced, fenced } from "./leases/fenced.ts";
import type { HeldLease } from "./leases/lease.ts";
import type { Operations } from "./operations.gen.ts";
import { currentStep } from "./steps/current.ts";
import { unheard } from "./unheard.ts";
import type { Activity } from "./waits/activity.ts";

/** What the writes of one attempt share that a replay makes again: their keys, and their turn. */
export class AttemptWrites {
  readonly #connection: Connection;
  readonly #held: HeldLease;
  readonly #activity: Activity;
  readonly #counts = new Map<string, number>();
  #last: Promise<unknown> = Promise.resolve();

  constructor(connection: Connection, held: HeldLease, activity: Activity) {
    this.#connection = connection;
    this.#held = held;
    this.#activity = activity;
  }

  /**
   * The key by which the server knows the write again (model.md §17): inside a step it is made from the
   * step's attempt, outside from the content and from how often this attempt has written the same.
   */
  keyOf(content: readonly unknown[]): string {
    const step = currentStep.getStore();
    if (step !== undefined && step.lease === this.#held.lease) {
      step.writes += 1;
      const { name, key, lease, attempt } = step;
      return `step:${inputHash([name, key, lease.epoch, attempt])}:${step.writes}`;
    }
    const hash = inputHash(content);
    const count = (this.#counts.get(hash) ?? 0) + 1;
    this.#counts.set(hash, count);
    return `run:${hash}:${count}`;
  }

  /** One after another, in the order of the calls: writers of one run only slow each other down. */
  send<Name extends Fenced>(
    name: Name,
    input: Operations[Name]["input"],
  ): Promise<Operations[Name]["output"]> {
    const write = () => fenced(this.#connection, this.#held, name, input);
    const turn = this.#last.then(() => this.#activity.during(write));
    this.#last = turn.catch(() => {});
    return turn;
  }

  /** A read, which waits for nobody. */
  ask<Name extends keyof Operations>(
    name: Name,
    input: Operations[Name]["input"],
  ): Promise<Operations[Name]["output"]> {
    return unheard(this.#activity.during(() => this.#connection.call(name, input)));
  }
}
