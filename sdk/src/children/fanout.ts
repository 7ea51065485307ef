import { TidebaseError } from "../errors.ts";
import type { Claimed } from "../steps/recorded.ts";
import { called } from "../steps/refusals.ts";
import { unheard } from "../unheard.ts";
import type { AskedChild } from "./ask.ts";
import { askForAll, type FanoutChild, type FanoutOptions } from "./ask-all.ts";
import { recordedOf } from "./child.ts";
import type { Edges } from "./edges.ts";
import { type ChildFailure, endOf, failureOf } from "./end.ts";
import { Family, type FamilyEnd } from "./family.ts";

/** How one child of a fan-out ended. */
export type SettledChild<Result = unknown> =
  | { readonly status: "completed"; readonly result: Result }
  | { readonly status: "failed" | "cancelled"; readonly error: ChildFailure };

/** The child that completed first. */
export interface FirstChild<Result = unknown> {
  readonly index: number;
  readonly key: string;
  readonly result: Result;
}

type Children<Input, Result> = readonly FanoutChild<Input, Result>[];

/**
 * Makes a child of each part and joins what they give, in their order; the joined result is recorded
 * as the step `join:` and the name. The children are like those of `run.child`, all with the
 * fan-out's name and each with its own key; those of this process work in parallel.
 *
 * `all` (the default) waits until every child has ended, so that nothing is left over, and throws
 * `fanout_failed` when some have no result. `settled` gives how each ended. `any` gives the first
 * result, and throws `fanout_failed` when there is none; the others go on. When some failed nothing
 * is recorded: begun again, this run joins their newest ends, and begins children of its own process
 * that had failed once more. Throws `child_mismatch` for other children than were recorded.
 */
export interface RunFanout {
  <Result = unknown, Input = unknown>(
    name: string,
    children: Children<Input, Result>,
    options?: FanoutOptions & { readonly join?: "all" },
  ): Promise<Result[]>;
  <Result = unknown, Input = unknown>(
    name: string,
    children: Children<Input, Result>,
    options: FanoutOptions & { readonly join: "settled" },
  ): Promise<SettledChild<Result>[]>;
  <Result = unknown, Input = unknown>(
    name: string,
    children: Children<Input, Result>,
    options: FanoutOptions & { readonly join: "any" },
  ): Promise<FirstChild<Result>>;
}

/** `run.fanout` of one attempt: creates or finds the children, joins them, records what that gives. */
export function fanoutOver(edges: Edges): RunFanout {
  return <Input, Result>(name: string, given: Children<Input, Result>, options?: FanoutOptions) => {
    const joining = unheard(fannedOut(edges, name, given, options));
    return joining as Promise<never>; // what it is the overloads say
  };
}

async function fannedOut<Input, Result>(
  edges: Edges,
  name: string,
  given: Children<Input, Result>,
  options: FanoutOptions = {},
): Promise<unknown> {
  const { steps, held } = edges.waiting;
  const { join = "all" } = options;
  const children = askForAll(name, held.lease.runId, given, options);
  edges.claim(name, "fanout");
  const content = { join, children: children.map(({ key, content }) => ({ key, ...content })) };
  const claimed = steps.claim(`join:${name}`, "");
  if (claimed.entry !== undefined) {
    const recorded = recordedOf(claimed.entry, content, `Fan-out "${name}"`);
    return isAside(recorded)
      ? joined(name, join, children, await reread(edges, name, children, recorded))
      : recorded;
  }
  const family = new Family(edges, name, children, options);
  const ends = children.length === 0 ? [] : await family.ended();
  const value = joined(name, join, children, ends);
  if (join === "any" && options.cancelRest === true) await family.cancelRest();
  return recorded(edges, claimed, content, value, ends);
}

