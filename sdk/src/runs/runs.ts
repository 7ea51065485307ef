import type { Connection } from "../connection.ts";
import { decode, encode } from "../encoding/encoding.ts";
import { plainJson } from "../encoding/plain-json.ts";
import { sentence, TidebaseError } from "../errors.ts";
import { checkRunId, newRunId, newSignalKey } from "../ids.ts";
import type { Operations } from "../operations.gen.ts";
import { type Duration, milliseconds } from "../waits/duration.ts";
import { type EventOptions, followEvents, type RunEvent } from "./events.ts";
import {
  type Applied,
  type Fork,
  type ForkOptions,
  type ForkPlan,
  forked,
  type RerunOptions,
  rerun,
} from "./forks.ts";

type Input<Name extends keyof Operations> = Operations[Name]["input"];
type Output<Name extends keyof Operations> = Operations[Name]["output"];

/** What a new run is made of. */
export interface CreateOptions<Value = unknown> {
  /** Made with `newRunId()`; by default a new one. */
  readonly runId?: string;
  readonly input?: Value;
  /** The same key and content find the same run, for the run's whole life. */
  readonly idempotencyKey?: string;
  /** Short words to filter by. */
  readonly tags?: readonly string[];
  readonly metadata?: Readonly<Record<string, unknown>>;
  /** Names of the webhooks that follow this run, besides those that follow every run. */
  readonly webhooks?: readonly string[];
  /** Not final so long after its creation: cancelled, with the reason `deadline`. */
  readonly deadline?: Duration;
}

/** The names of what a new run is made of. */
export const CREATE_OPTIONS = [
  "runId",
  "input",
  "idempotencyKey",
  "tags",
  "metadata",
  "webhooks",
  "deadline",
] as const satisfies readonly (keyof CreateOptions)[];

/** How a run is cancelled. */
export type CancelOptions = Omit<Input<"runs.cancel">, "runId">;

/** The event that a signal made; `recorded` when it had been sent before. */
export type SignalSent = Output<"signals.send">;

/** How a signal is sent. */
export interface SignalOptions {
  /** The same name and key again changes nothing. Default: a new one for every call. */
  readonly key?: string;
}

/** One run, seen from outside. */
export interface RunHandle<Result = unknown> {
  readonly runId: string;
  get(): Promise<Output<"runs.get">>;
  events(options?: EventOptions): AsyncGenerator<RunEvent, void, undefined>;
  /** Tells the run that something happened; see `Tidebase.signal`. */
  signal(name: string, payload?: unknown, options?: SignalOptions): Promise<SignalSent>;
  /** Ends the run for good; see `Tidebase.cancel`. */
  cancel(options?: CancelOptions): Promise<Output<"runs.cancel">>;
  /**
   * Waits for the end and gives the result. Throws `run_failed` when the run comes to rest in
   * `failed` (it may still be resumed) and `run_cancelled`.
   */
  result(options?: { readonly signal?: AbortSignal }): Promise<Result>;
}

/** Looks at runs and acts on them from outside; `Tidebase.run` works on them. */
export class Runs {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Creates a run that a worker begins later, or finds the one of this id or key. */
  async create(workflow: string, options: CreateOptions = {}): Promise<Output<"runs.create">> {
    return this.#connection.call("runs.create", creation(workflow, options));
  }

  /** The run with its step counts and the verdict. */
  get(runId: string): Promise<Output<"runs.get">> {
    return this.#connection.call("runs.get", { runId });
  }

  /**
   * A page of runs, newest first; `nextCursor` asks for the next with the same filters. It is null at the end alone: a
   * filtered page may be short, or empty, and have one.
   */
  list(filters: Input<"runs.list"> = {}): Promise<Output<"runs.list">> {
    return this.#connection.call("runs.list", filters);
  }

  /** Is it safe to run it again? With the reasons, step by step, and the next action. */
  verdict(runId: string): Promise<Output<"runs.verdict">> {
    return this.#connection.call("runs.verdict", { runId });
  }

  /** Says what a recovery would do (`dryRun`, the default), or makes the run ready to be begun. */
  recover(
    runId: string,
    options: Omit<Input<"runs.recover">, "runId"> = {},
  ): Promise<Output<"runs.recover">> {
    return this.#connection.call("runs.recover", { runId, ...options });
  }

