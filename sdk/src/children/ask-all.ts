import { inputHash } from "../encoding/input-hash.ts";
import { TidebaseError } from "../errors.ts";
import { checkOptions } from "../options.ts";
import {
  type AskedChild,
  askFor,
  type ChildContent,
  type ChildPlacement,
  type ChildWorkflow,
  CONTENT_OPTIONS,
  PLACEMENT_OPTIONS,
} from "./ask.ts";

/** One part of a fan-out. Its key is its index in the list, unless it says otherwise. */
export interface FanoutChild<Input = unknown, Result = unknown> extends ChildContent<Input> {
  readonly workflow: ChildWorkflow<Input, Result>;
}

const JOINS = ["all", "settled", "any"] as const;
/** As in a queue. */
const CONCURRENCY_MAX = 1_000_000;

/** The names of what a part of a fan-out takes. */
const PART = [...CONTENT_OPTIONS, "workflow"] as const satisfies readonly (keyof FanoutChild)[];

/** The names of what a fan-out takes. */
const FANOUT = [
  ...(["tags", "metadata", "priority", "maxAttempts", "deadline"] as const),
  ...PLACEMENT_OPTIONS,
  ...(["join", "maxConcurrency", "cancelRest"] as const),
] as const satisfies readonly (keyof FanoutOptions)[];

/** How a fan-out makes its children and joins them. */
export interface FanoutOptions
  extends ChildPlacement,
    Pick<ChildContent, "tags" | "metadata" | "priority" | "maxAttempts" | "deadline"> {
  /** See `RunFanout`. Default `all`. */
  readonly join?: (typeof JOINS)[number];
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
  const { queue, maxConcurrency: most, join = "all" } = options;
  const what = `Fan-out ${JSON.stringify(name)}`;
  if (!Array.isArray(given)) throw invalid(`${what} needs a list of children`);
  checkOptions(what, options, FANOUT);
  if (!JOINS.includes(join)) throw invalid(`${what}: join must be ${JOINS.join(", ")}`);
  if (most !== undefined && !(Number.isInteger(most) && most >= 1 && most <= CONCURRENCY_MAX))
    throw invalid(`${what}: maxConcurrency must be a whole number from 1 to ${CONCURRENCY_MAX}`);
  if (join === "any" && given.length === 0)
    throw invalid(`${what} has no child that could give the first result`);
  const limit =
    queue === undefined || most === undefined
      ? undefined
      : { concurrencyKey: keyOf(parentRunId, name), keyLimit: most };
  const { join: _, maxConcurrency: __, cancelRest: ___, ...shared } = options;
  const children = given.map((part, index) => {
    checkOptions(`${what}, child ${index}`, part, PART);
    const { workflow, ...own } = part;
    const key = own.key ?? String(index);
    const child = askFor(name, workflow, { ...shared, ...own, key }, limit);
    return { ...child, item: { ...child.item, fanoutSize: given.length } };
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
