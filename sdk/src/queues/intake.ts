import { randomUUID } from "node:crypto";
import { setMaxListeners } from "node:events";
import type { Connection } from "../connection.ts";
import { newGrantId } from "../ids.ts";
import { type Granted, readJournal } from "../leases/begin.ts";
import { type Holder, thisProcess } from "../leases/holder.ts";
import type { Operations } from "../operations.gen.ts";
import { pauseMs, sleep } from "../pause.ts";
import { Reach } from "./reach.ts";

type Claim = Operations["queues.claim"]["input"];
type Grant = Operations["queues.claim"]["output"]["runs"][number];

/** A claimed run; `granted` reads the rest of its journal. */
export interface Claimed {
  readonly queue: string;
  readonly workflow: string;
  readonly runId: string;
  granted(): Promise<Granted>;
  /** Its function has returned, and only its result is still to be recorded: the next may be claimed. */
  returned(): void;
}

/** What is claimed, and how much of it at once. */
export interface IntakeOptions {
  readonly queues: readonly string[];
  readonly concurrency: number;
  readonly claim: Pick<Claim, "workerId" | "leaseMs" | "version">;
  /** Names of the workflows that may be claimed now. */
  workflows(): readonly string[];
}

interface Source {
  readonly queue: string;
  /** Runs of it whose functions run. */
  active: number;
  /** Slots kept for the claim that is out; 0 when none is. */
  reserved: number;
  /** Its last claim was filled: there may be more. */
  hungry: boolean;
  askedAt: number;
  emptyAt: number;
}

/** The longest that a claim waits; and a quarter of the lease, which counts from when it was sent. */
const LONGEST_WAIT_MS = 20_000;
/** A waiting claim keeps a slot: with other queues about, not for so long. */
const SHARED_WAIT_MS = 5000;
/** There are fewer slots than queues: each waits its turn. */
const TURN_MS = 1000;
/** While another queue has work, one that was empty is asked again after so long. */
const LOOK_AGAIN_MS = 500;
/** Without an answer so long after the wait, the claim is sent again. */
const MARGIN_MS = 10_000;
/** The longest that an end waits for the server, and the pause before it asks once more. */
const HAND_BACK_MS = 2000;
const STRAGGLER_MS = 100;
const MOST = 100;
const DEFAULT_LEASE_MS = 60_000;

let here: Holder | undefined;

/**
 * Claims runs for the free slots of a worker. While no queue has work each has a waiting claim out; as
 * soon as one has, claims do not wait, and a free slot goes to the queue that has the fewest. A claim
 * is sent again under its grant until it is answered, and its slots are kept for it meanwhile: so a
 * lost answer loses no run, and never more functions run than there are slots. A run whose function has
 * returned needs none, while its result is recorded: so claims and records travel at the same time; but
 * when more wait for that than there are slots, nothing more is claimed.
 */
export class Intake {
  readonly #connection: Connection;
  readonly #options: IntakeOptions;
  readonly #take: (claimed: Claimed) => Promise<void>;
  readonly #sources: readonly Source[];
  readonly #reach: Reach;
  readonly #stopping = new AbortController();
  readonly #asking = new Set<Promise<void>>();
  readonly #working = new Set<Promise<void>>();
  #leaseMs: number;
  #isDue = false;
  /** Runs whose functions have returned. */
  #recording = 0;

