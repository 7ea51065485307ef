import { decode } from "../encoding/encoding.ts";
import { inputHash } from "../encoding/input-hash.ts";
import type { JournalEntry } from "../steps/recorded.ts";
import { called, hashesDiffer } from "../steps/refusals.ts";
import type { Awaited, EndedChild } from "../waits/suspension.ts";
import type { OnWait } from "../waits/waits.ts";
import { type AskedChild, askFor, type ChildOptions, type ChildWorkflow } from "./ask.ts";
import type { Edges, Made } from "./edges.ts";
import { type ChildEnd, childError, childMismatch, failureOf, isEnd, isReady } from "./end.ts";

/**
 * Makes a run of its own for a part of the work and gives its result. Of each name and key there is
 * one child for the whole life of this run; once its result is recorded, as the step `child:` and the
 * name, no replay asks for it again.
 *
 * With `queue` the workers of that queue execute it, and this run suspends until it ends. Without one
 * this process does, under a lease of its own; a function is executed as the workflow `workflow`, or
 * that of the child's name. When such a child suspends (a gate, a long sleep), this run waits for it
 * too: the child goes on when somebody begins it, as any run (a webhook that invokes, for a registered
 * workflow; `tide.resume`), and its end wakes this run. When this run is begun again first, it begins
 * those of its children that are ready.
 *
 * Throws `child_failed` and `child_cancelled`, which are not recorded: begun again, this run finds the
 * child's newest end, and begins a child of its own process that had failed once more. Throws
 * `child_mismatch` when the name and key belong to other content.
 */
export type RunChild = <Result = unknown, Input = unknown>(
  name: string,
  workflow: ChildWorkflow<Input, Result>,
  options?: ChildOptions<Input>,
) => Promise<Result>;

/** The parent's events do not tell that a child is ready again: a parent that blocks looks. */
export const LOOK_EVERY_MS = 5000;

/** `run.child`: creates or finds it, waits for its end, records its result. */
export async function childOf<Input, Result>(
  edges: Edges,
  name: string,
  workflow: ChildWorkflow<Input, Result>,
  options: ChildOptions<Input> = {},
): Promise<Result> {
  const { steps } = edges.waiting;
  const child = askFor(name, workflow, options);
  const { key, content } = child;
  edges.claim(name, "child");
  const claimed = steps.claim(`child:${name}`, key);
  const { entry } = claimed;
  if (entry !== undefined) return recordedOf(entry, content, `Child ${called(child)}`) as Result;
  const [made] = await edges.create([child]);
  const { runId } = made as Made;
  const end = await (child.isQueued ? elsewhere : here)(edges, child, made as Made, options.onWait);
  if (end.status !== "completed") {
    const cause = "cause" in end ? end.cause : undefined;
    throw childError(name, failureOf(end, runId, key), cause);
  }
  return (await steps.record(claimed, { key, input: content }, end.result)) as Result;
}

/** The recorded output, for what asks the same as was asked then. */
export function recordedOf(entry: JournalEntry, content: unknown, what: string): unknown {
  const { name, key, output, outputMeta, inputHash: recordedHash } = entry;
  if (hashesDiffer(inputHash(content), recordedHash)) throw childMismatch(what, { name, key });
  return decode(output, outputMeta ?? null);
}

/** What a look found that has to go on. */
const nothing: { readonly leftMs?: number } = {};

/** Workers of its queue execute it. */
function elsewhere(
  edges: Edges,
  child: AskedChild,
  { runId, status }: Made,
  onWait: OnWait | undefined,
): Promise<ChildEnd> {
  let isOpen = !isEnd(status); // just created: suspending looks again
  return edges.waiting.waits.until(awaited(child, runId), onWait, async () => {
    if (isOpen) {
      isOpen = false;
      return nothing;
    }
    const { end } = await edges.look(runId);
    return end === undefined ? nothing : { value: end };
  });
}

/** This process executes it; while it waits for something, it is waited for like any other. */
async function here(
  edges: Edges,
  child: AskedChild,
  made: Made,
  onWait: OnWait | undefined,
): Promise<ChildEnd> {
  const { waits, steps } = edges.waiting;
  const blocks = onWait === undefined ? waits.blocks : onWait === "block";
  for (let isWaiting = made.status === "waiting"; ; isWaiting = false) {
    if (made.status === "cancelled") return (await edges.look(made.runId)).end as ChildEnd;
    const end = isWaiting
      ? undefined
      : await steps.during(`child:${child.name}`, () => edges.work(child, made));
    if (end !== undefined) return end;
    const found = await waits.until(awaited(child, made.runId), onWait, async () => {
      const now = await edges.look(made.runId);
      if (now.end !== undefined || isReady(now.status)) return { value: now };
      return blocks ? { leftMs: LOOK_EVERY_MS } : {};
    });
    if (found.end !== undefined) return found.end;
  }
}

function awaited({ name, key }: AskedChild, runId: string): Awaited {
  const says = `child ${called({ name, key })} (${runId})`;
  const hears = (ended: EndedChild) => ended.name === name && ended.key === key;
  return { child: { name, key }, hears, says };
}
