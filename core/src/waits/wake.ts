import { type Fragment, fragment } from "../statement.ts";

/**
 * Whether what has happened wakes the locked run `held`: it is suspended and named this among the things
 * it waits for. Decided by the locked row alone, so no wake-up is lost and none happens twice.
 */
export function woken(what: Fragment): Fragment {
  return fragment`coalesce(held.status = 'waiting' and (${what}) = any (held.waits), false)`;
}

/** How the row `r` of a run changes when `told` says that it wakes; for the `set` of an update. */
export const awake = fragment`status = case when not told.wakes then r.status when r.queue is null then 'pending' else 'queued' end,
      run_at = case when told.wakes and r.queue is not null then tidebase.now() else r.run_at end,
      waits = case when told.wakes then null else r.waits end, wake_at = case when told.wakes then null else r.wake_at end`;
