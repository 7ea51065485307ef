import type { EndedLife } from "./life.ts";
import type { Outcome } from "./outcome.ts";
import type { Place } from "./place.ts";

/** One trial of a workload: its process died at a place, or at none. */
export interface Trial {
  readonly at: Place | undefined;
  /** The points that the first process passed; undefined when it was killed. */
  readonly points: number | undefined;
  /** The call at which it died; undefined when it came to its end without coming to the place. */
  readonly died: string | undefined;
  /** From the death until the store was at rest again, ms; 0 without a death. */
  readonly recoveryMs: number;
  readonly outcome: Outcome;
  /** What was not as it should be, a sentence each. */
  readonly problems: readonly string[];
}

/** Something small that writes, in a process that can be killed at each of its points. */
export interface PointLoad {
  readonly id: string;
  /** The promises that a clean crash of it speaks for: it exercises them, and what is judged would show them broken. */
  readonly promises: readonly string[];
  /** Makes its template. */
  prepare(): Promise<void>;
  /** From a new store to its rest. */
  trial(at: Place | undefined): Promise<Trial>;
}

/** What a death, or an end that nobody asked for, says. */
export function badEnd({ code, signal, stderr }: EndedLife): string {
  return `the process ended with ${signal ?? code}: ${stderr.trim().slice(-600)}`;
}
