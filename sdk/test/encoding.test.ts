import { randomInt } from "node:crypto";
import { Readable } from "node:stream";
import { runInNewContext } from "node:vm";
import fc from "fast-check";
import { expect, it, vi } from "vitest";
import {
  decode,
  type Encoded,
  encode,
  UndecodableOutput,
  UnserializableOutput,
} from "../src/encoding/encoding.ts";
import { anyValue, difference, plainValue, tangled } from "./encoding-values.ts";

const seed = Number(process.env["TIDEBASE_SEED"] ?? randomInt(2 ** 31));
console.log(`encoding: TIDEBASE_SEED=${seed}`);

function read({ json, meta }: Encoded): unknown {
  return decode(JSON.parse(json), meta === null ? null : JSON.parse(meta));
}

function refusal(value: unknown): UnserializableOutput {
  try {
    encode(value);
  } catch (error) {
    if (error instanceof UnserializableOutput) return error;
    throw error;
  }
  throw new Error("It was encoded.");
}

function nested(depth: number, wrap: (inner: unknown) => unknown): unknown {
  let value: unknown = "core";
  for (let level = 0; level < depth; level++) value = wrap(value);
  return value;
}

it("gives back any value equal to the one it was given", () => {
  fc.assert(
    fc.property(anyValue, (value) => {
      expect(difference(read(encode(value)), value)).toBeNull();
    }),
    { seed, numRuns: 2000 },
  );
});

it("keeps cycles and which objects are one and the same", () => {
  fc.assert(
    fc.property(tangled, (value) => {
      expect(difference(read(encode(value)), value)).toBeNull();
    }),
    { seed, numRuns: 1000 },
  );
});

it("writes what it has read as it was written", () => {
  fc.assert(
    fc.property(fc.oneof(anyValue, tangled), (value) => {
      const once = encode(value);
      expect(encode(read(once))).toEqual(once);
    }),
    { seed, numRuns: 1000 },
  );
});

it("writes plain JSON exactly as JSON.stringify does, and nothing beside it", () => {
  fc.assert(
    fc.property(plainValue, (value) => {
      expect(encode(value)).toEqual({ json: JSON.stringify(value), meta: null });
    }),
    { seed, numRuns: 2000 },
  );
});

it("keeps names that look like its own or like a prototype's", () => {
  const text =
    '{"__proto__":{"polluted":true},"constructor":{"prototype":1},"":0,"/":1,"is":"Date","id":1,' +
    '"same":1,"toJSON":"a text","a~b/c":[]}';
  const value: unknown = JSON.parse(text);
  expect(encode(value)).toEqual({ json: text, meta: null });
  const mixed = Object.assign(JSON.parse(text) as object, { when: new Date(0) });
  for (const key of Object.keys(mixed)) {
    const marked = { ...mixed };
    Object.defineProperty(marked, key, { value: new Map([[1n, undefined]]) });
    expect(difference(read(encode(marked)), marked)).toBeNull();
  }
  expect("polluted" in {}).toBe(false);
});

it("keeps NUL, lone surrogates and every other character", () => {
  for (const text of ["\u0000", "\ud800", "\udfff x", "\u2028", "😀", '"\\'])
    expect(read(encode({ [text]: [text, 1n] }))).toEqual({ [text]: [text, 1n] });
});

it("leaves the JSON readable beside the notes", () => {
  const { json, meta } = encode({
    at: new Date(0),
    price: 12n,
    tags: new Set(["a"]),
    by: new Map([["k", Number.NaN]]),
    bytes: Buffer.from("hi"),
  });
  expect(json).toBe(
    '{"at":"1970-01-01T00:00:00.000Z","price":"12","tags":["a"],"by":[["k",null]],"bytes":"aGk="}',
  );
  expect(meta).toBe(
    '{"v":1,"/":{"/at":"Date","/price":"BigInt","/tags":"Set",' +
      '"/by":{"is":"Map","/0":{"/1":"NaN"}},"/bytes":"Buffer"}}',
  );
  expect(encode(undefined)).toEqual({ json: "null", meta: '{"v":1,"/":"undefined"}' });
});

it("gives back errors with name, message, stack, code and cause, and of the class they had", () => {
  const cause = Object.assign(new RangeError("inner"), { code: "E_INNER" });
  const thrown = new AggregateError([cause, new Error("b", { cause: undefined })], "all", {
    cause,
  });
  const back = read(encode(thrown)) as AggregateError;
  expect(difference(back, thrown)).toBeNull();
  expect(back).toBeInstanceOf(AggregateError);
  expect(back.cause).toBeInstanceOf(RangeError);
  expect(back.errors[0]).toBe(back.cause);
  expect(Object.keys(back)).toEqual([]);
  expect(Object.keys(back.cause as object)).toEqual(["code"]);
  class PaymentError extends Error {
    override readonly name = "PaymentError";
    readonly socket = () => "dropped";
  }
  const named = read(encode(new PaymentError("no funds"))) as Error;
  expect(named).toBeInstanceOf(Error);
  expect(String(named)).toBe("PaymentError: no funds");
});

