import type { Connection } from "../connection.ts";
import type { TidebaseError } from "../errors.ts";
import { isLoss } from "../leases/fenced.ts";
import type { HeldLease } from "../leases/lease.ts";
import { OVER, pauseMs, sleep } from "../pause.ts";
import type { RunEvent } from "../runs/events.ts";
import type { Activity } from "./activity.ts";
import { movableClock, pauseBy } from "./movable-clock.ts";
import { Parked } from "./parked.ts";
import { type Awaited, type EndedChild, suspended, union, type WaitList } from "./suspension.ts";
import { watch } from "./watch.ts";

/**
 * How a run waits: `suspend` ends this attempt and frees the process, `block` keeps lease and
 * process until it has happened.
 */
export type OnWait = "suspend" | "block";

/** What a look found: the thing has happened, or how long until time alone ends the wait. */
type Look<Value> = { readonly value: Value } | { readonly leftMs?: number | undefined };

/** What is over so soon is waited for in the process; longer waits suspend the run (model.md §17). */
export const SHORT_WAIT_MS = 30_000;
/** Waits that are not suspended by then are told of the run's events. */
const WATCH_AFTER_MS = 200;
/** So many turns of the event loop without anything new, and every branch is taken to wait. */
const QUIET_TURNS = 2;

/**
 * Where the branches of one attempt wait. When all that are left wait, the attempt is suspended with
 * the union of their waits; while others still work, each goes on as soon as its own has happened.
 */
export class Waits {
  /** Resolves with `run_suspended` when the attempt is over; never when it ends otherwise. */
  readonly suspended: Promise<TidebaseError>;
  readonly #connection: Connection;
  readonly #held: HeldLease;
  readonly #activity: Activity;
  readonly #onWait: OnWait;
  readonly #parked = new Set<Parked>();
  /** What is told of while a look is under way may have come too late for it: `again`. */
  readonly #looking = new Set<{ readonly what: Awaited; again: boolean }>();
  /** Aborted when nobody waits any more. */
  readonly #ended = new AbortController();
  #watchTimer: ReturnType<typeof setTimeout> | undefined;
  #settling = false;
  #asking: Promise<TidebaseError | undefined> | undefined;
  #closed = false;
  /** How often the server said that something has happened and no wait found it. */
  #fruitless = 0;
  #suspend: (reason: TidebaseError) => void = () => {};

  constructor(connection: Connection, held: HeldLease, activity: Activity, onWait: OnWait) {
    this.#connection = connection;
    this.#held = held;
    this.#activity = activity;
    this.#onWait = onWait;
    this.suspended = new Promise((resolve) => {
      this.#suspend = resolve;
    });
    activity.onRest = () => this.#rest();
  }

  /** Whether waits of this attempt keep the process unless they say otherwise. */
  get blocks(): boolean {
    return this.#onWait === "block";
  }

