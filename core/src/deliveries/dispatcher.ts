import { setMaxListeners } from "node:events";
import { claimBesides } from "../claim-besides.ts";
import type { Database } from "../database.ts";
import type { AllowList, Resolve } from "../webhooks/address.ts";
import { messageOf } from "./message.ts";
import { judge } from "./rules.ts";
import { type Outcome, send } from "./send.ts";
import { openSlots } from "./slots.ts";
import { type Claim, claim, settle, toClaim } from "./sql.ts";

/** How a process sends messages. */
export interface DispatcherOptions {
  readonly allow: AllowList;
  readonly resolve: Resolve;
  /** Where people reach this server: the base of the links in messages. */
  readonly publicUrl?: string | undefined;
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

const SPACING_MS = 50;
const PATIENCE_MS = 2000;

/**
 * Claims due deliveries and sends each on its own. A claim is never held back by a slow receiver: as
 * slots become free, the next are claimed (model.md §12).
 */
export function startDispatcher(db: Database, options: DispatcherOptions): Dispatcher {
  const aborting = new AbortController();
  setMaxListeners(0, aborting.signal); // one for each attempt under way
  const slots = openSlots();
  let stopped = false;
  let looking: Promise<void> | undefined;
  let again = false;
  let lookedAt = Number.NEGATIVE_INFINITY;
  let nudged: NodeJS.Timeout | undefined;

  function look(): void {
    if (stopped) return;
    again = looking !== undefined;
    if (again) return;
    lookedAt = performance.now();
    looking = claimAll()
      .catch(() => {}) // the database is away: the pulse nudges again
      .then(() => {
        looking = undefined;
        if (again) look();
      });
  }

  async function claimAll(): Promise<void> {
    for (let more = true; more && !stopped && slots.free() > 0; ) {
      const wanted = slots.wanted();
      const claimed = await claimBesides(db, {
        sweep: "deliveries",
        claim: (only) =>
          db.many(claim, { ...wanted, deliveryIds: only?.map(({ deliveryId }) => deliveryId) }),
        toClaim: () => db.many(toClaim, wanted),
      });
      for (const one of claimed)
        if (!one.moot)
          slots.take(one.webhookId, deliver(db, one, options, aborting.signal)).then(look, look);
      more = claimed.length > 0;
    }
  }

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
      clearTimeout(nudged);
      const patience = setTimeout(() => aborting.abort(), PATIENCE_MS);
      await looking;
      await slots.emptied();
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
  const secrets = previousSecret === null ? [secret] : [secret, previousSecret];
  const outcome = await messageOf(db, claimed, options.publicUrl)
    .then((body) => send({ ...claimed, secrets, body }, { ...options, signal }))
    .catch((): Outcome => ({ error: "message_failed" }));
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
