import type { Known } from "./cases.ts";

/** What a good call would say, for many calls. */
export interface KnownSource {
  get(): Promise<Known>;
  /** The next call gets another: an earlier one has used this up. */
  renew(): void;
}

const RENEW_AFTER = 100;

/** Made when it is asked for, and anew after a hundred calls: a refused call may have used it up too. */
export function knownFrom(make: () => Promise<Known>): KnownSource {
  let known: Promise<Known> | undefined;
  let uses = 0;
  return {
    get() {
      uses += 1;
      if (known === undefined || uses > RENEW_AFTER) {
        known = make();
        uses = 0;
      }
      return known;
    },
    renew() {
      known = undefined;
    },
  };
}
