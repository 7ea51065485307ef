import fc from "fast-check";

/** Any UTF-16 text, NUL and lone surrogates included. */
const anyText = fc.oneof(
  fc.string(),
  fc
    .array(fc.oneof(fc.integer({ min: 0, max: 0xffff }), fc.constantFrom(0, 0xd800, 0xdfff)))
    .map((units) => String.fromCharCode(...units)),
);

const key = fc.oneof(
  anyText,
  fc.constantFrom(
    "__proto__",
    "constructor",
    "toJSON",
    "",
    "/",
    "~",
    "is",
    "id",
    "same",
    "10",
    "9",
  ),
);

/** Objects with own members of any name, in any order. */
function record<Value>(value: fc.Arbitrary<Value>): fc.Arbitrary<object> {
  return fc
    .tuple(fc.array(fc.tuple(key, value), { maxLength: 6 }), fc.boolean())
    .map(([members, bare]) => {
      const made: object = bare ? (Object.create(null) as object) : {};
      for (const [name, member] of members) own(made, name, member);
      return made;
    });
}

function own(holder: object, name: string, value: unknown): void {
  const attributes = { enumerable: true, writable: true, configurable: true };
  Object.defineProperty(holder, name, { value, ...attributes });
}

const plainScalar = fc.oneof(
  anyText,
  fc.boolean(),
  fc.constant(null),
  fc.integer(),
  fc.double({ noNaN: true, noDefaultInfinity: true }).filter((number) => !Object.is(number, -0)),
);

/** Trees of plain JSON. */
export const plainValue: fc.Arbitrary<unknown> = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    plainScalar,
    fc.array(tie("value"), { maxLength: 6 }),
    record(tie("value")),
  ),
})).value;

const bytes = fc.uint8Array({ maxLength: 20 });

const scalar = fc.oneof(
  plainScalar,
  fc.double(),
  fc.bigInt(),
  fc.date({ noInvalidDate: false }),
  bytes,
  bytes.map((data) => Buffer.from(data)),
  bytes.map((data) => new Uint8Array(data).buffer),
  fc.oneof(fc.float32Array(), fc.int16Array(), fc.uint32Array(), fc.float64Array()),
  fc.constantFrom(undefined, -0, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY),
);

function error(value: fc.Arbitrary<unknown>): fc.Arbitrary<Error> {
  const made = fc.constantFrom(
    (message: string) => new Error(message),
    (message: string) => new TypeError(message),
    (message: string) => Object.assign(new Error(message), { name: "OwnError" }),
    (message: string) => new AggregateError([1n, new Error("inner")], message),
  );
  return fc
    .tuple(made, fc.string(), fc.option(value), fc.option(value))
    .map(([make, message, cause, code]) => {
      const thrown = make(message);
      if (cause !== null) Object.defineProperty(thrown, "cause", { value: cause });
      return code === null ? thrown : Object.assign(thrown, { code });
    });
}

/** Trees of everything the encoder keeps. */
export const anyValue: fc.Arbitrary<unknown> = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    scalar,
    fc.array(tie("value"), { maxLength: 6 }),
    record(tie("value")),
    fc.array(fc.tuple(tie("value"), tie("value")), { maxLength: 4 }).map((pairs) => new Map(pairs)),
    fc.array(tie("value"), { maxLength: 4 }).map((members) => new Set(members)),
    error(tie("value")),
  ),
})).value;

/** Graphs: a few holders that stand in one another at random, themselves included. */
export const tangled: fc.Arbitrary<unknown> = fc
  .tuple(
    fc.array(fc.constantFrom("array", "record", "map", "set", "error", "date"), {
      minLength: 1,
      maxLength: 6,
    }),
    fc.array(fc.tuple(fc.nat(), fc.nat(), key, fc.boolean()), { maxLength: 20 }),
  )
  .map(([kinds, edges]) => {
    const holders = kinds.map(holder);
    for (const [from, to, name, other] of edges)
      join(holders[from % holders.length], holders[to % holders.length], name, other);
    return holders;
  });

function holder(kind: string): object {
  if (kind === "array") return [];
  if (kind === "map") return new Map();
  if (kind === "set") return new Set();
  if (kind === "date") return new Date(0);
  return kind === "error" ? new Error("tangled") : {};
}

function join(from: unknown, to: unknown, name: string, other: boolean): void {
  if (Array.isArray(from)) from.push(to);
  else if (from instanceof Map) from.set(other ? to : name, other ? name : to);
  else if (from instanceof Set) from.add(to);
  else if (from instanceof Error) from.cause = to;
  else if (!(from instanceof Date)) own(from as object, name, to);
}

/** Where two values differ, or null: numbers by Object.is, and one object here is one there. */
export function difference(a: unknown, b: unknown): string | null {
  const partners = [new Map<object, object>(), new Map<object, object>()] as const;
  return compare(a, b, "");

  function compare(left: unknown, right: unknown, path: string): string | null {
    if (!isObject(left) || !isObject(right)) return Object.is(left, right) ? null : path || "/";
    const [toRight, toLeft] = partners;
    if (toRight.has(left) || toLeft.has(right))
      return toRight.get(left) === right && toLeft.get(right) === left ? null : `${path} identity`;
    toRight.set(left, right);
    toLeft.set(right, left);
    if (classOf(left) !== classOf(right)) return `${path} class`;
    const [mine, theirs] = [parts(left), parts(right)];
    if (mine.length !== theirs.length) return `${path} length`;
    for (const [index, [name, member]] of mine.entries()) {
      const at = `${path}/${index}`;
      const found =
        compare(name, theirs[index]?.[0], at) ?? compare(member, theirs[index]?.[1], at);
      if (found !== null) return found;
    }
    return null;
  }
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

function classOf(value: object): unknown {
  return Object.getPrototypeOf(value) ?? Object.prototype;
}

/** Members in order; an object without a prototype counts as an ordinary one. */
function parts(value: object): (readonly [unknown, unknown])[] {
  if (value instanceof Map) return [...value];
  if (value instanceof Set) return [...value].map((member) => [null, member]);
  if (value instanceof Date) return [["time", value.getTime()]];
  if (value instanceof ArrayBuffer) return [["hex", Buffer.from(value).toString("hex")]];
  if (ArrayBuffer.isView(value)) {
    const { buffer, byteOffset, byteLength } = value;
    return [["hex", Buffer.from(buffer, byteOffset, byteLength).toString("hex")]];
  }
  if (value instanceof Error)
    return ["name", "message", "stack", "code", "cause", "errors"]
      .filter((name) => name === "name" || name === "message" || Object.hasOwn(value, name))
      .map((name) => [name, Reflect.get(value, name)]);
  return Array.isArray(value) ? value.map((member) => [null, member]) : Object.entries(value);
}
