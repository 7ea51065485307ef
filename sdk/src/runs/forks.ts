import type { Connection } from "../connection.ts";
import { encode } from "../encoding/encoding.ts";
import { checkRunId, newRunId } from "../ids.ts";
import type { Operations } from "../operations.gen.ts";
import { checkOptions } from "../options.ts";

type Asked = Operations["runs.fork"]["input"];
type Answered = Operations["runs.fork"]["output"];

/** A step by its name, or by name and key. */
export type StepOf = string | { readonly name: string; readonly key?: string };

/** What a rerun is given in place of the source's. */
export interface RerunOptions<Input = unknown> {
  /** Another input. Default: the source's, as it is stored. */
  readonly input?: Input;
  /** Default: the source's queue. null: no queue; begin the fork with `tide.resume`. */
  readonly queue?: string | null;
  /** Made with `newRunId()`: the same call again finds the same fork. Default: a new one. */
  readonly forkRunId?: string;
  /** Kept in the fork's first event. */
  readonly reason?: string;
  /** True unless it is said otherwise: nothing is made, and the answer is the plan. */
  readonly dryRun?: boolean;
  /** `seq` of the plan: `run_changed` when the source has moved since. */
  readonly asOf?: number;
}

/** From which moment of its source a fork departs, and what it is given in place of the source's. */
export interface ForkOptions<Input = unknown> extends RerunOptions<Input> {
  /** The step that runs again first. */
  readonly from?: StepOf;
  /** Or the number of the source's event after which the fork departs; 0 keeps nothing. */
  readonly atSeq?: number;
  /** Another output for a step that is kept: what the fork's code gets from it. */
  readonly edit?: { readonly name: string; readonly key?: string; readonly output: unknown };
}

/** What a fork keeps and what it does again. */
export type ForkPlan = Answered;

/** A fork that was made, with the plan it was made by. */
export type Fork = Answered & { readonly runId: string };

/** Options that make the fork. */
export interface Applied {
  readonly dryRun: false;
}

/** Plans a fork or makes it. One that is made has an id of our own, so that it is safe to send again. */
export async function forked(
  connection: Connection,
  runId: string,
  options: ForkOptions,
): Promise<ForkPlan> {
  const { from, edit, input, forkRunId, dryRun = true, ...same } = options;
  checkRunId(runId);
  if (forkRunId !== undefined) checkRunId(forkRunId);
  const asked: Asked = {
    ...{ runId, dryRun, ...same },
    ...(from !== undefined && { from: typeof from === "string" ? { name: from } : from }),
    ...(edit !== undefined && { edit: edited(edit) }),
    ...(input !== undefined && written("input", input)),
    ...(!dryRun && { forkRunId: forkRunId ?? newRunId() }),
  };
  return connection.call("runs.fork", asked);
}

const RERUN_OPTIONS = ["input", "queue", "forkRunId", "reason", "dryRun", "asOf"];

/** A fork that keeps nothing: an option of a fork would make it another thing. */
export async function rerun(
  connection: Connection,
  runId: string,
  options: RerunOptions,
): Promise<ForkPlan> {
  checkOptions("rerun", options, RERUN_OPTIONS);
  return forked(connection, runId, options);
}

function edited({ output, ...step }: NonNullable<ForkOptions["edit"]>) {
  return { ...step, output: null, ...written("output", output) };
}

/** A value as it is sent: its JSON, and what that cannot say beside it. */
function written(name: "input" | "output", value: unknown): object {
  const { json, meta } = encode(value);
  return {
    [name]: JSON.parse(json),
    ...(meta !== null && { [`${name}Meta`]: JSON.parse(meta) }),
  };
}
