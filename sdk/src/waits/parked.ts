import { LONGEST_TIMER_MS } from "../pause.ts";
import type { Awaited } from "./suspension.ts";

interface Branch {
  /** It waits no longer, however that came. */
  leave(): void;
  resolve(): void;
  reject(reason: unknown): void;
}

/** A branch that waits until something nudges it to look again. */
export class Parked {
  readonly what: Awaited;
  /** Whether the process is kept for it. */
  readonly blocks: boolean;
  /** When time alone ends the wait, by `performance.now()`. */
  readonly dueAt: number;
  readonly #signal: AbortSignal;
  readonly #branch: Branch;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    what: Awaited,
    { blocks, leftMs }: { readonly blocks: boolean; readonly leftMs: number | undefined },
    signal: AbortSignal,
    branch: Branch,
  ) {
    this.what = what;
    this.blocks = blocks;
    this.dueAt = performance.now() + (leftMs ?? Number.POSITIVE_INFINITY);
    this.#signal = signal;
    this.#branch = branch;
    signal.addEventListener("abort", this.#stop, { once: true });
    if (leftMs !== undefined)
      this.#timer = setTimeout(() => this.nudge(), Math.min(leftMs, LONGEST_TIMER_MS));
  }

  /** Something may have happened: look again. */
  nudge(): void {
    this.drop();
    this.#branch.resolve();
  }

  /** From now on nothing ends the wait. */
  drop(): void {
    clearTimeout(this.#timer);
    this.#branch.leave();
    this.#signal.removeEventListener("abort", this.#stop);
  }

  readonly #stop = () => {
    this.drop();
    this.#branch.reject(this.#signal.reason);
  };
}
