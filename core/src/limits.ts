import type { Assurance } from "./gates/schema.ts";

/** What a store takes. Sizes in bytes of JSON text, times in milliseconds. */
export interface Limits {
  /** An input, output, result or state value. */
  readonly payloadBytes: number;
  /** Steps of one run. */
  readonly steps: number;
  /** Length of a lease when the worker names none. */
  readonly leaseMs: number;
  /**
   * The least that any gate asks for. Undefined: `client_form` while the store has no key, `code` once
   * it has one.
   */
  readonly gateFloor?: Assurance | undefined;
}

/** 1 MiB, 10,000 steps, 60 s. */
export const DEFAULT_LIMITS: Limits = { payloadBytes: 1_048_576, steps: 10_000, leaseMs: 60_000 };

/** A step's input is kept up to this size; a larger one is only hashed (model.md §3). */
export const STEP_INPUT_BYTES = 65_536;
