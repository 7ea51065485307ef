import { inputHash } from "../encoding/input-hash.ts";
import { TidebaseError } from "../errors.ts";
import {
  type AskedChild,
  askFor,
  type ChildContent,
  type ChildPlacement,
  type ChildWorkflow,
} from "./ask.ts";

/** One part of a fan-out. Its key is its index in the list, unless it says otherwise. */
export interface FanoutChild<Input = unknown, Result = unknown> extends ChildContent<Input> {
  readonly workflow: ChildWorkflow<Input, Result>;
}

/** How a fan-out makes its children and joins them. */
export interface FanoutOptions
  extends ChildPlacement,
    Pick<ChildContent, "tags" | "metadata" | "priority" | "maxAttempts" | "deadline"> {
  /** See `RunFanout`. Default `all`. */
  readonly join?: "all" | "settled" | "any";
  /** So many run at once. Default: 50 in this process, no limit in a queue. */
  readonly maxConcurrency?: number;
  /**
   * With `any`: the others are cancelled once there is a result, which takes a key with the scope
   * `operate`. Default: they go on.
   */
  readonly cancelRest?: boolean;
}

/** The children as they are sent. Throws `input_invalid`, also for two of one key. */
export function askForAll<Input, Result>(
  name: string,
  parentRunId: string,
  given: readonly FanoutChild<Input, Result>[],
  options: FanoutOptions,
): AskedChild[] {
  const { queue, maxConcurrency: most } = options;
  const what = `Fan-out ${JSON.stringify(name)}`;
  if (!Array.isArray(given)) throw invalid(`${what} needs a list of children`);
  if (most !== undefined && !(Number.isInteger(most) && most >= 1))
    throw invalid(`${what}: maxConcurrency must be a whole number of at least 1`);
  if (options.join === "any" && given.length === 0)
    throw invalid(`${what} has no child that could give the first result`);
  const limit =
    queue === undefined || most === undefined
      ? undefined
      : { concurrencyKey: keyOf(parentRunId, name), keyLimit: most };
  const children = given.map(({ workflow, ...own }, index) => {
    const key = own.key ?? String(index);
    return askFor(name, workflow, { ...options, ...own, key }, limit);
  });
  const seen = new Set<string>();
  for (const { key } of children) {
    if (seen.has(key)) throw invalid(`${what} has two children with key "${key}"`);
    seen.add(key);
  }
  return children;
}

/** Of one fan-out of one run; no longer than a name may be. */
function keyOf(runId: string, name: string): string {
  return `${runId}/${name.length <= 150 ? name : inputHash(name)}`;
}

function invalid(problem: string): TidebaseError {
  return new TidebaseError("input_invalid", `${problem}.`, {});
}