  /** `take` works on a run to its end; it never rejects. */
  constructor(
    connection: Connection,
    options: IntakeOptions,
    take: (claimed: Claimed) => Promise<void>,
  ) {
    this.#connection = connection;
    this.#options = options;
    this.#take = take;
    this.#leaseMs = options.claim.leaseMs ?? DEFAULT_LEASE_MS;
    this.#reach = new Reach(connection.config);
    const hungry = options.queues.length > 1;
    const unasked = { active: 0, reserved: 0, hungry, askedAt: 0, emptyAt: 0 };
    this.#sources = options.queues.map((queue) => ({ queue, ...unasked }));
    setMaxListeners(0, this.#stopping.signal);
  }

  /** Functions that run. */
  get active(): number {
    return this.#working.size - this.#recording;
  }

  start(): void {
    this.#soon();
  }

  /** Claims nothing more; resolves when whatever was on its way has been handed back. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.all(this.#asking);
  }

  /** Resolves when nothing is worked on or on its way. */
  async idle(): Promise<void> {
    while (this.#asking.size + this.#working.size > 0)
      await Promise.all([...this.#asking, ...this.#working]);
  }

  /** Once for all slots that become free in this turn. */
  #soon(): void {
    if (this.#isDue || this.#stopping.signal.aborted) return;
    this.#isDue = true;
    setImmediate(() => {
      this.#isDue = false;
      while (!this.#stopping.signal.aborted && this.#askNext());
    });
  }

  /** Sends a claim for the queue whose turn it is. False when there is no slot or no queue left. */
  #askNext(): boolean {
    const count = (pick: (source: Source) => number) =>
      this.#sources.reduce((sum, source) => sum + pick(source), 0);
    const { concurrency } = this.#options;
    const late = Math.max(0, this.#recording - concurrency);
    const unused = concurrency - late - count(({ active }) => active);
    const free = unused - count(({ reserved }) => reserved);
    if (free <= 0) return false;
    const isAlone = this.#sources.length === 1;
    const isBusy = !isAlone && this.#sources.some(({ hungry }) => hungry);
    const due = performance.now() - LOOK_AGAIN_MS;
    const candidates = this.#sources
      .filter(({ reserved }) => reserved === 0)
      .filter(({ hungry, emptyAt }) => !isBusy || hungry || emptyAt <= due)
      .sort((a, b) => a.active - b.active || a.askedAt - b.askedAt);
    const [source] = candidates;
    if (source === undefined) return false;
    const share = isBusy ? Math.ceil(free / candidates.length) : isAlone ? free : 1;
    const shared = unused >= this.#sources.length ? SHARED_WAIT_MS : TURN_MS;
    const longest = isBusy ? 0 : isAlone ? LONGEST_WAIT_MS : shared;
    const waitMs = Math.floor(Math.min(longest, this.#leaseMs / 4));
    this.#track(this.#asking, this.#ask(source, Math.min(share, MOST), waitMs));
    return true;
  }

  async #ask(source: Source, limit: number, waitMs: number): Promise<void> {
    const { queue } = source;
    source.reserved = limit;
    source.askedAt = performance.now();
    const grantId = newGrantId();
    const runs = await this.#claim({ queue, grantId, limit, waitMs });
    source.reserved = 0;
    source.hungry = runs.length >= limit;
    if (runs.length === 0) source.emptyAt = performance.now();
    for (const run of runs) {
      this.#leaseMs = run.leaseMs;
      this.#begin(source, run, grantId);
    }
  }

  #begin(source: Source, run: Grant, grantId: string): void {
    const { runId, workflow } = run;
    const { queue, askedAt: sentAt } = source;
    const granted = async () => {
      try {
        const journal = await readJournal(this.#connection.call, runId, run);
        return { begun: run, grantId, sentAt, journal };
      } catch (error) {
        await this.#handBack(grantId, [run]);
        throw error;
      }
    };
    let isRunning = true;
    source.active += 1;
    const returned = () => {
      if (!isRunning) return;
      isRunning = false;
      source.active -= 1;
      this.#recording += 1;
      this.#soon();
    };
    const work = this.#take({ queue, workflow, runId, granted, returned });
    const settled = work.finally(() => {
      if (isRunning) source.active -= 1;
      else this.#recording -= 1;
    });
    this.#track(this.#working, settled);
  }

  /** Until it is answered. None when the worker stops meanwhile: then what it granted is handed back. */
  async #claim(asked: Pick<Claim, "queue" | "grantId" | "limit" | "waitMs">) {
    const { signal } = this.#stopping;
    here ??= thisProcess();
    const known = { ...this.#options.claim, holder: here, workflows: this.#options.workflows() };
    const timeoutMs = (asked.waitMs ?? 0) + MARGIN_MS;
    const options = { patienceMs: 0, timeoutMs, poll: { signal } };
    for (let failures = 0; ; ) {
      try {
        const { runs } = await this.#connection.call(
          "queues.claim",
          { ...known, ...asked },
          options,
        );
        this.#reach.answered();
        if (!signal.aborted) return runs;
        await this.#handBack(asked.grantId, runs);
        return [];
      } catch (error) {
        if (signal.aborted) {
          await this.#handBackUnheard(asked.queue, asked.grantId);
          return [];
        }
        failures += 1;
        this.#reach.failed(error, failures);
        await sleep(pauseMs(failures), signal).catch(() => {});
      }
    }
  }

  /**
   * The recalled claim may have been granted all the same, or be granted at this very moment: it is
   * asked for its own grants, and once more a little later. No run has this workflow, so that no other
   * is claimed.
   */
  async #handBackUnheard(queue: string, grantId: string): Promise<void> {
    const workflows = [`nobody's ${randomUUID()}`];
    const options = { patienceMs: HAND_BACK_MS, timeoutMs: HAND_BACK_MS };
    try {
      for (const pause of [0, STRAGGLER_MS]) {
        if (pause > 0) await sleep(pause);
        const own = { queue, grantId, workflows };
        const { runs } = await this.#connection.call("queues.claim", own, options);
        await this.#handBack(grantId, runs);
      }
    } catch {
      // nobody answers: the lease ends by itself
    }
  }

  async #handBack(grantId: string, runs: readonly Grant[]): Promise<void> {
    const options = { patienceMs: HAND_BACK_MS, timeoutMs: HAND_BACK_MS };
    const releases = runs.map(({ runId, epoch }) => {
      const lease = { runId, epoch, grantId, reason: "shutdown" as const };
      return this.#connection.call("runs.release", lease, options).catch(() => {});
    });
    await Promise.all(releases);
  }

  #track(all: Set<Promise<void>>, one: Promise<void>): void {
    all.add(one);
    void one.finally(() => {
      all.delete(one);
      this.#soon();
    });
  }
}
