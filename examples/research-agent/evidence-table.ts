import { paint, table } from "./terminal.ts";
import { countEffects, readTrace } from "./trace.ts";
import { DECLARED, STEPS } from "./workflow.ts";

/** What the files say about one step. */
export interface StepEvidence {
  readonly step: string;
  readonly first: "finished" | "killed" | "not reached";
  /** Whether the second process executed it. */
  readonly ranAgain: boolean;
  /** Whether the second process was given the recorded result instead. */
  readonly replayed: boolean;
  readonly effects: number;
  /** It declares a side effect and carries an idempotency key. */
  readonly declared: boolean;
}

/** Read from the files that both processes left, not from Tidebase. */
export function gather(folder: string, first: number, second: number): StepEvidence[] {
  return STEPS.map((step) => {
    const one = readTrace(folder, step, first);
    const two = readTrace(folder, step, second);
    return {
      step,
      first: one.returned > 0 ? "finished" : one.begun > 0 ? "killed" : "not reached",
      ranAgain: two.begun > 0,
      replayed: two.begun === 0 && two.returned > 0,
      effects: countEffects(folder, step),
      declared: DECLARED.has(step),
    };
  });
}

/** The steps that the process began and never got back. */
export function findUnfinished(folder: string, pid: number): string[] {
  return STEPS.filter((step) => {
    const { begun, returned } = readTrace(folder, step, pid);
    return begun > 0 && returned === 0;
  });
}

/** What went wrong, in sentences; empty: every promise held. */
export function findViolations(evidence: readonly StepEvidence[]): string[] {
  return evidence.flatMap(({ step, first, ranAgain, replayed, effects, declared }) => {
    if (first === "finished" && ranAgain) return [`${step} was finished and ran again.`];
    if (!ranAgain && !replayed) return [`${step} was neither run nor replayed by process 2.`];
    if (first === "finished" && effects !== 1) return [`${step} had ${effects} effects.`];
    if (declared && effects !== 1)
      return [`${step} has an idempotency key and had ${effects} effects.`];
    return effects === 0 ? [`${step} had no effect.`] : [];
  });
}

/** The evidence as a table, one line a step. */
export function render(evidence: readonly StepEvidence[]): string {
  const first = {
    finished: paint("green", "ran"),
    killed: paint("red", "killed here"),
    "not reached": paint("dim", "–"),
  };
  const rows = evidence.map((item) => [
    item.step,
    first[item.first],
    item.ranAgain ? paint("green", "ran") : paint("dim", "–"),
    item.replayed ? paint("yellow", "from the record") : paint("dim", "–"),
    String(item.effects),
  ]);
  return table(["step", "in process 1", "in process 2", "replayed", "side effects"], rows);
}
