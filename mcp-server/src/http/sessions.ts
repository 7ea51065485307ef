import { randomUUID } from "node:crypto";
import { type Actor, TidebaseError } from "@tidebase/core";
import type { ToolServer } from "../adapter-v1.ts";
import { type HttpSession, openHttpSession } from "./http-session-v1.ts";

/** How many sessions there may be, and for how long. */
export interface SessionLimits {
  /** A session without a request or an open stream for so long is ended; 30 minutes by default. */
  readonly idleMs?: number;
  /** 1,000 by default. */
  readonly sessionsMax?: number;
  /** Of one key, or of all callers of an open server; 100 by default. */
  readonly sessionsMaxOfOne?: number;
  /** Milliseconds of a clock that never goes back; tests set it. */
  readonly now?: () => number;
}

/** Asks anew who sent a request. */
type Identify = () => Promise<Actor>;

/** A session and whom it belongs to. */
interface Held extends HttpSession {
  readonly owner: string;
  /** Of its latest request. */
  identify: Identify;
  usedAt: number;
}

const IDLE_MS = 30 * 60_000;
const SESSIONS_MAX = 1000;
const SESSIONS_MAX_OF_ONE = 100;

/** The sessions of one endpoint. Of each it knows the caller that began it; no other one finds it. */
export class Sessions {
  readonly #held = new Map<string, Held>();
  readonly #limits: Required<SessionLimits>;

  constructor(limits: SessionLimits) {
    this.#limits = {
      idleMs: IDLE_MS,
      sessionsMax: SESSIONS_MAX,
      sessionsMaxOfOne: SESSIONS_MAX_OF_ONE,
      now: () => performance.now(),
      ...limits,
    };
  }

  /** The caller's own session, used now; undefined when it ended, or is somebody else's. */
  find(id: string, actor: Actor, identify: Identify): HttpSession | undefined {
    const held = this.#held.get(id);
    if (held?.owner !== ownerOf(actor)) return undefined;
    if (this.#isOver(held)) {
      this.#drop(held);
      return undefined;
    }
    held.usedAt = this.#limits.now();
    held.identify = identify;
    return held;
  }

  /**
   * Begins one. Where there are too many, the one idle for longest makes room; when none is idle, answers
   * the number that is reached.
   */
  open(serve: () => ToolServer, actor: Actor, identify: Identify): HttpSession | number {
    this.expire();
    const owner = ownerOf(actor);
    const { sessionsMax, sessionsMaxOfOne, now } = this.#limits;
    const all = [...this.#held.values()];
    const own = all.filter((held) => held.owner === owner);
    if (own.length >= sessionsMaxOfOne) {
      if (!this.#dropIdlest(own)) return sessionsMaxOfOne;
    } else if (all.length >= sessionsMax && !this.#dropIdlest(all)) return sessionsMax;
    const id = randomUUID();
    const session = openHttpSession(serve(), {
      id,
      onEnd: () => this.#held.delete(id),
      onIdle: () => this.#touch(id),
    });
    this.#held.set(id, { ...session, owner, identify, usedAt: now() });
    return session;
  }

  /** Ends what nobody has used for too long. */
  expire(): void {
    for (const held of this.#held.values()) if (this.#isOver(held)) this.#drop(held);
  }

  /** Ends sessions whose caller's key works no more, though their streams are open. */
  async review(): Promise<void> {
    this.expire();
    for (const held of this.#held.values()) {
      if (!held.isBusy()) continue; // its next request is asked for the key
      try {
        await held.identify();
      } catch (error) {
        if (error instanceof TidebaseError && error.code.startsWith("key_")) this.#drop(held);
      }
    }
  }

  /** Winds up all of them. */
  async close(graceMs: number): Promise<void> {
    await Promise.all([...this.#held.values()].map((held) => held.windUp(graceMs)));
  }

  #isOver(held: Held): boolean {
    const { now, idleMs } = this.#limits;
    return !held.isBusy() && now() - held.usedAt >= idleMs;
  }

  #dropIdlest(crowd: readonly Held[]): boolean {
    const idle = crowd.filter((held) => !held.isBusy());
    const [first] = idle.sort((one, other) => one.usedAt - other.usedAt);
    if (first !== undefined) this.#drop(first);
    return first !== undefined;
  }

  /** Forgotten at once: the next one that makes room finds another. */
  #drop(held: Held): void {
    this.#held.delete(held.id);
    void held.end();
  }

  #touch(id: string): void {
    const held = this.#held.get(id);
    if (held !== undefined) held.usedAt = this.#limits.now();
  }
}

/** A key, or everybody where the server is open to this machine. */
function ownerOf({ via, name }: Actor): string {
  return `${via} ${name}`;
}
