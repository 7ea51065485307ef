import { z } from "zod";

/** ISO 8601 in UTC. Without a pattern: what we answer need not be checked by who reads it. */
export const Instant = z.string();
/** Of the instant beside it. */
export const Age = z.string();

const UNITS = [
  ["d", 86_400],
  ["h", 3600],
  ["m", 60],
  ["s", 1],
] as const;

/** How long ago: see `span`. What lies ahead is `0s`. */
export function age(instant: string, now: number = Date.now()): string {
  return span(now - Date.parse(instant));
}

/** Milliseconds in their two largest units: `3h12m`, `45s`. */
export function span(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const first = UNITS.findIndex(([, size]) => seconds >= size);
  if (first === -1) return "0s";
  let rest = seconds;
  let text = "";
  for (const [unit, size] of UNITS.slice(first, first + 2)) {
    const count = Math.floor(rest / size);
    if (count > 0) text += `${count}${unit}`;
    rest -= count * size;
  }
  return text;
}
