import { setTimeout as pause } from "node:timers/promises";
import type { Run, StepContext, StepContract } from "@tidebase/sdk";
import { newTrace } from "./trace.ts";

/** Which run, and what it is about. */
interface About {
  readonly run: Run<unknown>;
  readonly path: string;
}

/** `run.step`, with a trace of every call of its function. */
export type TracedStep = <Output>(
  about: About,
  name: string,
  contract: StepContract,
  work: (context: StepContext) => Output | Promise<Output>,
) => Promise<Output>;

/** The step of one process; each call takes `paceMs` at least, so that there is something to interrupt. */
export function newTracedStep(out: string, paceMs: number): TracedStep {
  const trace = newTrace(out);
  return ({ run, path }, name, contract, work) =>
    run.step(name, contract, async (context) => {
      const line = { runId: run.runId, step: name, path, attempt: context.attempt };
      trace({ ...line, at: "begun" });
      try {
        await pause(paceMs);
        const output = await work(context);
        trace({ ...line, at: "done" });
        return output;
      } catch (error) {
        trace({ ...line, at: "threw" });
        throw error;
      }
    });
}
