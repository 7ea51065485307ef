import { AsyncLocalStorage } from "node:async_hooks";
import type { Lease } from "../leases/lease.ts";

/** The attempt of a step inside whose function the code runs. */
export interface CurrentStep {
  readonly lease: Lease;
  readonly name: string;
  readonly key: string;
  readonly attempt: number;
  /** Writes made by this attempt so far. */
  writes: number;
}

/** A write inside a step belongs to that step's attempt (model.md §17). */
export const currentStep = new AsyncLocalStorage<CurrentStep>();