it("gives back bytes as the type they had, with memory of their own", () => {
  const window = new Uint16Array(new Uint16Array([1, 2, 3, 4]).buffer, 2, 2);
  const back = read(encode([window, window.buffer, new DataView(window.buffer, 2, 3)]));
  const [view, buffer, data] = back as [Uint16Array, ArrayBuffer, DataView];
  expect(view).toEqual(new Uint16Array([2, 3]));
  expect(buffer.byteLength).toBe(8);
  expect(data.byteLength).toBe(3);
  expect(view.buffer.byteLength).toBe(4);
  expect(Buffer.isBuffer(read(encode(Buffer.alloc(0))))).toBe(true);
});

it("writes a class instance as its toJSON says, and what that returns like any other value", () => {
  class Money {
    readonly #cents = 5n;
    toJSON() {
      return { cents: this.#cents, on: new Date(0) };
    }
  }
  const one = new Money();
  const back = read(encode({ url: new URL("https://a.example/b"), one, again: one }));
  expect(back).toEqual({
    url: "https://a.example/b",
    one: { cents: 5n, on: new Date(0) },
    again: { cents: 5n, on: new Date(0) },
  });
  expect(encode({ toJSON: () => [1] })).toEqual({ json: "[1]", meta: null });
});

it("reads holes as undefined and objects without a prototype as ordinary ones", () => {
  expect(read(encode(Object.assign(new Array(3), { 1: "x" })))).toStrictEqual([
    undefined,
    "x",
    undefined,
  ]);
  const bare = Object.assign(Object.create(null), { a: 1n }) as object;
  expect(Object.getPrototypeOf(read(encode(bare)))).toBe(Object.prototype);
});

it("knows values of another realm, and dates while a test has replaced Date", () => {
  const foreign: unknown = runInNewContext(
    "({ list: [new Date(0), new Map([[1, 2]])], bytes: new Uint8Array([7]), error: new TypeError('x') })",
  );
  const back = read(encode(foreign)) as Record<string, unknown>;
  expect(back["list"]).toEqual([new Date(0), new Map([[1, 2]])]);
  expect(back["bytes"]).toEqual(new Uint8Array([7]));
  expect(back["error"]).toBeInstanceOf(TypeError);
  vi.setSystemTime(1234);
  const replaced = encode(new Date());
  vi.useRealTimers();
  expect(read(replaced)).toEqual(new Date(1234));
});

it.each<[string, unknown, string, RegExp]>([
  ["a function", { a: [() => 1] }, "/a/0", /a function.*Return data/],
  ["a symbol", Symbol("x"), "", /value itself is a symbol/],
  ["a promise", { a: { "b/c": Promise.resolve(1) } }, "/a/b~1c", /Await it/],
  ["a stream", [Readable.from([])], "/0", /a stream.*Read it to its end/],
  ["a web stream", [new Blob(["x"]).stream()], "/0", /a stream/],
  ["a class instance", new Map([["k", new (class Cart {})()]]), "/0/1", /class Cart.*toJSON/],
  ["a WeakMap", { w: new WeakMap() }, "/w", /class WeakMap/],
  ["a RegExp", { r: /x/ }, "/r", /source and flags/],
  ["a symbol as a key", { o: { [Symbol("x")]: 1 } }, "/o", /symbol as a key/],
  ["a subclass of Map", [new (class Index extends Map {})()], "/0", /class Index/],
  ["a match with its members", { m: "abc".match(/b/) }, "/m", /members of its own/],
  ["a Map with members", Object.assign(new Map(), { a: 1 }), "", /class Map/],
  ["a boxed number", { n: Object(1) }, "/n", /class Number/],
  ["shared memory", { s: new SharedArrayBuffer(1) }, "/s", /class SharedArrayBuffer/],
  ["an inherited object", { i: Object.create({ a: 1 }) }, "/i", /cannot be kept/],
])("refuses %s, names the place and says what to return", (_, value, path, message) => {
  const refused = refusal(value);
  expect(refused.path).toBe(path);
  expect(refused.code).toBe("unserializable_output");
  expect(refused.message).toMatch(message);
});

it("names the place of a getter or Proxy that throws, and keeps what it threw", () => {
  const boom = new Error("boom");
  const fail = () => {
    throw boom;
  };
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  for (const [value, path] of [
    [{ a: Object.defineProperty({}, "b", { get: fail, enumerable: true }) }, "/a/b"],
    [[new Proxy({}, { ownKeys: fail })], "/0"],
    [{ a: { toJSON: fail } }, "/a"],
  ] as const) {
    const refused = refusal(value);
    expect(refused).toMatchObject({ path, cause: boom });
    expect(refused.message).toContain("boom");
  }
  expect(refusal({ gone: proxy }).path).toBe("/gone");
});

it("keeps 2,000 levels of nesting and refuses one more with its path", () => {
  for (const wrap of [
    (inner: unknown) => ({ a: inner }),
    (inner: unknown) => [inner],
    (inner: unknown) => new Set([inner]),
    (inner: unknown) => ({ a: inner, at: new Date(0) }),
  ]) {
    const deepest = nested(2000, wrap);
    const once = encode(deepest);
    expect(encode(read(once))).toEqual(once);
    expect(once.json.split("core")[0]?.match(/[[{]/g)).toHaveLength(2000);
    const refused = refusal(nested(2001, wrap));
    expect(refused.path.split("/")).toHaveLength(2001);
    expect(refused.message.length).toBeLessThan(400);
  }
});

it("writes notes in proportion to the value, not to its depth", () => {
  const { json, meta } = encode(nested(1999, (inner) => ({ inner, at: new Date(0) })));
  expect(meta?.length).toBeLessThan(json.length);
});

it("writes an object that stands in many places once", () => {
  let value: unknown = ["leaf"];
  for (let level = 0; level < 100; level++) value = [value, value];
  const { json, meta } = encode(value);
  expect(json.length + (meta?.length ?? 0)).toBeLessThan(10_000);
  const [left, right] = read({ json, meta }) as [unknown, unknown];
  expect(left).toBe(right);
});

it("changes nothing in the parsed JSON it reads", () => {
  const { json, meta } = encode({ a: { b: new Date(0) }, c: [1] });
  const parsed = JSON.parse(json) as { readonly c: unknown };
  const first = decode(parsed, JSON.parse(meta ?? "")) as { readonly c: unknown };
  expect(JSON.stringify(parsed)).toBe(json);
  expect(first.c).toBe(parsed.c);
});

it.each<[unknown, unknown, RegExp]>([
  [1, { v: 2, "/": "Date" }, /version 2.*reads version 1/],
  [1, [], /version/],
  [1, "Date", /version "Date"/],
  [1, {}, /version missing/],
  [1, { v: 1, "/": "Function" }, /knows no "Function"/],
  [1, { v: 1, "/": 7 }, /a note on it is 7/],
  [1, { v: 1, "/": { "/a": "Date" } }, /notes on members/],
  [{}, { v: 1, "/": { "/__proto__": "Set" } }, /names the member "__proto__"/],
  [{}, { v: 1, "/": { "/toString": { "/call": "Set" } } }, /names the member "toString"/],
  [[], { v: 1, "/": { "/length": "NaN" } }, /names the member "length"/],
  [{ a: null }, { v: 1, "/": { "/a": { same: 9 } } }, /object 9 is nowhere/],
  [{ a: null }, { v: 1, "/": { "/a": { same: { toString: 1 } } } }, /object an object is nowhere/],
  [[[], []], { v: 1, "/": { "/0": { id: 1 }, "/1": { id: 1 } } }, /not the number of one object/],
  ["1", { v: 1, "/": { is: "BigInt", id: 1 } }, /not the number of one object/],
  ["0x1f", { v: 1, "/": "BigInt" }, /"BigInt" has not the form/],
  [[1], { v: 1, "/": "Map" }, /"Map" has not the form/],
  [{}, { v: 1, "/": "Set" }, /"Set" has not the form/],
  [{ name: { toString: 1 } }, { v: 1, "/": "Error" }, /"Error" has not the form/],
  [{ name: "Error", stack: 1 }, { v: 1, "/": "Error" }, /"Error" has not the form/],
  ["AAA=", { v: 1, "/": "Float64Array" }, /"Float64Array" has not the form/],
  [{}, { v: 1, "/": "Date" }, /"Date" has not the form/],
])("refuses to read %j by the notes %j and says why", (json, meta, message) => {
  expect(() => decode(json, meta)).toThrow(UndecodableOutput);
  expect(() => decode(json, meta)).toThrow(message);
});

it("answers any notes at all with a value or a clear refusal, and touches no prototype", () => {
  const name = fc.constantFrom("v", "is", "id", "same", "/", "/0", "/a", "/__proto__", "/length");
  const word = fc.constantFrom("Map", "Set", "Error", "Date", "BigInt", "Buffer", "-0", 1, 2, null);
  const { notes } = fc.letrec((tie) => ({
    notes: fc.oneof(
      { maxDepth: 6 },
      word,
      fc.array(fc.tuple(name, tie("notes"))).map((members) => Object.fromEntries(members)),
    ),
  }));
  fc.assert(
    fc.property(plainValue, notes, (json, note) => {
      try {
        decode(json, { v: 1, "/": note });
      } catch (error) {
        if (!(error instanceof UndecodableOutput)) throw error;
      }
      expect(Object.keys(Object.prototype)).toEqual([]);
    }),
    { seed, numRuns: 3000 },
  );
});
