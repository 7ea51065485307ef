import type { Connection } from "../connection.ts";
import { isTidebaseError } from "../errors.ts";
import { lineOf, recordFailure } from "../failure.ts";
import { newWorkerId } from "../ids.ts";
import { type Releasable, releaseAll, releaseOnExit } from "../leases/shutdown.ts";
import { LONGEST_TIMER_MS } from "../pause.ts";
import { Attempt, type Hold } from "../runs/attempt.ts";
import type { Workflow } from "../runs/run.ts";
import { tell } from "../unheard.ts";
import { type Claimed, Intake } from "./intake.ts";

/** A run of a queue, named for whoever is told of its failure. */
export interface WorkedRun {
  readonly runId: string;
  readonly workflow: string;
  readonly queue: string;
}

/** How a worker works. */
export interface WorkOptions {
  /** Whose runs it claims, in turn when all have work. Default `["default"]`. */
  readonly queues?: readonly string[];
  /** Runs worked on at once. Default 10. */
  readonly concurrency?: number;
  /** Only runs of these registered workflows. Default: all that are registered. */
  readonly workflows?: readonly (string | { readonly name: string })[];
  /** Length of a lease in milliseconds; by default the client's, then the server's (60 s). */
  readonly leaseMs?: number;
  /** Version of the workflows' code. */
  readonly version?: string;
  /** When it stops, what it works on has so long to end before it is handed back. Default 7 s. */
  readonly drainMs?: number;
  /** Told of every attempt that failed or was lost. Default: the client's log. */
  readonly onError?: (error: unknown, run: WorkedRun) => void;
}

/** How a worker stops. */
export interface StopOptions {
  /** What is worked on has so long to end. Default: the worker's. */
  readonly drainMs?: number;
}

/** Works on the runs of queues until it is stopped, by a call or by SIGTERM and SIGINT. */
export interface Worker {
  /** Its name in `queues.get`: a new one for every worker. */
  readonly workerId: string;
  /** Runs it is working on. */
  readonly active: number;
  /** Resolves when it has stopped. Never rejects. */
  readonly done: Promise<void>;
  /**
   * Claims nothing more, waits for what it works on and hands the rest back, without using an
   * attempt; what was recorded is kept. Called again it may only shorten the wait. Never rejects.
   */
  stop(options?: StopOptions): Promise<void>;
}

/** The workflows that may be claimed now, by name. */
type Registered = () => ReadonlyMap<string, Workflow<never, unknown>>;

const DRAIN_MS = 7_000; // Docker kills after 10 s

/** See `Worker`. It works from its making on. */
export class QueueWorker implements Worker, Releasable {
  readonly workerId = newWorkerId();
  readonly done: Promise<void>;
  readonly #connection: Connection;
  readonly #options: WorkOptions;
  readonly #registered: Registered;
  readonly #intake: Intake;
  readonly #held = new Set<Releasable>();
  /** Aborted when nothing is waited for any longer. */
  readonly #hurry = new AbortController();
  #stopping: Promise<void> | undefined;
  #settle: () => void = () => {};

  constructor(connection: Connection, options: WorkOptions, registered: Registered) {
    this.#connection = connection;
    this.#options = options;
    this.#registered = registered;
    this.done = new Promise((resolve) => {
      this.#settle = resolve;
    });
    const { queues = ["default"], concurrency = 10 } = options;
    const leaseMs = options.leaseMs ?? connection.config.leaseMs;
    const version = options.version ?? connection.config.version;
    const claim = {
      workerId: this.workerId,
      ...(leaseMs !== undefined && { leaseMs }),
      ...(version !== undefined && { version }),
    };
    const asked = { queues, concurrency, claim, workflows: () => [...registered().keys()] };
    this.#intake = new Intake(connection, asked, (claimed) => this.#work(claimed));
    const leaveExit = releaseOnExit(this);
    void this.done.then(leaveExit);
    this.#intake.start();
  }

  get active(): number {
    return this.#intake.active;
  }

  stop({ drainMs = this.#options.drainMs ?? DRAIN_MS }: StopOptions = {}): Promise<void> {
    if (drainMs <= 0) this.#hurry.abort();
    const clock = setTimeout(() => this.#hurry.abort(), Math.min(drainMs, LONGEST_TIMER_MS));
    this.#stopping ??= this.#stop();
    return this.#stopping.finally(() => clearTimeout(clock));
  }

  drain(): Promise<void> {
    return this.stop();
  }

  release(): Promise<void> {
    return this.stop({ drainMs: 0 });
  }

  async #stop(): Promise<void> {
    const { signal } = this.#hurry;
    const handedBack = this.#intake.stop();
    const hurried = new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      signal.addEventListener("abort", () => resolve(), { once: true });
    });
    await Promise.race([this.#intake.idle(), hurried]);
    await releaseAll(this.#held);
    await handedBack;
    this.#settle();
  }

  /** To the end of the attempt, whatever the workflow does. Never rejects. */
  async #work({ queue, workflow, runId, granted, returned }: Claimed): Promise<void> {
    const hold: Hold = (run) => {
      this.#held.add(run);
      if (this.#hurry.signal.aborted) void run.release();
      return () => void this.#held.delete(run);
    };
    try {
      const code = this.#registered().get(workflow) as Workflow<unknown, unknown>;
      const options = { ...this.#options, onReturned: returned };
      const attempt = new Attempt(this.#connection, await granted(), runId, options);
      await attempt.work(code, hold);
    } catch (error) {
      if (!isQuiet(error, runId)) this.#tell(error, { runId, workflow, queue });
    }
  }

  #tell(error: unknown, run: WorkedRun): void {
    const { onError } = this.#options;
    const line = lineOf(recordFailure(error));
    if (onError) tell(() => onError(error, run));
    else this.#connection.config.log(`Run ${run.runId} (${run.workflow}) has failed: ${line}`);
  }
}

/** The attempt ended as somebody wanted: no failure of the run. */
function isQuiet(error: unknown, runId: string): boolean {
  const isEnd = isTidebaseError(error, "run_suspended", "run_released", "run_cancelled");
  return isEnd && error.data["runId"] === runId;
}
