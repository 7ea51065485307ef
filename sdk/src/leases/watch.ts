import { isTidebaseError } from "../errors.ts";
import { pauseMs } from "../pause.ts";
import type { Call } from "../transport/calls.ts";
import { type HeldLease, lossOf } from "./lease.ts";

/** A run that ends sooner costs no request; and what changes within this time is asked for at once. */
const AFTER_MS = 500;
const WAIT_MS = 20_000;
const TIMEOUT_MS = WAIT_MS + 10_000;
/** The server takes so many in one request; the heartbeat tells of the others. */
const MOST = 1000;

interface Asking {
  readonly of: ReadonlySet<HeldLease>;
  readonly recall: AbortController;
}

/**
 * Learns at once when a lease of this process is lost, as by a cancellation: one long poll for all of
 * them, which does not keep the process alive. The heartbeat says the same, only later: so a server
 * that does not know the operation, or does not answer, is no failure.
 */
export class LeaseWatch {
  readonly #call: Call;
  /** When each was taken, by `performance.now()`; the oldest first. */
  readonly #held = new Map<HeldLease, number>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #asking: Asking | undefined;
  #failures = 0;
  #isOff = false;

  constructor(call: Call) {
    this.#call = call;
  }

  /** Watches until `release`, or until the lease is lost. */
  keep(held: HeldLease): void {
    this.#held.set(held, performance.now());
    this.#wind(AFTER_MS);
  }

  release(held: HeldLease): void {
    this.#held.delete(held);
    if (this.#held.size > 0) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#asking?.recall.abort();
  }

  #wind(ms: number): void {
    if (this.#isOff || this.#timer !== undefined || this.#held.size === 0) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#look();
    }, ms);
    this.#timer.unref?.();
  }

  #look(): void {
    const due = performance.now() - AFTER_MS + 1;
    const old = Array.from(this.#held).filter(([, since]) => since <= due);
    if (old.length < this.#held.size) this.#wind(AFTER_MS);
    const leases = old.slice(-MOST).map(([held]) => held);
    if (leases.length === 0) return;
    const asking = this.#asking;
    if (asking === undefined) void this.#ask(leases);
    else if (leases.some((held) => !asking.of.has(held))) asking.recall.abort();
  }

  async #ask(leases: readonly HeldLease[]): Promise<void> {
    const asking = { of: new Set(leases), recall: new AbortController() };
    const { signal } = asking.recall;
    this.#asking = asking;
    try {
      const items = leases.map(({ lease }) => lease);
      const poll = { signal, keepsAlive: false };
      const options = { patienceMs: 0, timeoutMs: TIMEOUT_MS, poll };
      const { results } = await this.#call("runs.watch", { items, waitMs: WAIT_MS }, options);
      this.#failures = 0;
      for (const [index, held] of leases.entries()) {
        const outcome = results[index]?.outcome ?? "held";
        if (outcome !== "held" && this.#held.delete(held))
          held.lose(lossOf(outcome, held.lease.runId));
      }
    } catch (error) {
      if (!signal.aborted) this.#failures += 1;
      this.#isOff = isTidebaseError(error, "route_not_found", "client_closed");
    }
    this.#asking = undefined;
    const pause = this.#failures === 0 ? 0 : pauseMs(this.#failures);
    this.#wind(signal.aborted ? 1 : AFTER_MS + pause);
  }
}
