import fc from "fast-check";

/** JSON Schema, as far as zod writes it of an input. */
export interface Shape {
  readonly type?: string | readonly string[];
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly Shape[];
  readonly oneOf?: readonly Shape[];
  readonly properties?: Readonly<Record<string, Shape>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | Shape;
  readonly propertyNames?: Shape;
  readonly items?: Shape;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly pattern?: string;
  readonly format?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly exclusiveMaximum?: number;
}

const LIST_MAX = 3;
const TEXT_MAX = 40;
const NUMBER_MAX = 1_000_000;

/** What is waited for is waited for briefly: a case is no pause. */
const BRIEF = fc.integer({ min: 0, max: 5 });
const BY_NAME: Readonly<Record<string, fc.Arbitrary<unknown>>> = {
  waitMs: BRIEF,
  timeoutMs: BRIEF,
  leaseMs: fc.constantFrom(3_000_000, 3_600_000), // no sweep ends it meanwhile
};

/** Making these takes long: each is made once. */
const ANY = fc.jsonValue({ maxDepth: 3 });
const DATES = fc.date({ noInvalidDate: true, min: new Date(0) }).map((date) => date.toISOString());
const texts = new Map<string, fc.Arbitrary<string>>();

/** Values that fit the schema, or nearly: what a refinement adds is not known here. */
function fitting(shape: Shape): fc.Arbitrary<unknown> {
  if (shape.const !== undefined) return fc.constant(shape.const);
  if (shape.enum !== undefined) return fc.constantFrom(...shape.enum);
  const either = shape.anyOf ?? shape.oneOf;
  if (either !== undefined) return fc.oneof(...either.map(fitting));
  const { type } = shape;
  if (Array.isArray(type))
    return fc.oneof(...type.map((one: string) => fitting({ ...shape, type: one })));
  switch (type) {
    case "string":
      return textOf(shape);
    case "integer":
    case "number":
      return numberOf(shape, type);
    case "boolean":
      return fc.boolean();
    case "null":
      return fc.constant(null);
    case "array":
      return listOf(shape);
    case "object":
      return objectOf(shape);
    default:
      return ANY;
  }
}

function textOf({ pattern, format, minLength = 0, maxLength = TEXT_MAX }: Shape) {
  if (format === "date-time") return DATES;
  const longest = Math.max(minLength, Math.min(maxLength, TEXT_MAX));
  const about = pattern ?? `${minLength} ${longest}`;
  const known = texts.get(about) ?? newText(pattern, { minLength, maxLength: longest });
  texts.set(about, known);
  return known;
}

function newText(pattern: string | undefined, length: fc.StringConstraints): fc.Arbitrary<string> {
  if (pattern !== undefined) return matching(pattern);
  return fc.oneof(fc.string(length), fc.string({ ...length, unit: "grapheme" }));
}

function matching(pattern: string): fc.Arbitrary<string> {
  try {
    return fc.stringMatching(new RegExp(pattern));
  } catch {
    return fc.string(); // a pattern that the library cannot follow
  }
}

function numberOf(shape: Shape, type: "integer" | "number"): fc.Arbitrary<number> {
  const low = shape.minimum ?? shape.exclusiveMinimum ?? 0;
  const high = shape.maximum ?? shape.exclusiveMaximum ?? NUMBER_MAX;
  const min = Math.max(low, -NUMBER_MAX);
  const max = Math.max(min, Math.min(high, NUMBER_MAX));
  const inside = fc.integer({ min: Math.ceil(min), max: Math.floor(max) });
  if (type === "integer") return fc.oneof(inside, fc.constantFrom(low, high));
  return fc.oneof(inside, fc.double({ min, max, noNaN: true }));
}

function listOf({ items = {}, minItems = 0, maxItems = LIST_MAX }: Shape) {
  const maxLength = Math.max(minItems, Math.min(maxItems, LIST_MAX));
  return fc.array(fitting(items), { minLength: minItems, maxLength });
}

function objectOf({ properties, required = [], additionalProperties, propertyNames }: Shape) {
  if (properties !== undefined) {
    const members: Record<string, fc.Arbitrary<unknown>> = Object.fromEntries(
      Object.entries(properties).map(([name, shape]) => [name, memberOf(name, shape)]),
    );
    return fc.record(members, { requiredKeys: [...required] });
  }
  const values = typeof additionalProperties === "object" ? additionalProperties : {};
  const names = propertyNames === undefined ? fc.string() : textOf(propertyNames);
  return fc.dictionary(names, fitting(values), { maxKeys: LIST_MAX });
}

/** The same for a member of this name. */
export function memberOf(name: string, shape: Shape): fc.Arbitrary<unknown> {
  return BY_NAME[name] ?? fitting(shape);
}
