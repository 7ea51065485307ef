import { createHash, randomUUID } from "node:crypto";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** What one process left behind about a step. */
export interface StepTrace {
  readonly begun: number;
  readonly returned: number;
}

type Kind = "begun" | "effects" | "returned";

/**
 * Counts from outside what really happened: every start, every effect and every return of a step is
 * one small file, so the count survives any kill and owes nothing to Tidebase's own records.
 */
export interface Trace {
  /** The step's function was called. */
  begun(step: string): void;
  /** The step had its effect. The outside world counts one idempotency key once. */
  effect(step: string, idempotencyKey?: string): void;
  /** `run.step` came back: the completion is recorded, by this process or an earlier one. */
  returned(step: string): void;
}

/** The trace of this process below `folder`. */
export function openTrace(folder: string, pid: number): Trace {
  for (const kind of ["begun", "effects", "returned"] satisfies Kind[])
    mkdirSync(join(folder, kind), { recursive: true });
  return {
    begun: (step) => leave(folder, "begun", `${step}.${pid}.${randomUUID()}`),
    effect: (step, key) =>
      leave(folder, "effects", `${step}.${key === undefined ? randomUUID() : digest(key)}`),
    returned: (step) => leave(folder, "returned", `${step}.${pid}`),
  };
}

function leave(folder: string, kind: Kind, name: string): void {
  writeFileSync(join(folder, kind, fileName(name)), "");
}

/** Windows has no colons in names. */
function fileName(name: string): string {
  return name.replace(/[^\w.-]+/g, "-");
}

/** How often the process began the step and got its result back. */
export function readTrace(folder: string, step: string, pid: number): StepTrace {
  return {
    begun: count(folder, "begun", `${step}.${pid}.`),
    returned: count(folder, "returned", `${step}.${pid}`),
  };
}

/** How often the step had its effect, in all processes together. */
export function countEffects(folder: string, step: string): number {
  return count(folder, "effects", `${step}.`);
}

function count(folder: string, kind: Kind, prefix: string): number {
  const start = fileName(prefix);
  return readdirSync(join(folder, kind)).filter((name) => name.startsWith(start)).length;
}

function digest(key: string): string {
  return createHash("sha256").update(key).digest("hex").slice(0, 16);
}
