import { AttemptWrites } from "../attempt-writes.ts";
import { childOf } from "../children/child.ts";
import { Edges, type WorkOnChild } from "../children/edges.ts";
import { fanoutOver } from "../children/fanout.ts";
import { type AttemptOptions, beginChild, withParent } from "../children/in-process.ts";
import type { Connection } from "../connection.ts";
import { decode, type Encoded, encode } from "../encoding/encoding.ts";
import { isTidebaseError, TidebaseError } from "../errors.ts";
import { recordFailure } from "../failure.ts";
import { AttemptGates } from "../gates/gates.ts";
import type { Granted } from "../leases/begin.ts";
import { CleanUp } from "../leases/clean-up.ts";
import { fenced, isLoss } from "../leases/fenced.ts";
import { HeldLease } from "../leases/lease.ts";
import type { Releasable } from "../leases/shutdown.ts";
import { OVER, sleep } from "../pause.ts";
import { RunState } from "../state.ts";
import { Recorded } from "../steps/recorded.ts";
import { Steps } from "../steps/steps.ts";
import { unheard } from "../unheard.ts";
import { RunUsage } from "../usage/run-usage.ts";
import { Activity } from "../waits/activity.ts";
import { type Duration, milliseconds } from "../waits/duration.ts";
import { sleeping } from "../waits/sleep.ts";
import { waitingFor } from "../waits/wait-for.ts";
import { Waits } from "../waits/waits.ts";
import { isFatal } from "./fatal-error.ts";
import { recordResult } from "./result.ts";
import type { Run, Workflow } from "./run.ts";
import { settled } from "./settled.ts";

/** Whoever is waited for longer is named once. */
const NAME_AFTER_MS = 10_000;
/** On shutdown the functions that are running have so long to end and be recorded. */
const SHUTDOWN_MS = 1000;
/** A workflow whose run was cancelled has so long to end before it is cleaned up after; half its lease if that is less. */
const CANCELLED_MS = 1000;

/** Takes note of a run that is worked on, for whoever has to release it; the result forgets it. */
export type Hold = (run: Releasable) => () => void;

/** What an attempt takes that its children do not. */
interface OwnOptions extends AttemptOptions {
  /** Called when the workflow has returned and its result is about to be recorded. */
  readonly onReturned?: () => void;
}

/** One attempt at a run: from its grant to its end. */
export class Attempt {
  readonly #connection: Connection;
  readonly #granted: Granted;
  readonly #options: AttemptOptions;
  readonly #onReturned: (() => void) | undefined;
  readonly #version: string | undefined;
  readonly #held: HeldLease;
  readonly #recorded: Recorded;
  readonly #activity = new Activity();
  readonly #waits: Waits;
  readonly #steps: Steps;
  readonly #cleanUp: CleanUp;
  #shuttingDown: Promise<void> | undefined;
  /** What the workflow returned is on its way to the store; resolves to whether it got there. */
  #recording: Promise<boolean> = Promise.resolve(false);

