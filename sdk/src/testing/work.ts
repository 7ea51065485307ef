import type { Tidebase } from "../client.ts";
import { isTidebaseError, TidebaseError } from "../errors.ts";
import { newRunId } from "../ids.ts";
import type { Workflow } from "../runs/run.ts";

/** The code of a workflow, named by its function or beside it. */
export type TestedWorkflow<Input, Result> =
  | Workflow<Input, Result>
  | { readonly name: string; readonly workflow: Workflow<Input, Result> };

/** What a run that is worked on is made of. */
export interface WorkOnOptions<Input> {
  /** Goes on with this run; by default a new one is made. */
  readonly runId?: string;
  readonly input?: Input;
  /** The name of the workflow; by default that of its function. */
  readonly name?: string;
  readonly version?: string;
}

/** A run that has ended, or waits for something that is not there yet. */
export type Worked<Result> =
  | { readonly runId: string; readonly status: "completed"; readonly result: Result }
  | {
      readonly runId: string;
      readonly status: "waiting";
      readonly result?: undefined;
      /** What it waits for, for people. */
      readonly waits: readonly string[];
      /** When time alone ends the wait. */
      readonly wakeAt: Date | null;
    };

/** Name and code. Throws `input_invalid` when there is no name. */
export function named<Input, Result>(
  tested: TestedWorkflow<Input, Result>,
  given: string | undefined,
): { readonly name: string; readonly workflow: Workflow<Input, Result> } {
  const workflow = typeof tested === "function" ? tested : tested.workflow;
  const name = given ?? (tested.name === "" ? "workflow" : tested.name);
  if (typeof workflow === "function") return { name, workflow };
  throw new TidebaseError(
    "input_invalid",
    "A test works on the function of a workflow: give the function, or { name, workflow }. One that tide.workflow() returned belongs to its client.",
  );
}

/**
 * Works on the run until it has ended, or waits for what is not there. `settle` lets what was begun
 * elsewhere happen first, such as the decision of a gate. Throws what the workflow throws.
 */
export async function workOn<Input, Result>(
  tide: Tidebase,
  settle: () => Promise<void>,
  { name, workflow }: { readonly name: string; readonly workflow: Workflow<Input, Result> },
  { runId = newRunId(), input, version }: WorkOnOptions<Input>,
): Promise<Worked<Result>> {
  const options = {
    runId,
    ...(input !== undefined && { input }),
    ...(version !== undefined && { version }),
  };
  for (;;) {
    try {
      const result = await tide.run(name, options, workflow);
      return { runId, status: "completed", result };
    } catch (error) {
      if (!isTidebaseError(error, "run_suspended") || error.data["runId"] !== runId) throw error;
    }
    await settle();
    const { run } = await tide.runs.get(runId);
    if (run.status !== "waiting") continue; // it goes on, or the next begin says why not
    const wakeAt = run.wakeAt === null ? null : new Date(run.wakeAt);
    return { runId, status: "waiting", waits: run.waits ?? [], wakeAt };
  }
}
