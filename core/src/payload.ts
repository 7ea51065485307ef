import { z } from "zod";
import { type JsonText, payloadText, unread } from "./json-text.ts";
import type { Limits } from "./limits.ts";

/** NUL and lone surrogates cannot be stored in a `text` column without changing them. */
const UNSTORABLE = /\0|\p{Surrogate}/u;

/** Text that is kept exactly, so what cannot be kept is refused. */
export function storable(maxLength: number): z.ZodString {
  return z
    .string()
    .max(maxLength)
    .refine((text) => !UNSTORABLE.test(text), "must not contain NUL or lone surrogates");
}

/** A name or key as people write them. */
export const Name = storable(200);

const LINE_LENGTH = 500;

/**
 * One storable line of a message that somebody else wrote: for events and lists, where NUL, line
 * breaks and lone surrogates have no place. The full text is kept beside it.
 */
export function oneLine(message: string): string {
  const line = message.replace(/[\p{Cc}\p{Surrogate}]+/gu, " ").trim();
  const [...characters] = line.slice(0, LINE_LENGTH * 2);
  return characters.length <= LINE_LENGTH
    ? characters.join("")
    : `${characters.slice(0, LINE_LENGTH - 1).join("")}…`;
}

/** Any JSON value. */
export const Payload = z.unknown();

/** A payload on its way out: the stored text, which nobody parses. */
export const StoredPayload = unread(Payload.nullable());

/** Neither a list nor null. */
export function isJsonObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * A JSON object that the caller shaped. zod's own object schemas rebuild the value and lose a member
 * named `__proto__`; this one only looks at it.
 */
export const JsonObject = z
  .unknown()
  .refine(isJsonObject, "must be a JSON object")
  .meta({ type: "object" }) as z.ZodType<unknown> as z.ZodType<Record<string, unknown>>;

/** Turns a row's JSON text into the value; for the few readers that need it. */
export function readJson<Value>(text: JsonText | null): Value | null {
  return text === null ? null : (JSON.parse(text.text) as Value);
}

/**
 * Fails with `payload_too_large` when what is kept of a field, its value and what JSON cannot say of
 * it, is together larger than a payload may be.
 */
export function checkPayload(
  field: string,
  texts: readonly (JsonText | undefined)[],
  context: {
    readonly limits: Limits;
    fail(code: "payload_too_large", data: Readonly<Record<string, unknown>>): Error;
  },
): void {
  const limitBytes = context.limits.payloadBytes;
  const bytes = texts.reduce((sum, text) => sum + (text?.bytes ?? 0), 0);
  if (bytes > limitBytes) throw context.fail("payload_too_large", { field, bytes, limitBytes });
}

/**
 * A value and what JSON cannot say of it as they are stored, or undefined when both together are larger than a
 * payload may be.
 */
export function fittingTexts(
  value: unknown,
  meta: unknown,
  { payloadBytes }: Limits,
): { value: JsonText | undefined; meta: JsonText | undefined } | undefined {
  const texts = { value: payloadText(value), meta: payloadText(meta) };
  const bytes = (texts.value?.bytes ?? 0) + (texts.meta?.bytes ?? 0);
  return bytes <= payloadBytes ? texts : undefined;
}

/** Sends what fits alone, and gives an answer for each item in order; undefined for one that does not fit. */
export async function answersOf<Fitting, Answer>(
  items: readonly (Fitting | undefined)[],
  send: (fitting: readonly Fitting[]) => Promise<readonly Answer[]>,
): Promise<(Answer | undefined)[]> {
  const fitting = items.filter((item) => item !== undefined);
  const answers = (fitting.length === 0 ? [] : await send(fitting)).values();
  return items.map((item) => (item === undefined ? undefined : answers.next().value));
}