/** What the caller gets. Throws `fanout_failed`. */
function joined(
  name: string,
  join: FanoutOptions["join"],
  children: readonly AskedChild[],
  ends: readonly FamilyEnd[],
): unknown {
  const settled = ends.map((end, index) => settledOf(end, children[index]?.key ?? ""));
  if (join === "settled") return settled;
  const index = settled.findIndex((one) => one?.status === "completed");
  const first = settled[index];
  if (join === "any" && first?.status === "completed")
    return { index, key: children[index]?.key ?? "", result: first.result };
  const failed = settled.flatMap((one) =>
    one === undefined || one.status === "completed" ? [] : [one.error],
  );
  if (failed.length > 0) throw fanoutFailed(name, children.length, failed, ends);
  return settled.map((one) => (one?.status === "completed" ? one.result : undefined));
}

function settledOf(end: FamilyEnd, key: string): SettledChild | undefined {
  if (end === undefined) return undefined;
  if (end.status === "completed") return { status: end.status, result: end.result };
  return { status: end.status, error: failureOf(end, end.childRunId, key) };
}

const MOST_NAMED = 100;

function fanoutFailed(
  name: string,
  count: number,
  failed: readonly ChildFailure[],
  ends: readonly FamilyEnd[],
): TidebaseError {
  const some = failed.slice(0, 5).map(({ key, childRunId, message }) => {
    return `${called({ name, key })} (${childRunId}): ${message}`;
  });
  const more = failed.length > some.length ? `; and ${failed.length - some.length} more` : "";
  const causes = ends.flatMap((end) =>
    end !== undefined && "cause" in end && end.cause !== undefined ? [end.cause] : [],
  );
  return new TidebaseError(
    "fanout_failed",
    `${failed.length} of the ${count} children of fan-out "${name}" have no result. ${some.join("; ")}${more}. Recover them; the parent finds their new ends when it is begun again.`,
    { name, count, failedCount: failed.length, failed: failed.slice(0, MOST_NAMED) },
    causes.length === 0 ? {} : { cause: causes.length === 1 ? causes[0] : causes },
  );
}

/** Recorded in place of results that are too large together: they stay with the children. */
interface Aside {
  readonly resultsStayWithChildren: true;
  readonly ends: readonly (
    | Exclude<FamilyEnd, { status: "completed" }>
    | { status: "completed"; childRunId: string }
  )[];
}

function isAside(recorded: unknown): recorded is Aside {
  return typeof recorded === "object" && recorded !== null && "resultsStayWithChildren" in recorded;
}

async function recorded(
  edges: Edges,
  claimed: Claimed,
  content: object,
  value: unknown,
  ends: readonly FamilyEnd[],
): Promise<unknown> {
  const { steps } = edges.waiting;
  const contract = { key: "", input: content };
  try {
    return await steps.record(claimed, contract, value);
  } catch (error) {
    if (!(error instanceof TidebaseError) || error.code !== "output_too_large") throw error;
  }
  const kept = ends.map((end) => {
    if (end === undefined) return undefined;
    if (end.status === "completed") return { status: end.status, childRunId: end.childRunId };
    const { cause: _, ...rest } = end;
    return rest;
  });
  await steps.record(claimed, contract, { resultsStayWithChildren: true, ends: kept });
  return value;
}

/** Completed children are final: their results are what they were. */
async function reread(
  edges: Edges,
  name: string,
  children: readonly AskedChild[],
  { ends }: Aside,
): Promise<FamilyEnd[]> {
  const all = await edges.waiting.activity.during(() => edges.list(name, true));
  return ends.map((end, index) => {
    if (end?.status !== "completed") return end;
    const child = all.get(children[index]?.key ?? "");
    const now = child === undefined ? undefined : endOf(child);
    if (now !== undefined) return { ...now, childRunId: end.childRunId };
    const says = `Child ${end.childRunId} of fan-out "${name}" is gone, and its result with it.`;
    throw new TidebaseError("run_not_found", says, { runId: end.childRunId });
  });
}
