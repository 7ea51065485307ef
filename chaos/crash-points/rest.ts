import { setTimeout as delay } from "node:timers/promises";
import { now } from "../history/evidence.ts";
import type { PointDatabase } from "./databases.ts";

const LOOK_EVERY_MS = 30;
/** Time is moved only when nothing has moved for so long. */
const STILL_MS = 150;
/** A message that somebody has taken on looks as if nobody sent it: it may be on its way for so long. */
const SENDING_MS = 2000;
/** Whatever has not moved for so long, although time was moved as well, never will; on a busy machine all takes long. */
const STUCK_MS = 15_000;
const LONGEST_MS = 180_000;

/** What is not at rest yet, one line each; no row: all is. Nothing here is a matter of time alone but what `hasten` moves. */
export const UNREST = `
  select 'run ' || workflow || ' is ' || status as what from tidebase.runs
   where status not in ('completed', 'cancelled', 'failed')
  union all
  select 'a delivery of ' || type || ' is pending after ' || attempts || ' attempts' from tidebase.deliveries where status = 'pending'
  union all
  select 'a cascade is not over' from tidebase.cascades
  union all
  select 'a superseded run is not cancelled' from tidebase.superseded`;

/**
 * Moves the database's clock to the next thing that is only a matter of time, unless somebody works on a run. `$1`: what
 * was being sent by now is so no more.
 */
const HASTEN = `
  with next as (
    select least(
      (select min(wake_at) from tidebase.runs where status = 'waiting'),
      (select min(run_at) from tidebase.runs where status = 'queued'),
      (select min(due_at) from tidebase.deliveries where status = 'pending' and (last_status is not null or $1)),
      (select min(closed_until) from tidebase.webhooks w where exists (
        select from tidebase.deliveries d where d.webhook_id = w.webhook_id and d.status = 'pending')),
      (select next_at from tidebase.retention t where exists (
        select from tidebase.runs where ended_at < tidebase.now() - t.days * interval '1 day'))) as at
  )
  update tidebase.clock set shift = shift + (next.at - tidebase.now()) + interval '10 ms' from next
   where next.at > tidebase.now() and not exists (select from tidebase.runs where status = 'running' and not pushed)`;

/** A fingerprint of all that moves, and what is not at rest. */
const lookOf = (unrest: string) => `
  select (select coalesce(sum(last_seq), 0) from tidebase.runs) || ' ' || (select count(*) from tidebase.runs) || ' '
      || (select coalesce(string_agg(status || attempts, ' ' order by delivery_id), '') from tidebase.deliveries) as moving,
    array(select what from (${unrest}) u) as unrest`;

/** What keeps a store from its rest, and what to do about it meanwhile. */
export interface Resting {
  /** A statement whose rows, `what`, say what is not at rest. */
  readonly unrest: string;
  /** Done at each look, such as deciding gates. */
  look?(): Promise<void>;
  /** Aborted when there is nothing to wait for any more. */
  readonly signal?: AbortSignal;
}

/**
 * Waits until the store is at rest, moving its clock when only time is missing. Gives what is not at rest when it is
 * stuck: nothing, as it should be.
 */
export async function untilRest(
  database: PointDatabase,
  { unrest, look, signal }: Resting,
): Promise<readonly string[]> {
  const text = lookOf(unrest);
  const from = now();
  let moving: unknown;
  let [movedAt, hastenedAt] = [from, from];
  for (;;) {
    await look?.();
    const [seen] = await database.query(text);
    const left = seen?.["unrest"] as readonly string[];
    if (left.length === 0) return [];
    if (seen?.["moving"] !== moving) {
      moving = seen?.["moving"];
      movedAt = now();
      hastenedAt = movedAt;
    }
    if (signal?.aborted || now() - movedAt > STUCK_MS || now() - from > LONGEST_MS) return left;
    if (now() - hastenedAt > STILL_MS) {
      await database.query(HASTEN, [now() - movedAt > SENDING_MS]);
      hastenedAt = now();
    }
    await delay(LOOK_EVERY_MS);
  }
}