  constructor(
    connection: Connection,
    granted: Granted,
    runId: string,
    { onReturned, ...options }: OwnOptions = {},
  ) {
    const { version, onWait } = options;
    this.#onReturned = onReturned;
    const { begun, grantId, sentAt, journal } = granted;
    const lease = { runId, epoch: begun.epoch, grantId };
    this.#connection = connection;
    this.#granted = granted;
    this.#options = options;
    this.#version = version ?? connection.config.version;
    this.#held = new HeldLease(lease, begun.leaseMs, sentAt);
    this.#cleanUp = new CleanUp(connection, lease);
    this.#recorded = new Recorded(journal, begun.unfinished);
    const onWaits = onWait ?? connection.config.onWait;
    this.#waits = new Waits(connection, this.#held, this.#activity, onWaits);
    const readInput = async (name: string, key: string) => {
      const { step } = await connection.call("steps.get", { runId, name, key });
      return step.input;
    };
    const around = { activity: this.#activity, waits: this.#waits };
    this.#steps = new Steps(this.#held, this.#recorded, connection.lanes, readInput, around);
  }

  /**
   * Works on the run to the end of this attempt, and on its clean-up when it was cancelled. With
   * `parent`, the signal of the attempt that executes it as its child, it is handed back when that is
   * given up.
   */
  async work<Input, Result>(
    workflow: Workflow<Input, Result>,
    hold: Hold,
    parent?: AbortSignal,
  ): Promise<Result> {
    const held = this.#held;
    const release = () => {
      this.#shuttingDown ??= this.#shutDown(ending(held.lease.runId), SHUTDOWN_MS);
      return this.#shuttingDown;
    };
    const letGo = hold({ release });
    this.#connection.heartbeat.keep(held);
    this.#connection.watch.keep(held);
    held.signal.addEventListener("abort", () => this.#cancelledSoon(), { once: true });
    try {
      const work = this.#toTheEnd(workflow, hold);
      if (parent === undefined) return await work;
      const handBack = this.#handBackChild.bind(this);
      return await withParent(parent, held.lease.runId, work, handBack);
    } finally {
      this.#waits.end();
      this.#connection.heartbeat.release(held);
      this.#connection.watch.release(held);
      if (held.lost?.code === "run_cancelled") await this.#cleanUp.run();
      letGo();
    }
  }

  /** A workflow that does not listen to its signal does not keep its clean-up waiting. */
  #cancelledSoon(): void {
    if (this.#held.lost?.code !== "run_cancelled") return;
    const waitMs = Math.min(CANCELLED_MS, this.#held.leaseMs / 2); // the clean-up must begin within the lease
    void sleep(waitMs).then(() => this.#cleanUp.run());
  }

  async #toTheEnd<Input, Result>(workflow: Workflow<Input, Result>, hold: Hold): Promise<Result> {
    const working = settled(() => workflow(this.#run<Input>(hold)));
    await Promise.race([working, this.#waits.suspended]);
    const suspension = await this.#waits.close();
    if (suspension !== undefined) throw suspension;
    const ended = await working;
    if (!ended.ok) return this.#fail(ended.error);
    await this.#drained();
    if (this.#held.lost !== undefined) throw this.#held.lost;
    if (this.#held.lapsed !== undefined) throw await this.#handBack(this.#held.lapsed);
    return this.#complete(ended.value);
  }

  /** As `tide.run` does on any run. */
  async #workOnChild(
    hold: Hold,
    ...[runId, workflow, parent]: Parameters<WorkOnChild>
  ): Promise<unknown> {
    const child = await beginChild(this.#connection, runId, workflow, this.#options);
    if ("result" in child) return child.result;
    const attempt = new Attempt(this.#connection, child.granted, runId, this.#options);
    return attempt.work(child.code, hold, parent);
  }

  async #handBackChild(reason: TidebaseError, isExit: boolean): Promise<TidebaseError> {
    this.#shuttingDown ??= this.#shutDown(reason, isExit ? SHUTDOWN_MS : undefined);
    await this.#shuttingDown;
    return this.#held.lost ?? reason;
  }

  #run<Input>(hold: Hold): Run<Input> {
    const { lease, signal } = this.#held;
    const { input, inputMeta } = this.#granted.begun;
    const waiting = {
      ...{ connection: this.#connection, held: this.#held, steps: this.#steps },
      ...{ activity: this.#activity, waits: this.#waits },
    };
    const gates = new AttemptGates(waiting);
    const writes = new AttemptWrites(this.#connection, this.#held, this.#activity);
    const edges = new Edges(waiting, (...child) => this.#workOnChild(hold, ...child));
    return {
      runId: lease.runId,
      input: (input === null && inputMeta === null ? undefined : decode(input, inputMeta)) as Input,
      signal,
      step: this.#steps.step,
      state: new RunState(lease, writes),
      usage: new RunUsage(lease, writes),
      gate: (name, options) => unheard(gates.decided(name, options)),
      gates,
      sleep: (name, time, options) => unheard(sleeping(waiting, name, time, options)),
      waitFor: (name, options) => unheard(waitingFor(waiting, name, options)),
      child: (name, workflow, options) => unheard(childOf(edges, name, workflow, options)),
      fanout: fanoutOver(edges),
      onCancel: (hook) => this.#cleanUp.add(hook),
      extendDeadline: (duration) => unheard(this.#extendDeadline(duration)),
    };
  }

  async #extendDeadline(duration: Duration): Promise<Date> {
    const deadlineMs = milliseconds(duration, "run.extendDeadline");
    const { lease } = this.#held;
    const { deadlineAt } = await this.#activity.during(() =>
      fenced(this.#connection, this.#held, "runs.deadline", { ...lease, deadlineMs }),
    );
    return new Date(deadlineAt ?? Number.NaN);
  }

  /** Every step that is still running ends and is recorded before the lease is given away. */
  async #drained(): Promise<void> {
    if (this.#steps.inFlight.length === 0) return;
    const clock = new AbortController();
    const name = () => {
      const names = this.#steps.inFlight.join(", ");
      this.#connection.config.log(
        `Run ${this.#held.lease.runId} waits for steps that are still running: ${names}.`,
      );
    };
    sleep(NAME_AFTER_MS, clock.signal).then(name, () => {});
    const settled = this.#steps.settled();
    await this.#held.guard(settled).catch(() => {}); // lost: nothing more can be recorded
    clock.abort(OVER);
  }

  async #complete<Result>(result: Result): Promise<Result> {
    let written: Encoded;
    try {
      written = encode(result);
    } catch (error) {
      return this.#fail(error);
    }
    const { json, meta } = written;
    this.#onReturned?.();
    this.#connection.watch.release(this.#held);
    const recorded = recordResult(this.#connection, this.#held.lease, written, this.#orphans());
    this.#recording = recorded.then(
      () => true,
      () => false,
    );
    try {
      await recorded;
    } catch (error) {
      if (isTidebaseError(error, "payload_too_large", "body_too_large")) return this.#fail(error);
      if (isLoss(error)) this.#held.lose(error);
      throw error;
    }
    return decode(JSON.parse(json), meta === null ? null : JSON.parse(meta)) as Result;
  }

  /** Ends the attempt with its failure; throws what the caller shall get to see. */
  async #fail(error: unknown): Promise<never> {
    const held = this.#held;
    held.stop(error);
    await this.#drained();
    await this.#shuttingDown; // what it threw is the answer to our own abort
    if (held.lost !== undefined) throw held.lost;
    if (held.lapsed !== undefined) throw await this.#handBack(held.lapsed);
    this.#connection.watch.release(held);
    try {
      await this.#connection.call(
        "runs.fail",
        {
          ...{ ...held.lease, ...this.#orphans(), error: { ...recordFailure(error) } },
          failureClass: this.#steps.failureClassOf(error) ?? "workflow_error",
          ...(isFatal(error) && { retryable: false }),
        },
        this.#patience(),
      );
    } catch (unrecorded) {
      if (isLoss(unrecorded)) held.lose(unrecorded);
      if (isTidebaseError(unrecorded, "run_cancelled")) throw unrecorded;
      const why = unrecorded instanceof Error ? unrecorded.message : String(unrecorded);
      this.#connection.config.log(`Run ${held.lease.runId}: its failure is not recorded. ${why}`);
    }
    throw error;
  }

  /** The clock ran out, but perhaps nobody has taken the run: then the next one need not wait. */
  async #handBack(reason: TidebaseError): Promise<TidebaseError> {
    await this.#release("handed_back").catch(() => {});
    return reason;
  }

  /** Without a limit no timer keeps the process: whoever works keeps it. */
  async #shutDown(reason: TidebaseError, longestMs: number | undefined): Promise<void> {
    const held = this.#held;
    held.stop(reason);
    const clock = new AbortController();
    const settled = Promise.all([this.#recording, this.#steps.settled(), this.#cleanUp.ended]);
    const limit = longestMs === undefined ? [] : [sleep(longestMs, clock.signal).then(() => [])];
    const [isRecorded] = await Promise.race([settled, ...limit]);
    clock.abort(OVER);
    if (isRecorded === true) return;
    await this.#release("shutdown").catch((error: unknown) => {
      if (isLoss(error)) held.lose(error); // a cancelled run has a clean-up
    });
    held.lose(reason);
  }

  async #release(reason: "shutdown" | "handed_back"): Promise<void> {
    this.#connection.watch.release(this.#held);
    if (this.#held.lost !== undefined) return;
    const options = { patienceMs: SHUTDOWN_MS, timeoutMs: SHUTDOWN_MS };
    await this.#connection.call("runs.release", { ...this.#held.lease, reason }, options);
  }

  /** Recorded steps that other code asked for and this code never did (model.md §3). */
  #orphans(): { orphanedSteps?: { name: string; key: string }[] } {
    const { previousVersion } = this.#granted.begun;
    if (previousVersion === null || previousVersion === this.#version) return {};
    const orphanedSteps = this.#recorded.orphans();
    return orphanedSteps.length === 0 ? {} : { orphanedSteps };
  }

  #patience() {
    return { patienceMs: this.#connection.config.giveUpAfterMs };
  }
}

function ending(runId: string): TidebaseError {
  const says = `This process is ending; run ${runId} was handed back. Begin it again to go on.`;
  return new TidebaseError("run_released", says, { runId });
}
