import type { z } from "zod";
import type { Scope } from "./access/schema.ts";
import type { Database } from "./database.ts";
import { type ErrorCode, TidebaseError } from "./errors.ts";
import type { Watching } from "./events/watch.ts";
import type { Lease } from "./leases/schema.ts";
import type { Limits } from "./limits.ts";
import { oneLine } from "./payload.ts";
import type { Refusal } from "./webhooks/address.ts";

/** Who calls, as the transport found out; never what a request says of itself. */
export interface Actor {
  readonly name: string;
  readonly scopes: readonly Scope[];
  /**
   * How the transport knows: the id of a key, `page` (a session of the gate page), `tty` (a human at a
   * terminal of this machine), `cli`, `stdio`, `mcp` (an agent over HTTP, `principal` is its key), or
   * `open` (loopback, no key configured).
   */
  readonly via: string;
  /** The key behind a page session, or behind an agent. */
  readonly principal?: string | undefined;
}

interface Context<Code extends ErrorCode = ErrorCode> {
  readonly db: Database;
  readonly actor: Actor;
  readonly limits: Limits;
  /** Aborted when nobody waits for the answer any more, or this process closes the store. */
  readonly signal: AbortSignal;
  /** Tells of changes, to those that wait for one. What is opened here ends with the operation. */
  readonly watch: Watching;
  /** Tells followers and workers of runs that changed besides those the call names. */
  touched(runIds: readonly string[]): void;
  /** Why no message may go to this URL, or undefined. */
  checkUrl(url: string): Promise<Refusal | undefined>;
  /** Makes one of the declared errors. */
  fail(code: Code, data?: Readonly<Record<string, unknown>>): TidebaseError<Code>;
}

type Method = "GET" | "POST";

/**
 * One thing Tidebase can do. Route, SDK types, OpenAPI entry and the data of MCP tools are read
 * from it.
 */
export interface Operation<
  Input extends z.ZodObject = z.ZodObject,
  Output extends z.ZodObject = z.ZodObject,
  Code extends ErrorCode = ErrorCode,
> {
  readonly name: `${string}.${string}`;
  readonly summary: string;
  readonly route: `${Method} /v1/${string}`;
  readonly effect: "read" | "write" | "destroy";
  readonly scope: Scope;
  /**
   * A worker's write: refused with `lease_lost` unless it carries the run's present lease. A test
   * tries every such operation.
   */
  readonly fenced: z.output<Input> extends Lease | { items: Lease[] } ? boolean : false;
  /** Why it is fenced, or why it need not be. */
  readonly because: string;
  readonly input: Input;
  readonly output: Output;
  readonly errors: readonly Code[];
  run(context: Context<Code>, input: z.output<Input>): Promise<z.output<Output>>;
}

/** Declares an operation; the types of `run` come from its schemas and its errors. */
export function operation<
  Input extends z.ZodObject,
  Output extends z.ZodObject,
  const Code extends ErrorCode,
>(definition: Operation<Input, Output, Code>): Operation<Input, Output, Code> {
  return definition;
}

/** What a registry holds: an operation whose own types do not matter. */
export type AnyOperation = Omit<Operation, "fenced"> & { readonly fenced: boolean };

/** The input as the operation declares it; `input_invalid` names every field at fault. */
export function parseInput<Op extends AnyOperation>(
  { input }: Op,
  raw: unknown,
): z.output<Op["input"]> {
  const parsed = input.safeParse(raw, { error: unknownKeys });
  if (parsed.success) return parsed.data as z.output<Op["input"]>;
  const issues = parsed.error.issues.slice(0, 20).map(({ path, message }) => ({
    path: oneLine(path.join(".").slice(0, PATH_MAX)),
    message,
  }));
  throw new TidebaseError("input_invalid", { issues });
}

/** Of a path that is told, in characters: its names may be the caller's. */
const PATH_MAX = 200;
const NAMED_MAX = 5;
const NAME_MAX = 40;

/** Names that no schema knows, the first of them and shortened: zod would repeat all that were sent. */
function unknownKeys(issue: z.core.$ZodRawIssue): string | undefined {
  if (issue.code !== "unrecognized_keys") return undefined;
  const { keys } = issue;
  const named = keys.slice(0, NAMED_MAX).map((key) => `"${oneLine(key.slice(0, NAME_MAX))}"`);
  const more = keys.length > NAMED_MAX ? ` and ${keys.length - NAMED_MAX} more` : "";
  return `Unrecognized key${keys.length === 1 ? "" : "s"}: ${named.join(", ")}${more}`;
}
