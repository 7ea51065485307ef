import { TidebaseError } from "../errors.ts";

type Unit = "ms" | "s" | "m" | "h" | "d";

/** Milliseconds, or a number and its unit: `"500ms"`, `"30s"`, `"5m"`, `"2h"`, `"7d"`. */
export type Duration = number | `${number}${Unit}`;

const UNITS: Readonly<Record<Unit, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};
/** Ten years, the longest that the server keeps. */
const LONGEST_MS = 315_576_000_000;

/** The duration in whole milliseconds. Throws `input_invalid` and names `what` it was given for. */
export function milliseconds(duration: Duration, what: string): number {
  const ms = typeof duration === "number" ? duration : read(duration);
  if (Number.isFinite(ms) && ms >= 0 && ms <= LONGEST_MS) return Math.round(ms);
  throw new TidebaseError(
    "input_invalid",
    `${what} takes milliseconds, or a number with its unit such as "30s", "5m", "2h" or "7d", up to ten years.`,
    { what },
  );
}

function read(text: unknown): number {
  const [, number, unit] = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(String(text)) ?? [];
  return Number(number) * UNITS[unit as Unit];
}
