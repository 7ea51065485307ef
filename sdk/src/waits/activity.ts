/**
 * Counts what an attempt is doing: steps, writes, looks at what it waits for. It suspends only while
 * nothing of that is under way.
 */
export class Activity {
  /**
   * While a suspension is asked for, whatever would begin waits here: to the answer when the attempt
   * goes on, for ever when it is over.
   */
  hold: Promise<void> | undefined;
  /** Called when the last thing under way has ended. */
  onRest: () => void = () => {};
  #busy = 0;
  #begun = 0;

  /** Grows with everything that begins. */
  get begun(): number {
    return this.#begun;
  }

  get isResting(): boolean {
    return this.#busy === 0;
  }

  began(): void {
    this.#busy += 1;
    this.#begun += 1;
  }

  ended(): void {
    this.#busy -= 1;
    if (this.#busy === 0) this.onRest();
  }

  async during<Value>(work: () => Promise<Value>): Promise<Value> {
    while (this.hold !== undefined) await this.hold;
    this.began();
    try {
      return await work();
    } finally {
      this.ended();
    }
  }
}
