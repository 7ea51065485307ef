import type { Database } from "../database.ts";
import type { AllowList, Resolve } from "./address.ts";
import { type Claim, claim, settle } from "./delivery-sql.ts";
import { type DecisionsFor, messageOf } from "./message.ts";
import { judge } from "./rules.ts";
import { send } from "./send.ts";

/** How a process sends messages. */
export interface DispatcherOptions {
  readonly allow: AllowList;
  readonly resolve: Resolve;
  /** Where people reach this server: the base of the links in messages. */
  readonly publicUrl?: string | undefined;
  readonly decisionsFor?: DecisionsFor | undefined;
  /** Pause between two looks at the outbox, in milliseconds, when nobody nudges. */
  readonly everyMs?: number | undefined;
  /** Called after the commit that gave these runs an event. */
  touched(runIds: readonly string[]): void;
}

/** Sends what the outbox holds, beside the reconciler: no receiver ever holds up a sweep. */
export interface Dispatcher {
  /** Something may be due: looks at once, or soon when it has just looked. */
  nudge(): void;
  /** Waits two seconds for what is under way, then leaves it to another process. */
  stop(): Promise<void>;
}

const EVERY_MS = 1000;
const SPACING_MS = 50;
const PATIENCE_MS = 2000;
/** Attempts under way at once; the last quarter of the places is for webhooks that have none. */
const PLACES = 64;
const SHARED_PLACES = 48;
const PLACES_OF_ONE = 8;

/**
 * Claims due deliveries and sends each on its own. A claim is never held back by a slow receiver: as
 * places become free, the next are claimed (model.md §12).
 */
export function startDispatcher(db: Database, options: DispatcherOptions): Dispatcher {
  const underway = new Map<string, number>();
  const attempts = new Set<Promise<void>>();
  const aborting = new AbortController();
  let stopped = false;
  let looking: Promise<void> | undefined;
  let again = false;
  let lookedAt = Number.NEGATIVE_INFINITY;
  let nudged: NodeJS.Timeout | undefined;
  let timer: NodeJS.Timeout | undefined;

  function look(): void {
    if (stopped) return;
    again = looking !== undefined;
    if (looking !== undefined) return;
    lookedAt = performance.now();
    looking = claimAll()
      .catch(() => {}) // the database is away: the timer looks again
      .then(() => {
        looking = undefined;
        if (again) look();
      });
  }

  async function claimAll(): Promise<void> {
    for (let more = true; more && !stopped && attempts.size < PLACES; ) {
      const isCrowded = attempts.size >= SHARED_PLACES;
      const claimed = await db.many(claim, {
        webhookIds: [...underway.keys()],
        sending: [...underway.values()],
        each: isCrowded ? 1 : PLACES_OF_ONE,
        limit: (isCrowded ? PLACES : SHARED_PLACES) - attempts.size,
      });
      for (const one of claimed) if (!one.moot) start(one);
      more = claimed.length > 0;
    }
  }

  function start(claimed: Claim): void {
    const { webhookId } = claimed;
    underway.set(webhookId, (underway.get(webhookId) ?? 0) + 1);
    const attempt = deliver(db, claimed, options, aborting.signal)
      .catch(() => {}) // not recorded: the claim lasts a minute, then somebody tries again
      .then(() => {
        const left = (underway.get(webhookId) ?? 1) - 1;
        if (left > 0) underway.set(webhookId, left);
        else underway.delete(webhookId);
        attempts.delete(attempt);
        look();
      });
    attempts.add(attempt);
  }

  function tick(): void {
    look();
    const everyMs = options.everyMs ?? EVERY_MS;
    timer = setTimeout(tick, everyMs * (0.9 + Math.random() * 0.2)).unref();
  }
  timer = setTimeout(tick, Math.random() * (options.everyMs ?? EVERY_MS)).unref();

  return {
    nudge() {
      if (stopped || nudged !== undefined) return;
      const waitMs = Math.max(0, lookedAt + SPACING_MS - performance.now());
      nudged = setTimeout(() => {
        nudged = undefined;
        look();
      }, waitMs).unref();
    },
    async stop() {
      stopped = true;
      clearTimeout(timer);
      clearTimeout(nudged);
      const patience = setTimeout(() => aborting.abort(), PATIENCE_MS);
      await looking;
      await Promise.all(attempts);
      clearTimeout(patience);
    },
  };
}

/** One attempt from its message to its record. */
async function deliver(
  db: Database,
  claimed: Claim,
  options: DispatcherOptions,
  signal: AbortSignal,
): Promise<void> {
  const { deliveryId, runId, attempts, secret, previousSecret } = claimed;
  const body = await messageOf(claimed, options);
  const secrets = previousSecret === null ? [secret] : [secret, previousSecret];
  const outcome = await send({ ...claimed, secrets, body }, { ...options, signal });
  if (outcome.error === "aborted") return;
  const judged = judge(outcome, claimed, { now: Date.now(), random: Math.random() });
  const recorded = await db.maybe(settle, {
    ...judged,
    deliveryId,
    runId,
    attempts,
    httpStatus: outcome.status,
    reason: outcome.error,
  });
  if (recorded?.status === "dead") options.touched([runId]);
}
