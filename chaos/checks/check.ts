import type { Evidence } from "../history/evidence.ts";

/** A promise that did not hold. */
export interface Violation {
  /** The check, such as `C1`. */
  readonly check: string;
  /** The run, gate, key or stream that it happened to; what shrinking keeps. */
  readonly key: string;
  readonly message: string;
}

/** One rule over what a trial left behind (reliability.md §2.5); pure. */
export interface Check {
  readonly id: string;
  /** The promises (P1–P19) that it holds to account. */
  readonly promises: readonly string[];
  readonly rule: string;
  find(evidence: Evidence): readonly Violation[];
}
