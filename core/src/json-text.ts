import type { z } from "zod";
import { TidebaseError } from "./errors.ts";

/**
 * JSON that core passes on unread: a payload as it was written, or an array that Postgres
 * assembled.
 */
export class JsonText {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }

  /** Size as stored. */
  get bytes(): number {
    return Buffer.byteLength(this.text);
  }

  /** For readers that need the value itself; the HTTP answer splices the text with `toJson`. */
  toJSON(): unknown {
    return JSON.parse(this.text);
  }
}

/** A payload written out once, to be measured and stored; undefined stays undefined. */
export function payloadText(value: undefined): undefined;
export function payloadText(value: null | object | string | number | boolean): JsonText;
export function payloadText(value: unknown): JsonText | undefined;
export function payloadText(value: unknown): JsonText | undefined {
  return value === undefined ? undefined : new JsonText(stringify(value));
}

/** JSON of any depth can be parsed, but only so much of it written: the caller is told. */
function stringify(value: unknown): string {
  try {
    return JSON.stringify(value);
  } catch (cause) {
    throw tooDeep(cause);
  }
}

/** What is said of a payload whose writing ran out of stack. */
export function tooDeep(cause: unknown): TidebaseError {
  const issues = [{ path: "", message: "a payload must not be nested deeper than 2,000 levels" }];
  return new TidebaseError("input_invalid", { issues, cause });
}

/** Declares a member that the wire shows as `schema` and core holds as JsonText. */
export function unread<Schema extends z.ZodType>(
  schema: Schema,
): z.ZodType<null extends z.output<Schema> ? JsonText | null : JsonText> {
  return schema as z.ZodType<unknown> as z.ZodType<
    null extends z.output<Schema> ? JsonText | null : JsonText
  >;
}

/**
 * JSON.stringify for answers: plain objects and arrays, with every JsonText copied in as it stands.
 */
export function toJson(value: unknown): string {
  try {
    return spliced(value);
  } catch (error) {
    if (error instanceof RangeError) return JSON.stringify(value); // deeper than this stack, not than that
    throw error;
  }
}

function spliced(value: unknown): string {
  if (value instanceof JsonText) return value.text;
  if (Array.isArray(value)) return `[${value.map(spliced).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${spliced(member)}`).join(",")}}`;
}
