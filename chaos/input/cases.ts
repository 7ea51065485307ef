import fc from "fast-check";
import { z } from "zod";
import { memberOf, type Shape } from "./from-schema.ts";
import { hostile, NO_OBJECTS } from "./hostile.ts";

/** A member of an input: what a good call would say here, if anybody knows it, or else the value. */
interface Member {
  readonly good: boolean;
  readonly value: unknown;
}

/** One change somewhere in an input. */
interface Mutation {
  /** Which of its places, counted around. */
  readonly at: number;
  readonly how: "replace" | "remove" | "add" | "repeat" | "wrap";
  readonly value: unknown;
}

/** An input to try, made without knowing any run. */
export interface Case {
  readonly kind: "valid" | "near" | "hostile" | "text";
  readonly members: Readonly<Record<string, Member>>;
  readonly mutation?: Mutation;
  /** Sent instead of a JSON object, by what has a body. */
  readonly text?: string;
}

/** What a good call says, by the name of the member. */
export type Known = Readonly<Record<string, unknown>>;

const HOW = ["replace", "remove", "add", "repeat", "wrap"] as const;
const PLACES_MAX = 300;

/** What an input's schema says of itself as JSON Schema: of an operation or of a tool. */
export function shapeOf(input: z.ZodType): Shape {
  return z.toJSONSchema(input, { io: "input", unrepresentable: "any" }) as Shape;
}

/** Inputs for one schema: valid, valid but for one change, hostile in any member, and no JSON object at all. */
export function casesOf(shape: Shape): fc.Arbitrary<Case> {
  const valid = validOf(shape);
  const mutation = fc.record({ at: fc.nat(), how: fc.constantFrom(...HOW), value: hostile });
  return fc.oneof(
    { weight: 6, arbitrary: valid.map((members) => ({ kind: "valid" as const, members })) },
    {
      weight: 8,
      arbitrary: fc
        .tuple(valid, mutation)
        .map(([members, change]) => ({ kind: "near" as const, members, mutation: change })),
    },
    {
      weight: 6,
      arbitrary: hostileOf(shape).map((members) => ({ kind: "hostile" as const, members })),
    },
    {
      weight: 1,
      arbitrary: fc
        .constantFrom(...NO_OBJECTS)
        .map((text) => ({ kind: "text" as const, members: {}, text })),
    },
  );
}

/** Every required member, and any of the others. */
function validOf({ properties = {}, required = [] }: Shape): fc.Arbitrary<Record<string, Member>> {
  const members = Object.entries(properties).map(([name, shape]) => {
    const good = fc.oneof(
      { weight: 5, arbitrary: fc.constant(true) },
      { weight: 1, arbitrary: fc.constant(false) },
    );
    return [name, fc.record({ good, value: memberOf(name, shape) })];
  });
  return fc.record(Object.fromEntries(members), { requiredKeys: [...required] });
}

/** Those that are there. */
function present(members: Readonly<Record<string, Member | null>>): Record<string, Member> {
  const there = Object.entries(members).filter(([, member]) => member !== null);
  return Object.fromEntries(there) as Record<string, Member>;
}

/** Every member good or hostile, or left out; sometimes one that nobody declared. */
function hostileOf({ properties = {} }: Shape): fc.Arbitrary<Record<string, Member>> {
  const member = fc.oneof(
    { weight: 3, arbitrary: fc.record({ good: fc.constant(true), value: hostile }) },
    { weight: 2, arbitrary: fc.record({ good: fc.constant(false), value: hostile }) },
  );
  const names = [...Object.keys(properties), "undeclared"];
  const members = Object.fromEntries(names.map((name) => [name, fc.option<Member, null>(member)]));
  return fc.record(members).map(present);
}

/** The case as an input, with what a good call would say where it says so. */
export function inputOf({ members, mutation }: Case, known: Known): Record<string, unknown> {
  const chosen = Object.entries(members).map(([name, { good, value }]) => [
    name,
    good && Object.hasOwn(known, name) ? known[name] : value,
  ]);
  const input = Object.fromEntries(chosen) as Record<string, unknown>;
  return hurried(mutation === undefined ? input : mutated(input, mutation));
}

/** Of what a call may ask to wait, so much is enough: thousands follow it. */
const WAIT_MS = 20;
const LONGEST_WAIT_MS = 30_000;

/** A wait that the schema allows is cut short. */
function hurried(input: Record<string, unknown>): Record<string, unknown> {
  const { waitMs } = input;
  const isLong = Number.isInteger(waitMs) && Number(waitMs) > WAIT_MS;
  if (isLong && Number(waitMs) <= LONGEST_WAIT_MS) define(input, "waitMs", WAIT_MS);
  return input;
}

/** A place in a value: what holds it, and its key there. */
interface Place {
  readonly holder: Record<string, unknown> | unknown[];
  readonly key: string;
}

function mutated(given: Record<string, unknown>, { at, how, value }: Mutation) {
  const input = structuredClone(given);
  const places = placesIn(input);
  const place = places[at % Math.max(places.length, 1)];
  if (place === undefined || how === "add") {
    const holder = place?.holder ?? input;
    if (Array.isArray(holder)) holder.push(value);
    else define(holder, "undeclared", value);
    return input;
  }
  const { holder, key } = place;
  const old: unknown = Reflect.get(holder, key);
  if (how === "replace") define(holder, key, value);
  else if (how === "wrap") define(holder, key, [old]);
  else if (how === "remove") Reflect.deleteProperty(holder, key);
  else if (Array.isArray(holder)) holder.push(old);
  else define(holder, key, [old, old]);
  return input;
}

/** As JSON.parse does it: `__proto__` is a member like any other. */
function define(holder: object, key: string, value: unknown): void {
  const plain = { value, writable: true, enumerable: true, configurable: true };
  Object.defineProperty(holder, key, plain);
}

function placesIn(root: Record<string, unknown>): Place[] {
  const places: Place[] = [];
  const open: (Record<string, unknown> | unknown[])[] = [root];
  for (let holder = open.shift(); holder !== undefined; holder = open.shift())
    for (const [key, value] of Object.entries(holder)) {
      if (places.length >= PLACES_MAX) return places;
      places.push({ holder, key });
      if (typeof value === "object" && value !== null)
        open.push(value as Record<string, unknown> | unknown[]);
    }
  return places;
}
