import { AsyncLocalStorage } from "node:async_hooks";

/** A step, as the store knows it; those of a child carry its name before theirs. */
export interface StepName {
  readonly step: string;
  readonly key: string;
}

/**
 * Where a worker dies: before a step's function is called; during it, its work done and nothing
 * recorded; after its completion was recorded, before the workflow goes on.
 */
export type When = "before" | "during" | "after";

/** One place at which a worker can die. */
export interface Boundary extends StepName {
  readonly when: When;
}

/** One worker, from its first request to its death or the end of the run. */
export class Life {
  /** Resolves with the place when the worker was killed. */
  readonly killed: Promise<Boundary>;
  /** The places that it passed, in order; the last one is where it died, if it did. */
  readonly passed: Boundary[] = [];
  /** Steps whose function was called, once for each call. */
  readonly executed: StepName[] = [];
  /** Steps that it executed and whose completion was acknowledged. */
  readonly acknowledged: StepName[] = [];
  /** Steps that its latest attempt asked for. */
  asked: StepName[] = [];
  /** It does nothing more: it died, or its run has ended. */
  isOver = false;
  diedAt: Boundary | undefined;
  readonly #isTarget: (place: Boundary, passed: readonly Boundary[]) => boolean;
  readonly #cut: () => void;
  #died: (place: Boundary) => void = () => {};

  constructor(
    isTarget: (place: Boundary, passed: readonly Boundary[]) => boolean,
    cut: () => void,
  ) {
    this.#isTarget = isTarget;
    this.#cut = cut;
    this.killed = new Promise((resolve) => {
      this.#died = resolve;
    });
  }

  /** Dies here, or goes on. Whether it is alive afterwards. */
  pass(place: Boundary): boolean {
    if (this.isOver) return false;
    const isTarget = this.#isTarget(place, this.passed);
    this.passed.push(place);
    if (!isTarget) return true;
    this.isOver = true;
    this.diedAt = place;
    this.#cut();
    this.#died(place);
    return false;
  }

  /** Settles as the promise does while the worker is alive, and never once it is dead. */
  lived<Value>(work: () => Value | Promise<Value>): Promise<Value> {
    if (this.isOver) return new Promise(() => {});
    return new Promise((resolve, reject) => {
      const begun = (async () => work())();
      begun.then(
        (value) => void (this.isOver || resolve(value)),
        (error: unknown) => void (this.isOver || reject(error)),
      );
    });
  }
}

const here = new AsyncLocalStorage<Life>();

/** The worker whose code this is; undefined outside of a crash check. */
export function lifeHere(): Life | undefined {
  return here.getStore();
}

/** Everything that the code begins is that worker's. */
export function liveAs<Value>(life: Life, code: () => Value): Value {
  return here.run(life, code);
}