  /** See `Tidebase.fork`. */
  fork(runId: string, options: ForkOptions & Applied): Promise<Fork>;
  fork(runId: string, options?: ForkOptions): Promise<ForkPlan>;
  fork(runId: string, options: ForkOptions = {}): Promise<ForkPlan> {
    return forked(this.#connection, runId, options);
  }

  /** See `Tidebase.rerun`. */
  rerun(runId: string, options: RerunOptions & Applied): Promise<Fork>;
  rerun(runId: string, options?: RerunOptions): Promise<ForkPlan>;
  rerun(runId: string, options: RerunOptions = {}): Promise<ForkPlan> {
    return rerun(this.#connection, runId, options);
  }

  /** See `Tidebase.cancel`. */
  async cancel(runId: string, options: CancelOptions = {}): Promise<Output<"runs.cancel">> {
    checkRunId(runId);
    return this.#connection.call("runs.cancel", { runId, ...options });
  }

  /**
   * Removes what a final run was about, for ever: payloads, state, messages; with `tree` of all runs below it too. Ids,
   * names, keys, tags, statuses and times stay. Throws `run_not_found`, and `run_not_final` while it, its parent or a
   * run below it is not.
   */
  async erase(
    runId: string,
    options: Omit<Input<"runs.erase">, "runId"> = {},
  ): Promise<Output<"runs.erase">> {
    checkRunId(runId);
    return this.#connection.call("runs.erase", { runId, ...options });
  }

  /** A page of the run's steps, by name and key, without outputs. */
  steps(
    runId: string,
    page: Omit<Input<"steps.list">, "runId"> = {},
  ): Promise<Output<"steps.list">> {
    return this.#connection.call("steps.list", { runId, ...page });
  }

  /** The run's events as they happen; ends after the final one. */
  events(runId: string, options: EventOptions = {}): AsyncGenerator<RunEvent, void, undefined> {
    return followEvents(this.#connection, runId, options);
  }

  /** See `Tidebase.signal`. */
  async signal(
    runId: string,
    name: string,
    payload: unknown = null,
    { key = newSignalKey() }: SignalOptions = {},
  ): Promise<SignalSent> {
    checkRunId(runId);
    const plain = plainJson(payload, "signal_not_json", `signal "${name}"`);
    return this.#connection.call("signals.send", { runId, name, payload: plain, key });
  }

  /** A handle on a run that exists, or will. */
  attach<Result = unknown>(runId: string): RunHandle<Result> {
    return {
      runId,
      get: () => this.get(runId),
      events: (options) => this.events(runId, options),
      signal: (name, payload, options) => this.signal(runId, name, payload, options),
      cancel: (options) => this.cancel(runId, options),
      result: (options) => this.#result<Result>(runId, options),
    };
  }

  async #result<Result>(runId: string, options: EventOptions = {}): Promise<Result> {
    for (let afterSeq = 0; ; ) {
      const { run, result, resultMeta } = await this.#connection.call("runs.get", {
        runId,
        include: ["result"],
      });
      if (run.erasedAt !== null)
        throw new TidebaseError("run_erased", `The content of run ${runId} was erased.`, { runId });
      if (run.status === "completed") return decode(result ?? null, resultMeta ?? null) as Result;
      if (run.status === "cancelled")
        throw new TidebaseError("run_cancelled", `Run ${runId} was cancelled.`, { runId });
      if (run.status === "failed") throw failed(runId, run);
      afterSeq = run.lastSeq;
      await this.#untilRest(runId, { ...options, afterSeq });
      options.signal?.throwIfAborted();
    }
  }

  async #untilRest(runId: string, options: EventOptions): Promise<void> {
    const ends = new Set(["run.completed", "run.failed", "run.cancelled"]);
    for await (const { type } of this.events(runId, options)) if (ends.has(type)) return;
  }
}

function failed(runId: string, run: Output<"runs.get">["run"]): TidebaseError {
  const { failureClass, error } = run;
  return new TidebaseError(
    "run_failed",
    `Run ${runId} has failed (${failureClass}): ${sentence(run.errorMessage ?? "no message")} Look at its verdict, then resume it.`,
    { runId, failureClass, error },
  );
}

/**
 * The body of a creation. Without a key it carries an id of our own, so that even then it is safe to
 * send again.
 */
export function creation(workflow: string, options: CreateOptions): Input<"runs.create"> {
  const { idempotencyKey, webhooks } = options;
  if (options.runId !== undefined) checkRunId(options.runId);
  const needsId = options.runId !== undefined || idempotencyKey === undefined;
  return {
    ...contentOf(workflow, options),
    ...(webhooks && { webhooks }),
    ...(idempotencyKey !== undefined && { idempotencyKey }),
    ...(needsId && { runId: options.runId ?? newRunId() }),
  };
}

/** What every new run is made of, whoever makes it. */
export function contentOf(
  workflow: string,
  { input, tags, metadata, deadline }: CreateOptions,
): Pick<
  Input<"runs.create">,
  "workflow" | "input" | "inputMeta" | "tags" | "metadata" | "deadlineMs"
> {
  return {
    ...{ workflow, ...inputOf(input) },
    ...(tags && { tags }),
    ...(metadata && { metadata }),
    ...(deadline !== undefined && { deadlineMs: milliseconds(deadline, "deadline") }),
  };
}

/** The name of a workflow that is given by itself or by its name. */
export function nameOf(workflow: string | { readonly name: string }): string {
  return typeof workflow === "string" ? workflow : workflow.name;
}

function inputOf(input: unknown): { input?: unknown; inputMeta?: unknown } {
  if (input === undefined) return {};
  const { json, meta } = encode(input);
  return { input: JSON.parse(json), ...(meta !== null && { inputMeta: JSON.parse(meta) }) };
}
