import { z } from "zod";
import type { JsonText } from "../json-text.ts";
import { readJson } from "../payload.ts";

const text = z.string().max(500);

const Field = z.discriminatedUnion("type", [
  z.strictObject({
    type: z.literal("string"),
    title: text.optional(),
    description: text.optional(),
    enum: z.array(z.string().min(1).max(200)).min(1).max(50).optional(),
    minLength: z.int().min(0).max(10_000).optional(),
    maxLength: z.int().min(1).max(10_000).optional(),
  }),
  z.strictObject({
    type: z.enum(["number", "integer"]),
    title: text.optional(),
    description: text.optional(),
    minimum: z.number().optional(),
    maximum: z.number().optional(),
  }),
  z.strictObject({
    type: z.literal("boolean"),
    title: text.optional(),
    description: text.optional(),
  }),
]);
/** One line of the form. */
export type Field = z.output<typeof Field>;

const FieldName = z.string().regex(/^[A-Za-z][A-Za-z0-9_-]{0,63}$/);

/**
 * The JSON Schema of an answer, as far as every client can show it as a form: a flat object of texts,
 * numbers, choices and yes/no (the subset that MCP's elicitation knows). No `default`: what nobody
 * filled in is no answer. No `pattern`: nobody's expression runs here.
 */
export const AnswerSchema = z
  .strictObject({
    type: z.literal("object"),
    properties: z.record(FieldName, Field),
    required: z.array(FieldName).max(20).optional(),
  })
  .refine(({ properties }) => Object.keys(properties).length <= 20, "at most 20 fields")
  .refine(
    ({ properties, required = [] }) => required.every((name) => Object.hasOwn(properties, name)),
    "every name of `required` must be a property",
  );
export type AnswerSchema = z.output<typeof AnswerSchema>;

/** Whether an approval is incomplete without an answer. */
export function asksForAnswer({ answerSchema }: { answerSchema: JsonText | null }): boolean {
  return answerProblems(readJson<AnswerSchema>(answerSchema), undefined).length > 0;
}

/**
 * What is wrong with the answer to an approval, for the human; empty when it fits. A gate without a form
 * asks for none.
 */
export function answerProblems(schema: AnswerSchema | null, answer: unknown): string[] {
  if (schema === null) return [];
  const shape = Object.fromEntries(
    Object.entries(schema.properties).map(([name, field]) => {
      const type = typeOf(field);
      return [name, (schema.required ?? []).includes(name) ? type : type.optional()];
    }),
  );
  const parsed = z.strictObject(shape).safeParse(answer ?? {});
  if (parsed.success) return [];
  return parsed.error.issues
    .slice(0, 20)
    .map(({ path, message }) => (path.length === 0 ? message : `${path.join(".")}: ${message}`));
}

const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i;

/**
 * The value that a human's text means to this field; undefined when it is none. Decimal numbers alone:
 * nobody types `0x10` for sixteen. Bounds and lengths are for answerProblems.
 */
export function readField(field: Field, text: string): string | number | boolean | undefined {
  if (field.type === "string")
    return field.enum === undefined || field.enum.includes(text) ? text : undefined;
  const typed = text.trim();
  if (field.type === "boolean") {
    if (/^(y|yes|true)$/i.test(typed)) return true;
    return /^(n|no|false)$/i.test(typed) ? false : undefined;
  }
  const number = NUMBER.test(typed) ? Number(typed) : Number.NaN;
  const fits = field.type === "integer" ? Number.isSafeInteger(number) : Number.isFinite(number);
  return fits ? number : undefined;
}

function typeOf(field: Field): z.ZodType {
  if (field.type === "boolean") return z.boolean();
  if (field.type === "string") {
    if (field.enum !== undefined) return z.enum(field.enum);
    const least = z.string().min(field.minLength ?? 0);
    return field.maxLength === undefined ? least : least.max(field.maxLength);
  }
  let number = field.type === "integer" ? z.int() : z.number();
  if (field.minimum !== undefined) number = number.min(field.minimum);
  if (field.maximum !== undefined) number = number.max(field.maximum);
  return number;
}
