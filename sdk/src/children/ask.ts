import type { RegisteredWorkflow } from "../client.ts";
import { encode } from "../encoding/encoding.ts";
import { TidebaseError } from "../errors.ts";
import type { Operations } from "../operations.gen.ts";
import { checkOptions } from "../options.ts";
import type { Workflow } from "../runs/run.ts";
import { type Duration, milliseconds } from "../waits/duration.ts";
import type { OnWait } from "../waits/waits.ts";

/**
 * The code of a child: a registered workflow or its name, or a function, which only this process can
 * execute.
 */
export type ChildWorkflow<Input, Result> =
  | RegisteredWorkflow<Input, Result>
  | Workflow<Input, Result>
  | string;

/** What a child is made of, whoever executes it. */
export interface ChildContent<Input = unknown> {
  /** Tells children of one name apart, in loops and in parallel. */
  readonly key?: string;
  readonly input?: Input;
  /** Short words to filter by. */
  readonly tags?: readonly string[];
  readonly metadata?: Readonly<Record<string, unknown>>;
  /** In a queue: a point is worth a minute of age. */
  readonly priority?: number;
  /** In a queue: failures and lost workers allowed. Default 3. */
  readonly maxAttempts?: number;
  /** Not final so long after its creation: cancelled, reason `deadline`. */
  readonly deadline?: Duration;
}

/** Where children run, and how their parent waits for them. */
export interface ChildPlacement {
  /**
   * Workers of this queue execute it, and the parent suspends until it ends. Default: this process
   * does, under a lease of its own.
   */
  readonly queue?: string;
  /** Goes on when its parent is cancelled, and in this process also when its parent fails. */
  readonly detach?: boolean;
  /** The workflow's name when its code is a function. Default: the name of the child. */
  readonly workflow?: string;
  /** Default: as the parent waits. */
  readonly onWait?: OnWait;
}

/** The names of what a child is made of. */
export const CONTENT_OPTIONS = [
  "key",
  "input",
  "tags",
  "metadata",
  "priority",
  "maxAttempts",
  "deadline",
] as const satisfies readonly (keyof ChildContent)[];

/** The names of what says where a child runs. */
export const PLACEMENT_OPTIONS = [
  "queue",
  "detach",
  "workflow",
  "onWait",
] as const satisfies readonly (keyof ChildPlacement)[];

/** How `run.child` makes a child and waits for it. */
export interface ChildOptions<Input = unknown> extends ChildContent<Input>, ChildPlacement {}

/** A child as this attempt asks for it. */
export interface AskedChild {
  readonly name: string;
  readonly key: string;
  /** Without code it is looked up among the registered workflows. */
  readonly workflow: { readonly name: string; readonly code?: Workflow<never, unknown> };
  readonly isQueued: boolean;
  /** What a replay must ask for again to get the recorded result. */
  readonly content: Readonly<Record<string, unknown>>;
  readonly item: NewChild;
}

/** As it is sent. */
export type NewChild = Operations["children.create"]["input"]["children"][number];

/** The limit of a fan-out in a queue. */
interface Limit {
  readonly concurrencyKey: string;
  readonly keyLimit: number;
}

/** Throws `input_invalid` and UnserializableOutput before any request. */
export function askFor<Input, Result>(
  name: string,
  workflow: ChildWorkflow<Input, Result>,
  options: ChildOptions<Input>,
  limit?: Limit,
): AskedChild {
  const { key = "", input, tags, metadata, queue, detach, priority, maxAttempts } = options;
  const code = typeof workflow === "function" ? (workflow as Workflow<never, unknown>) : undefined;
  const what = `Child ${JSON.stringify(name)}`;
  checkOptions(what, options, [...CONTENT_OPTIONS, ...PLACEMENT_OPTIONS]);
  if (code !== undefined && queue !== undefined)
    throw invalid(`${what} is a function, and the workers of queue "${queue}" need a name`);
  const content = {
    workflow: nameOf(workflow, options.workflow ?? name, what),
    ...(input !== undefined && { input }),
    ...(tags !== undefined && { tags: [...new Set(tags)].sort() }),
    ...(metadata !== undefined && { metadata }),
  };
  const item: NewChild = {
    ...{ ...content, ...encoded(input), name, key },
    ...(queue !== undefined && { queue, ...limit }),
    ...(priority !== undefined && { priority }),
    ...(maxAttempts !== undefined && { maxAttempts }),
    ...(options.deadline !== undefined && { deadlineMs: milliseconds(options.deadline, what) }),
    ...(detach === true && { detached: true }),
  };
  const isQueued = queue !== undefined;
  const asked = { name: content.workflow, ...(code && { code }) };
  return { name, key, workflow: asked, isQueued, content, item };
}

function nameOf(workflow: unknown, own: string, what: string): string {
  if (typeof workflow === "string") return workflow;
  if (typeof workflow === "function") return own;
  const { name } = (workflow ?? {}) as { name?: unknown };
  if (typeof name === "string") return name;
  throw invalid(`${what} needs a registered workflow, its name, or a function`);
}

function encoded(input: unknown): { input?: unknown; inputMeta?: unknown } {
  if (input === undefined) return {};
  const { json, meta } = encode(input);
  return { input: JSON.parse(json), ...(meta !== null && { inputMeta: JSON.parse(meta) }) };
}

function invalid(problem: string): TidebaseError {
  return new TidebaseError("input_invalid", `${problem}.`, {});
}
