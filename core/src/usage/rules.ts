/** Digits that money and quantities have behind the point. */
const PLACES = 12;

/**
 * The decimal as Postgres reads it. Text stays as it was written; a number, which has no exact decimal of its own
 * (0.1 + 0.2), is its shortest text rounded to 12 places.
 */
export function decimalText(value: string | number): string {
  if (typeof value === "string") return value;
  const [, whole = "0", fraction = "", exponent = "0"] =
    /^(\d+)(?:\.(\d+))?(?:e(-?\d+))?$/.exec(String(value)) ?? [];
  const shift = PLACES - fraction.length + Number(exponent);
  const digits = BigInt(whole + fraction);
  const scale = 10n ** BigInt(Math.abs(shift));
  const scaled = shift >= 0 ? digits * scale : (digits + scale / 2n) / scale;
  const text = scaled.toString().padStart(PLACES + 1, "0");
  return `${text.slice(0, -PLACES)}.${text.slice(-PLACES)}`;
}

const UNITS = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 } as const;

/** An instant, or a time before now. */
export interface Moment {
  readonly at?: string;
  readonly agoMs?: number;
}

/**
 * Reads `2026-11-01T12:00:00Z`, `2026-11-01` (where that day begins in UTC) or `24h` (so long before now); undefined
 * when it is none of them, or not of the years 1970 to 8999.
 */
export function readMoment(text: string): Moment | undefined {
  const [, number, unit] = /^(\d{1,5})([smhdw])$/.exec(text) ?? [];
  if (unit !== undefined) return { agoMs: Number(number) * UNITS[unit as keyof typeof UNITS] };
  const shape = /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:\d\d))?$/;
  const at = new Date(text);
  const inRange = at.getTime() >= 0 && at.getTime() < Date.UTC(9000, 0);
  if (!shape.test(text) || !inRange) return undefined;
  const day = text.slice(0, 10); // Date would make the 2nd of March of the 30th of February
  if (new Date(`${day}T00:00Z`).toISOString().slice(0, 10) !== day) return undefined;
  return { at: at.toISOString() };
}
