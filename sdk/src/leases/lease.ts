import { setMaxListeners } from "node:events";
import { TidebaseError } from "../errors.ts";

/** What every write of a worker carries. */
export interface Lease {
  readonly runId: string;
  readonly epoch: number;
  readonly grantId: string;
}

/**
 * One lease while its run is worked on. Its own monotonic clock, counted from the moment a request
 * was *sent*, ends the work before the server can have given the run to somebody else (model.md §2).
 */
export class HeldLease {
  readonly lease: Lease;
  readonly leaseMs: number;
  /** When the server is known to end it, by `performance.now()`. */
  endsAt: number;
  /** Set when the server said so, or the lease was given away: nothing more is recorded. */
  lost: TidebaseError | undefined;
  /** Set when the clock ran out: no new work, but what is finished is still sent. */
  lapsed: TidebaseError | undefined;
  /** Set while a suspension gives the lease back: that it is lost then is no news yet. */
  isLeaving = false;
  #lostMeanwhile: TidebaseError | undefined;
  readonly #controller = new AbortController();
  readonly #guarded = new Set<(reason: unknown) => void>();

  constructor(lease: Lease, leaseMs: number, sentAt: number) {
    this.lease = lease;
    this.leaseMs = leaseMs;
    this.endsAt = sentAt + leaseMs;
    setMaxListeners(0, this.signal); // each of a thousand parallel steps may listen
  }

  /** Aborted when the lease is lost, may be over, or the attempt is being given up. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** A request sent at this moment was answered: the lease is held for its length from then. */
  extend(sentAt: number): void {
    this.endsAt = Math.max(this.endsAt, sentAt + this.leaseMs);
  }

  /** Ends everything at once: every guarded promise rejects with the reason. */
  lose(reason: TidebaseError): void {
    if (this.lost !== undefined) return;
    if (this.isLeaving) {
      this.#lostMeanwhile ??= reason;
      return;
    }
    this.lost = reason;
    this.stop(reason);
    for (const reject of this.#guarded) reject(reason);
    this.#guarded.clear();
  }

  /** The lease was not given back after all; `lost` says that it is gone all the same. */
  stays(lost: TidebaseError | undefined): void {
    this.isLeaving = false;
    const reason = lost ?? this.#lostMeanwhile;
    if (reason !== undefined) this.lose(reason);
  }

  /** The clock ran out. */
  lapse(): void {
    this.lapsed ??= new TidebaseError(
      "lease_lost",
      `No heartbeat of run ${this.lease.runId} was answered for ${this.leaseMs} ms, so another worker may hold it by now. Begin the run again: what was recorded is kept.`,
      { runId: this.lease.runId, lapsed: true },
    );
    this.stop(this.lapsed);
  }

  /** Tells the work to end; what is finished is still recorded. */
  stop(reason: unknown): void {
    if (!this.signal.aborted) this.#controller.abort(reason);
  }

  /** Rejects as soon as the lease is lost, whatever the work is doing. */
  guard<Value>(work: Promise<Value>): Promise<Value> {
    if (this.lost !== undefined) {
      work.catch(() => {});
      return Promise.reject(this.lost);
    }
    return new Promise((resolve, reject) => {
      this.#guarded.add(reject);
      work.then(
        (value) => {
          this.#guarded.delete(reject);
          resolve(value);
        },
        (error: unknown) => {
          this.#guarded.delete(reject);
          reject(error);
        },
      );
    });
  }
}

/** Why nothing more can be recorded, and what to do. */
export function lossOf(
  outcome: "run_not_found" | "run_cancelled" | "lease_lost" | "input_refused",
  runId: string,
): TidebaseError {
  const says = {
    run_not_found: `Run ${runId} is gone from the server.`,
    run_cancelled: `Run ${runId} was cancelled: stop working on it.`,
    lease_lost: `Another worker holds run ${runId} now, or the run was handed back. Begin it again to go on; what was recorded is kept.`,
    input_refused: `The server cannot read the lease of run ${runId}.`,
  };
  return new TidebaseError(outcome, says[outcome], { runId });
}
