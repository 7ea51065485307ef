import { setMaxListeners } from "node:events";
import type { Connection } from "../connection.ts";
import { isTidebaseError, TidebaseError } from "../errors.ts";
import { lineOf, recordFailure } from "../failure.ts";
import type { Lease } from "./lease.ts";

/** What a clean-up is given. */
export interface CancelContext {
  /** Aborted when the grace is over: nobody waits for the clean-up any longer. */
  readonly signal: AbortSignal;
}

/** Undoes what a cancelled run has begun. */
export type CancelHook = (context: CancelContext) => unknown;

/** The server says that there is nothing to clean up, or that it is too late. */
const REFUSALS = [
  "cleanup_over",
  "lease_lost",
  "run_not_cancelled",
  "run_not_found",
  "route_not_found",
] as const;

/** The clean-up of one attempt, once its run was cancelled: at most one in the life of the run. */
export class CleanUp {
  readonly #connection: Connection;
  readonly #lease: Lease;
  readonly #hooks: CancelHook[] = [];
  #running: Promise<void> | undefined;

  constructor(connection: Connection, lease: Lease) {
    this.#connection = connection;
    this.#lease = lease;
  }

  /** The returned function takes the hook out again. */
  add(hook: CancelHook): () => void {
    this.#hooks.push(hook);
    return () => {
      const index = this.#hooks.lastIndexOf(hook);
      if (index >= 0) this.#hooks.splice(index, 1);
    };
  }

  /** Takes the grace and runs the hooks, the latest first. Resolves at their end; never rejects. */
  run(): Promise<void> {
    this.#running ??= this.#hooks.length === 0 ? Promise.resolve() : this.#run();
    return this.#running;
  }

  /** Resolves when no clean-up is under way. */
  get ended(): Promise<void> {
    return this.#running ?? Promise.resolve();
  }

  async #run(): Promise<void> {
    try {
      const { graceMs } = await this.#connection.call("cleanups.begin", this.#lease);
      const failure = await this.#within(graceMs);
      const error = failure === undefined ? {} : { error: lineOf(recordFailure(failure.thrown)) };
      if (failure !== undefined) this.#say("its clean-up failed", failure.thrown);
      await this.#connection.call("cleanups.end", { ...this.#lease, ...error });
    } catch (error) {
      if (!isTidebaseError(error, ...REFUSALS)) this.#say("its clean-up is not recorded", error);
    }
  }

  /** The first failure, or that the time was over. */
  async #within(graceMs: number): Promise<{ readonly thrown: unknown } | undefined> {
    const controller = new AbortController();
    const { signal } = controller;
    setMaxListeners(0, signal);
    const over = new TidebaseError("cleanup_over", `The clean-up took more than ${graceMs} ms.`);
    const isOver = new Promise<never>((_, reject) =>
      signal.addEventListener("abort", () => reject(over), { once: true }),
    );
    const timer = setTimeout(() => controller.abort(over), graceMs);
    let failure: { readonly thrown: unknown } | undefined;
    for (const hook of [...this.#hooks].reverse()) {
      if (signal.aborted) break;
      const work = (async () => hook({ signal }))();
      await Promise.race([work, isOver]).catch((thrown: unknown) => {
        failure ??= { thrown };
      });
    }
    clearTimeout(timer);
    isOver.catch(() => {});
    return failure;
  }

  #say(what: string, error: unknown): void {
    const { message } = recordFailure(error);
    this.#connection.config.log(`Run ${this.#lease.runId}: ${what}. ${message}`);
  }
}
