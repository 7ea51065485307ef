import { setTimeout as delay } from "node:timers/promises";
import type { World } from "./world.ts";

const POLL_MS = 100;
/** Longer than anything that a sweep, a backoff or a lease makes wait, and than the checks are patient. */
const STILL_MS = 25_000;
const LONGEST_MS = 120_000;

/**
 * What somebody is to do now, or is doing: a worker, a claim, a delivery, or a sweep, which is asked for what it would find
 * itself. Pending and interrupted runs wait for who begins them, runs of a paused queue and those at a gate for a human,
 * messages for a bad endpoint that has failed: all of them may wait for ever.
 */
const UNREST = `select
    (select count(*)::int from tidebase.runs r left join tidebase.queues q using (queue)
      where r.status = 'running'
        or r.status = 'queued' and r.run_at <= tidebase.now() and q.paused_at is null
        or r.status = 'waiting' and r.wake_at <= tidebase.now()
        or r.status = 'queued' and r.expires_at <= tidebase.now()
        or r.status not in ('completed', 'cancelled') and r.deadline_at <= tidebase.now())
    + (select count(*)::int from tidebase.deliveries d join tidebase.webhooks w using (webhook_id)
      where d.status = 'pending' and d.due_at <= tidebase.now() and w.disabled_at is null
        and (w.failures = 0 or w.name like 'good-%' and coalesce(w.closed_until <= tidebase.now(), true)))
    + (select count(*)::int from tidebase.gates where decided_at is null and expires_at <= tidebase.now())
    + (select count(*)::int from tidebase.schedules
      where paused_at is null and failures < 5 and next_fire_at <= tidebase.now())
    + (select count(*)::int from tidebase.superseded)
    + (select count(*)::int from tidebase.cascades) as unrest,
    (select count(*)::int from tidebase.events)
    + (select coalesce(sum(attempts), 0)::int from tidebase.deliveries) as done`;

/** How a store came to rest; `stuck`: nothing happened any more, though something was due; `busy`: it still happened. */
export type Rest = "rest" | "stuck" | "busy";

/** How much is to be done now, and how much has been done until now. */
export async function look({
  query,
}: Pick<World, "query">): Promise<{ unrest: number; done: number }> {
  const [row] = await query(UNREST);
  return { unrest: Number(row?.["unrest"]), done: Number(row?.["done"]) };
}

/** Waits until nothing is due on two looks one after the other, or nothing has happened for 25 s, 2 minutes at most. */
export async function untilAtRest(world: World): Promise<Rest> {
  const startedAt = performance.now();
  let last = { done: -1, at: startedAt };
  for (let looks = 0; ; await delay(POLL_MS)) {
    const { unrest, done } = await look(world);
    looks = unrest === 0 ? looks + 1 : 0;
    if (looks === 2) return "rest";
    const at = performance.now();
    if (done !== last.done) last = { done, at };
    if (at - last.at > STILL_MS) return "stuck";
    if (at - startedAt > LONGEST_MS) return "busy";
  }
}
