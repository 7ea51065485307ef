import type { Run, StepContract, Tidebase } from "@tidebase/sdk";
import type { OracleFile } from "./oracle-file.ts";

/** The queue that the worker works on. */
export const QUEUE = "points";
/** The workflow that passes through everything that a worker writes. */
export const WHOLE = "whole";
/** Longer than what is slept in the process: it suspends. */
const REST = "40s";

/** Registers the workflows of the small load. What they return does not depend on where anybody dies. */
export function registerWorkflows(tide: Tidebase, oracle: OracleFile): void {
  const part = tide.workflow("part", (run: Run<number>) =>
    recorded(run, oracle, "double", {}, () => run.input * 2),
  );
  tide.workflow(WHOLE, async (run: Run<number>) => {
    const read = await recorded(run, oracle, "read", {}, () => run.input + 1);
    await run.state.set({ read });
    const announced = { sideEffects: ["mail"], idempotencyKey: `${run.runId}/send` };
    const sent = await recorded(run, oracle, "send", announced, () => read * 10);
    await run.state.patch({ sent });
    await run.usage.record({ kind: "llm", inputTokens: 10, outputTokens: 5, costUsd: "0.01" });
    await tide.signal(run.runId, "note", { sent }, { key: "note" });
    const heard = await run.waitFor<{ sent: number }>("note");
    const { approved } = await run.gate("go on", { prompt: "May it go on?", data: { sent } });
    const doubled = await run.child("part", part, { queue: QUEUE, input: sent });
    await run.sleep("rest", REST);
    const retry = { maxAttempts: 10, minMs: 5, maxMs: 5, jitter: false };
    const flaky = await recorded(run, oracle, "flaky", { retry }, (attempt) => {
      if (attempt === 1) throw new Error("It fails once.");
      return doubled + 1;
    });
    await run.state.save("done");
    const last = await recorded(run, oracle, "last", {}, () => flaky + 1);
    return { read, sent, approved, heard: JSON.stringify(heard), doubled, flaky, last };
  });
}

/** A step that tells the oracle of each execution, and of the moment at which its output was known. */
async function recorded<Value>(
  run: Run<number>,
  oracle: OracleFile,
  step: string,
  contract: StepContract,
  work: (attempt: number) => Value,
): Promise<Value> {
  const output = await run.step(step, contract, ({ attempt }) => {
    oracle.effect(run.runId, step, attempt);
    return work(attempt);
  });
  oracle.acknowledged(run.runId, step);
  return output;
}
