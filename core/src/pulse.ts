import type { Database } from "./database.ts";
import { TidebaseError } from "./errors.ts";
import { thisMachine } from "./leases/holder.ts";
import { type Asked, type Due, type Found, pulseOf } from "./pulse-sql.ts";

/** What one look told of a probe. */
export interface Look {
  readonly isReached: boolean;
  readonly isDue: boolean;
  /** Why nobody knows; while the store is reached, it counts as due. */
  readonly error: string | null;
}

/** Something to do that the pulse looks for. */
export interface Probe extends Due {
  /** After each look, whatever it found; returns at once. */
  told(look: Look): void;
}

/** Who waits in this process for queues and runs. */
export interface Watchers {
  watched(): Omit<Asked, "machine">;
  /** What was seen of the watched. */
  seen(found: Omit<Found, "due">): void;
  /** Nobody knows what changed: everybody looks. */
  wakeAll(): void;
}

/** Looks once a period whether there is anything to do, while anybody wants to know. */
export interface Pulse {
  /** Somebody began to watch. */
  start(): void;
  /** Waits for the look under way. */
  stop(): Promise<void>;
}

/** The database is away: it cannot be asked anything else either. */
const AWAY = ["outcome_unknown", "store_unavailable"];

/**
 * The one timer of an idle process: one statement tells each probe whether it has something to do and
 * each watched queue whether it has work. Where the statement itself fails (a table is missing, say)
 * everything may be due, so that one faulty probe silences nobody else.
 */
export function startPulse(
  db: Database,
  { everyMs, probes, watchers }: { everyMs: number; probes: readonly Probe[]; watchers: Watchers },
): Pulse {
  const statement = pulseOf(probes);
  const machine = thisMachine() ?? "";
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;
  let looking: Promise<void> | undefined;

  async function look(asked: Omit<Asked, "machine">): Promise<void> {
    try {
      const found = await db.one(statement, { ...asked, machine });
      if (stopped) return;
      for (const { name, told } of probes)
        told({ isReached: true, isDue: found.due.includes(name), error: null });
      watchers.seen(found);
    } catch (failure) {
      if (stopped) return;
      const error = failure instanceof Error ? failure.message : String(failure);
      const isAway = failure instanceof TidebaseError && AWAY.includes(failure.code);
      for (const { told } of probes) told({ isReached: !isAway, isDue: !isAway, error });
      if (!isAway) watchers.wakeAll();
    }
  }

  function beat(): void {
    timer = undefined;
    const asked = watchers.watched();
    if (probes.length + asked.queues.length + asked.runIds.length === 0) return; // until somebody watches
    looking = look(asked).finally(() => {
      looking = undefined;
      if (!stopped) wait(everyMs * (1 + Math.random() * 0.2));
    });
  }

  function wait(ms: number): void {
    timer = setTimeout(beat, ms).unref();
  }

  function start(): void {
    if (!stopped && timer === undefined && looking === undefined) wait(Math.random() * everyMs);
  }

  if (probes.length > 0) start();
  return {
    start,
    async stop() {
      stopped = true;
      clearTimeout(timer);
      await looking;
    },
  };
}