  /**
   * Looks until it has happened and gives what the look found. Rejects when the lease is lost or the
   * attempt given up; never settles once the attempt is suspended.
   */
  async until<Value>(
    what: Awaited,
    onWait: OnWait | undefined,
    look: () => Promise<Look<Value>>,
  ): Promise<Value> {
    const blocks = (onWait ?? this.#onWait) === "block";
    for (;;) {
      const looking = { what, again: false };
      this.#looking.add(looking);
      const found = await this.#activity.during(look).finally(() => this.#looking.delete(looking));
      if ("value" in found) {
        this.#fruitless = 0;
        return found.value;
      }
      if (!looking.again) await this.#park(what, { blocks, leftMs: found.leftMs });
    }
  }

  /**
   * The workflow has ended, which wins over a suspension that is not recorded yet. Gives the reason
   * when one was.
   */
  async close(): Promise<TidebaseError | undefined> {
    this.#closed = true;
    this.end();
    return this.#asking;
  }

  /** Nothing waits any longer but steps that pause between two attempts. */
  end(): void {
    this.#ended.abort(OVER);
    clearTimeout(this.#watchTimer);
    for (const parked of this.#parked) if (parked.what.retry === undefined) parked.drop();
  }

  #park(
    what: Awaited,
    how: { readonly blocks: boolean; readonly leftMs: number | undefined },
  ): Promise<void> {
    const { signal } = this.#held;
    signal.throwIfAborted();
    return new Promise((resolve, reject) => {
      const unheard = this.#followClock(how, () => parked.nudge());
      const leave = () => {
        unheard();
        this.#parked.delete(parked);
      };
      const parked: Parked = new Parked(what, how, signal, { leave, resolve, reject });
      this.#parked.add(parked);
      if ((what.gate ?? what.signal ?? what.hears) !== undefined) this.#watchSoon();
      this.#rest();
    });
  }

  /** A pause of the process, which keeps the lease. Rejects when the attempt is given up. */
  pause(ms: number): Promise<void> {
    return pauseBy(this.#connection.config.url, ms, this.#held.signal);
  }

  /** Nudged whenever a test moves the store's clock, until the returned function is called. */
  #followClock(
    { blocks, leftMs }: { readonly blocks: boolean; readonly leftMs: number | undefined },
    nudge: () => void,
  ): () => void {
    const clock = leftMs === undefined ? undefined : movableClock(this.#connection.config.url);
    if (leftMs === undefined || clock === undefined) return () => {};
    return clock.wait(leftMs, blocks || leftMs <= SHORT_WAIT_MS, nudge);
  }

  #watchSoon(): void {
    if (this.#closed) return;
    this.#watchTimer ??= setTimeout(() => {
      const { runId } = this.#held.lease;
      const { signal } = this.#ended;
      void watch(this.#connection, runId, signal, (event) => this.#nudge(event));
    }, WATCH_AFTER_MS);
  }

  /** Only who waits for what the event tells of looks again; without one, everybody. */
  #nudge(event: RunEvent | undefined): void {
    for (const looking of this.#looking) if (isTold(looking.what, event)) looking.again = true;
    for (const parked of [...this.#parked]) if (isTold(parked.what, event)) parked.nudge();
  }

  #mayRest(): boolean {
    return !this.#closed && this.#parked.size > 0 && this.#activity.isResting;
  }

  /** Called whenever a branch begins to wait, and when the last thing under way has ended. */
  #rest(): void {
    if (this.#settling || !this.#mayRest()) return;
    this.#settling = true;
    void this.#settle();
  }

  /** Other branches get their turn to begin their next step; only when none does it is suspended. */
  async #settle(): Promise<void> {
    try {
      if (this.#fruitless > 0) await sleep(pauseMs(this.#fruitless), this.#ended.signal);
      for (let quiet = 0; quiet < QUIET_TURNS; quiet++) {
        const { begun } = this.#activity;
        await nextTurn();
        if (!this.#mayRest()) return;
        if (begun !== this.#activity.begun) quiet = -1;
      }
      const soon = performance.now() + SHORT_WAIT_MS;
      const waiting = [...this.#parked];
      if (waiting.some(({ blocks, dueAt }) => blocks || dueAt <= soon)) return;
      const waits = union(waiting.map(({ what }) => what));
      if (waits === undefined) return;
      this.#asking = this.#ask(waiting, waits);
      await this.#asking;
    } catch {
      // the workflow has ended meanwhile
    } finally {
      this.#settling = false;
    }
  }

  /** The reason when the run is suspended; undefined when the attempt goes on. */
  async #ask(waiting: readonly Parked[], waits: WaitList): Promise<TidebaseError | undefined> {
    const held = this.#held;
    const { lease, signal } = held;
    let goOn = () => {};
    this.#activity.hold = new Promise((resolve) => {
      goOn = resolve;
    });
    held.isLeaving = true;
    let lost: TidebaseError | undefined;
    try {
      const patienceMs = this.#connection.config.giveUpAfterMs;
      const options = { patienceMs, signal };
      const answer = await this.#connection.call("runs.suspend", { ...lease, waits }, options);
      if (answer.outcome === "waiting") return this.#over(waiting, waits, answer.wakeAt);
      this.#fruitless += 1;
    } catch (error) {
      if (isLoss(error)) lost = error;
      else held.stop(error);
    }
    held.stays(lost);
    this.#asking = undefined;
    this.#settling = false;
    this.#activity.hold = undefined;
    goOn();
    this.#nudge(undefined);
    return undefined;
  }

  #over(waiting: readonly Parked[], waits: WaitList, wakeAt: string | null): TidebaseError {
    const what = waiting.map((parked) => parked.what);
    const reason = suspended(this.#held.lease.runId, what, waits, wakeAt);
    this.#closed = true;
    for (const parked of this.#parked) parked.drop();
    this.end();
    this.#held.stop(reason);
    this.#suspend(reason);
    return reason;
  }
}

/** Whether the event tells of what is waited for. */
function isTold({ gate, signal, hears }: Awaited, event: RunEvent | undefined): boolean {
  if (event === undefined) return true;
  const { gateId, name } = (event.data ?? {}) as { gateId?: unknown; name?: unknown };
  if (event.type.startsWith("gate.")) return gate !== undefined && gate === gateId;
  if (event.type === "signal.sent") return signal !== undefined && signal === name;
  return event.type === "child.ended" && (hears?.(event.data as unknown as EndedChild) ?? false);
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
