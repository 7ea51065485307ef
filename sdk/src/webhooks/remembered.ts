/** A signed message is no longer taken after five minutes, and may be dated five ahead. */
const REMEMBER_MS = 600_000;
const MOST = 10_000;

/** Ids of messages that are done, each for ten minutes; the oldest are forgotten first. */
export class Remembered {
  /** Until when, by id; the oldest first. */
  readonly #until = new Map<string, number>();

  add(id: string): void {
    const now = Date.now();
    this.#until.set(id, now + REMEMBER_MS);
    for (const [old, until] of this.#until) {
      if (until > now && this.#until.size <= MOST) break;
      this.#until.delete(old);
    }
  }

  has(id: string): boolean {
    return (this.#until.get(id) ?? 0) > Date.now();
  }
}
