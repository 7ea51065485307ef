import type { Connection } from "../connection.ts";
import { decode } from "../encoding/encoding.ts";
import { isTidebaseError, TidebaseError } from "../errors.ts";
import { type BeginOptions, beginRun, type Granted } from "../leases/begin.ts";
import type { Workflow } from "../runs/run.ts";
import type { AskedChild } from "./ask.ts";

/** How an attempt is made; its children in this process take the same. */
export type AttemptOptions = Pick<BeginOptions, "leaseMs" | "version" | "onWait">;

/** A child to work on, or one that is completed by now. */
type BegunChild =
  | { readonly granted: Granted; readonly code: Workflow<unknown, unknown> }
  | { readonly result: unknown };

/** Begins a child with its code. Throws `workflow_not_registered` and what `runs.begin` does. */
export async function beginChild(
  connection: Connection,
  runId: string,
  { name, code = connection.workflows.get(name) }: AskedChild["workflow"],
  { leaseMs, version }: AttemptOptions,
): Promise<BegunChild> {
  if (code === undefined)
    throw new TidebaseError(
      "workflow_not_registered",
      `Child ${runId} belongs to workflow "${name}". Register its code first, tide.workflow("${name}", …), or give a queue whose workers have it.`,
      { runId, workflow: name },
    );
  const own = {
    ...(leaseMs !== undefined && { leaseMs }),
    ...(version !== undefined && { version }),
  };
  const granted = await beginRun(connection, runId, name, own);
  const { begun } = granted;
  if (begun.outcome === "completed") return { result: decode(begun.result, begun.resultMeta) };
  return { granted, code: code as Workflow<unknown, unknown> };
}

/**
 * A child does not work on for a parent that gave up: `handBack` is called, and what it resolves with
 * is thrown. A cancelled parent takes its children with it, and the server tells them so.
 */
export async function withParent<Result>(
  parent: AbortSignal,
  runId: string,
  work: Promise<Result>,
  handBack: (reason: TidebaseError, isExit: boolean) => Promise<TidebaseError>,
): Promise<Result> {
  let giveUp = () => {};
  const givenUp = new Promise<never>((_, reject) => {
    giveUp = () => {
      if (isTidebaseError(parent.reason, "run_cancelled")) return;
      const isExit = isTidebaseError(parent.reason, "run_released");
      const says = `The parent of run ${runId} no longer works in this process; the run was handed back. It goes on when either is begun again.`;
      const reason = new TidebaseError("run_released", says, { runId });
      void handBack(reason, isExit).then(reject);
    };
    if (parent.aborted) giveUp();
    parent.addEventListener("abort", giveUp, { once: true });
  });
  try {
    return await Promise.race([work, givenUp]);
  } finally {
    parent.removeEventListener("abort", giveUp);
  }
}
