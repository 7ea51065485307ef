import type { Lanes } from "../transport/lanes.ts";
import { type HeldLease, lossOf } from "./lease.ts";

/** A part of the lease that is kept back, so that a late timer is still in time. */
const MARGIN = 0.05;
/** A timer that is this late tells that the whole process stood still, its work included. */
const STALLED_MS = 250;

interface Beating {
  readonly held: HeldLease;
  beatAt: number;
  /** The clock is read again at this moment. */
  lapseAt: number;
  /** Beats that are out. */
  unanswered: number;
}

/**
 * Keeps the leases of this process: each is extended at a third of its length, those that are due
 * at about the same time in one request. Its timer does not keep the process alive.
 */
export class Heartbeat {
  readonly #lanes: Lanes;
  readonly #beating = new Map<HeldLease, Beating>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(lanes: Lanes) {
    this.#lanes = lanes;
  }

  /** Beats until `release`, or until the lease is lost or lapsed. */
  keep(held: HeldLease): void {
    const beating = { held, beatAt: 0, lapseAt: 0, unanswered: 0 };
    beating.beatAt = held.endsAt - (held.leaseMs * 2) / 3;
    beating.lapseAt = lapseOf(held);
    this.#beating.set(held, beating);
    this.#wind();
  }

  release(held: HeldLease): void {
    this.#beating.delete(held);
    if (this.#beating.size === 0) clearTimeout(this.#timer);
  }

  #wind(): void {
    clearTimeout(this.#timer);
    if (this.#beating.size === 0) return;
    let next = Number.POSITIVE_INFINITY;
    for (const { beatAt, lapseAt } of this.#beating.values())
      next = Math.min(next, beatAt, lapseAt);
    this.#timer = setTimeout(() => this.#tick(), Math.max(1, next - performance.now()));
    this.#timer.unref?.();
  }

  #tick(): void {
    const now = performance.now();
    for (const beating of this.#beating.values()) {
      const { held, beatAt, lapseAt } = beating;
      if (now >= lapseAt) this.#late(beating, now);
      else if (beatAt - now < held.leaseMs / 6) this.#beat(beating, now);
    }
    this.#wind();
  }

  /**
   * The clock ran out. When the timer itself is late, this process stood still (a long computation,
   * a machine asleep) and none of its work went on meanwhile: then the server is asked once before
   * the attempt is given up.
   */
  #late(beating: Beating, now: number): void {
    const stalled = now - beating.lapseAt > STALLED_MS;
    if (stalled) {
      beating.lapseAt = now + beating.held.leaseMs / 3;
      this.#beat(beating, now);
    } else {
      this.#beating.delete(beating.held);
      beating.held.lapse();
    }
  }

  #beat(beating: Beating, now: number): void {
    const { held } = beating;
    beating.beatAt = now + held.leaseMs / 3;
    // One that is not answered by now may wait for another run of its request, which somebody holds locked.
    const way = beating.unanswered > 0 ? this.#lanes.heartbeatAlone : this.#lanes.heartbeat;
    beating.unanswered += 1;
    way(JSON.stringify(held.lease)).then(
      ({ outcome }) => {
        beating.unanswered -= 1;
        if (outcome !== "held") return this.#lost(held, outcome);
        held.extend(now);
        beating.lapseAt = lapseOf(held);
      },
      () => {
        beating.unanswered -= 1; // the next beat tries again, and the clock runs on
      },
    );
  }

  #lost(
    held: HeldLease,
    outcome: Exclude<Awaited<ReturnType<Lanes["heartbeat"]>>["outcome"], "held">,
  ) {
    this.#beating.delete(held);
    held.lose(lossOf(outcome, held.lease.runId));
  }
}

function lapseOf({ endsAt, leaseMs }: HeldLease): number {
  return endsAt - leaseMs * MARGIN;
}
