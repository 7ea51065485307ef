import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";

/* The world outside, as the example programs see it: fakes that take a while, answer the same every time, and
   remember what was done to them. */

const file = process.env["TIDEBASE_EFFECTS_FILE"];
const remembered: string[] = [];

/** What happened so far, oldest first: in this process, or in the file that outlives it. */
export function effects(): string[] {
  if (file === undefined) return remembered;
  return existsSync(file) ? readFileSync(file, "utf8").split("\n").slice(0, -1) : [];
}

/**
 * One line for one effect. With a key it happens once, however often it is asked for, as at a provider
 * that takes idempotency keys.
 */
export function happens(effect: string, key?: string): void {
  const line = key === undefined ? effect : `${effect} [${key}]`;
  if (key !== undefined && effects().some((known) => known.endsWith(`[${key}]`))) return;
  if (file === undefined) remembered.push(line);
  else appendFileSync(file, `${line}\n`);
}

/** An answer takes some tens of milliseconds, how many depends on the question. */
export async function delay(question: string, signal?: AbortSignal): Promise<void> {
  await pause(30 + (hash(question) % 40), undefined, { signal });
}

/** The same number for the same text (FNV-1a). */
export function hash(text: string): number {
  let value = 0x811c9dc5;
  for (const character of text)
    value = Math.imul(value ^ (character.codePointAt(0) ?? 0), 16777619);
  return value >>> 0;
}
