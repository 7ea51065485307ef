import type { Connection } from "../connection.ts";
import { decode, encode } from "../encoding/encoding.ts";
import { isTidebaseError, TidebaseError } from "../errors.ts";
import { recordFailure } from "../failure.ts";
import { AttemptGates } from "../gates/gates.ts";
import type { Granted } from "../leases/begin.ts";
import { HeldLease } from "../leases/lease.ts";
import { type Releasable, releaseOnExit } from "../leases/shutdown.ts";
import { sleep } from "../pause.ts";
import { RunState, StateWrites } from "../state.ts";
import { Recorded } from "../steps/recorded.ts";
import { Steps } from "../steps/steps.ts";
import { Activity } from "../waits/activity.ts";
import { sleeping } from "../waits/sleep.ts";
import { waitingFor } from "../waits/wait-for.ts";
import { type OnWait, Waits } from "../waits/waits.ts";
import type { Run, Workflow } from "./run.ts";

/** Whoever is waited for longer is named once. */
const NAME_AFTER_MS = 10_000;
/** On shutdown the functions that are running have so long to end and be recorded. */
const SHUTDOWN_MS = 1000;

/** One attempt at a run: from its grant to its end. */
export class Attempt {
  readonly #connection: Connection;
  readonly #granted: Granted;
  readonly #version: string | undefined;
  readonly #held: HeldLease;
  readonly #recorded: Recorded;
  readonly #activity = new Activity();
  readonly #waits: Waits;
  readonly #steps: Steps;
  #shuttingDown: Promise<void> | undefined;

  constructor(
    connection: Connection,
    granted: Granted,
    runId: string,
    { version, onWait }: { readonly version?: string; readonly onWait?: OnWait } = {},
  ) {
    const { begun, grantId, sentAt, journal } = granted;
    const lease = { runId, epoch: begun.epoch, grantId };
    this.#connection = connection;
    this.#granted = granted;
    this.#version = version ?? connection.config.version;
    this.#held = new HeldLease(lease, begun.leaseMs, sentAt);
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
   * Works on the run to the end of this attempt. `active` holds it meanwhile, for who closes the
   * client.
   */
  async work<Input, Result>(
    workflow: Workflow<Input, Result>,
    active: Set<Releasable>,
  ): Promise<Result> {
    const held = this.#held;
    const release = () => {
      this.#shuttingDown ??= this.#shutDown();
      return this.#shuttingDown;
    };
    const releasable = { release };
    const leaveExit = releaseOnExit(releasable);
    active.add(releasable);
    this.#connection.heartbeat.keep(held);
    try {
      return await this.#toTheEnd(workflow);
    } finally {
      this.#waits.end();
      this.#connection.heartbeat.release(held);
      leaveExit();
      active.delete(releasable);
    }
  }

  async #toTheEnd<Input, Result>(workflow: Workflow<Input, Result>): Promise<Result> {
    const working = settled(() => workflow(this.#run<Input>()));
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

  #run<Input>(): Run<Input> {
    const { lease, signal } = this.#held;
    const { input, inputMeta } = this.#granted.begun;
    const waiting = {
      ...{ connection: this.#connection, held: this.#held, steps: this.#steps },
      ...{ activity: this.#activity, waits: this.#waits },
    };
    const gates = new AttemptGates(waiting);
    return {
      runId: lease.runId,
      input: (input === null && inputMeta === null ? undefined : decode(input, inputMeta)) as Input,
      signal,
      step: this.#steps.step,
      state: new RunState(this.#connection, this.#held, new StateWrites(this.#activity)),
      gate: (name, options) => unheard(gates.decided(name, options)),
      gates,
      sleep: (name, time, options) => unheard(sleeping(waiting, name, time, options)),
      waitFor: (name, options) => unheard(waitingFor(waiting, name, options)),
    };
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
    clock.abort();
  }

  async #complete<Result>(result: Result): Promise<Result> {
    let written: ReturnType<typeof encode>;
    try {
      written = encode(result);
    } catch (error) {
      return this.#fail(error);
    }
    const { json, meta } = written;
    const [value, notes] = [JSON.parse(json), meta === null ? null : JSON.parse(meta)];
    try {
      await this.#connection.call(
        "runs.complete",
        {
          ...{ ...this.#held.lease, ...this.#orphans(), result: value },
          ...(notes !== null && { resultMeta: notes }),
        },
        this.#patience(),
      );
    } catch (error) {
      if (isTidebaseError(error, "payload_too_large", "body_too_large")) return this.#fail(error);
      throw error;
    }
    return decode(notes === null ? value : JSON.parse(json), notes) as Result;
  }

  /** Ends the attempt with its failure; throws what the caller shall get to see. */
  async #fail(error: unknown): Promise<never> {
    const held = this.#held;
    held.stop(error);
    await this.#drained();
    await this.#shuttingDown; // what it threw is the answer to our own abort
    if (held.lost !== undefined) throw held.lost;
    if (held.lapsed !== undefined) throw await this.#handBack(held.lapsed);
    try {
      await this.#connection.call(
        "runs.fail",
        {
          ...{ ...held.lease, ...this.#orphans(), error: { ...recordFailure(error) } },
          failureClass: this.#steps.failureClassOf(error) ?? "workflow_error",
        },
        this.#patience(),
      );
    } catch (unrecorded) {
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

  async #shutDown(): Promise<void> {
    const held = this.#held;
    const { runId } = held.lease;
    const reason = new TidebaseError(
      "run_released",
      `This process is ending; run ${runId} was handed back. Begin it again to go on.`,
      { runId },
    );
    held.stop(reason);
    await Promise.race([this.#steps.settled(), sleep(SHUTDOWN_MS)]);
    await this.#release("shutdown").catch(() => {});
    held.lose(reason);
  }

  async #release(reason: "shutdown" | "handed_back"): Promise<void> {
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

type Settled<Result> =
  | { readonly ok: true; readonly value: Result }
  | { readonly ok: false; readonly error: unknown };

async function settled<Result>(work: () => Result | Promise<Result>): Promise<Settled<Result>> {
  try {
    return { ok: true, value: await work() };
  } catch (error) {
    return { ok: false, error };
  }
}

/**
 * A wait is often begun first and awaited later. When the attempt is given up in between, its
 * rejection must not end the whole process as an unhandled one.
 */
function unheard<Value>(wait: Promise<Value>): Promise<Value> {
  wait.catch(() => {});
  return wait;
}
