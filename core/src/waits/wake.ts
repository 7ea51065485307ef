import { type Fragment, fragment } from "../statement.ts";

/**
 * Whether what has happened wakes the locked run `held`: it is suspended and named this among the things
 * it waits for. Decided by the locked row alone, so no wake-up is lost and none happens twice.
 */
export function woken(what: Fragment): Fragment {
  return fragment`coalesce(held.status = 'waiting' and (${what}) = any (held.waits), false)`;
}
