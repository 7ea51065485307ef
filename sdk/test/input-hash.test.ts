import { createHash, randomInt } from "node:crypto";
import fc from "fast-check";
import { expect, it } from "vitest";
import { canonicalJson } from "../src/encoding/canonical-json.ts";
import { decode, encode } from "../src/encoding/encoding.ts";
import { diffPaths, inputHash } from "../src/encoding/input-hash.ts";
import { anyValue, difference, plainValue, tangled } from "./encoding-values.ts";

const seed = Number(process.env["TIDEBASE_SEED"] ?? randomInt(2 ** 31));
console.log(`input-hash: TIDEBASE_SEED=${seed}`);

function sha256(text: string): string {
  return `v1:${createHash("sha256").update(text).digest("hex")}`;
}

/** RFC 8785 as it is defined, for values that are not deep. */
function reference(value: unknown): string {
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(reference).join(",")}]`;
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([key, member]) => `${JSON.stringify(key)}:${reference(member)}`).join(",")}}`;
}

/** The same value with the members of every object the other way round. */
function turned(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(turned);
  if (value instanceof Map) return new Map([...value].map(([k, v]) => [turned(k), turned(v)]));
  if (value instanceof Set) return new Set([...value].map(turned));
  if (typeof value !== "object" || value === null) return value;
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== null && prototype !== Object.prototype) return value;
  const made = {};
  const attributes = { enumerable: true, configurable: true, writable: true };
  for (const [key, member] of Object.entries(value).reverse())
    Object.defineProperty(made, key, { value: turned(member), ...attributes });
  return made;
}

it("hashes the canonical JSON, and after a line feed the canonical notes", () => {
  expect(inputHash({ b: [1, 1e21, "é"], a: null })).toBe(sha256('{"a":null,"b":[1,1e+21,"é"]}'));
  expect(inputHash({ b: 1n, a: new Date(0) })).toBe(
    sha256('{"a":"1970-01-01T00:00:00.000Z","b":"1"}\n{"/":{"/a":"Date","/b":"BigInt"},"v":1}'),
  );
  expect(inputHash("\ud800")).toBe(sha256('"\\ud800"'));
});

it("writes the canonical form of RFC 8785, as its definition does by recursion", () => {
  fc.assert(
    fc.property(fc.jsonValue({ stringUnit: "binary" }), (value) => {
      expect(canonicalJson(value)).toBe(reference(value));
    }),
    { seed, numRuns: 1000 },
  );
  const published = {
    numbers: JSON.parse("[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001]"),
    string: "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"/",
    literals: [null, true, false],
  };
  expect(canonicalJson(published)).toBe(
    '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],' +
      '"string":"\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}',
  );
  expect(canonicalJson({ "10": 1, "9": 2, "": 3, "\ue000": 4, "😀": 5 })).toBe(
    '{"":3,"10":1,"9":2,"😀":5,"\ue000":4}',
  );
});

it("is the same for the same value, whatever the order of its members", () => {
  fc.assert(
    fc.property(anyValue, (value) => {
      expect(inputHash(turned(value))).toBe(inputHash(value));
    }),
    { seed, numRuns: 1000 },
  );
});

it("is the same for what storage gives back", () => {
  fc.assert(
    fc.property(fc.oneof(anyValue, tangled), (value) => {
      const { json, meta } = encode(value);
      const back = decode(JSON.parse(json), JSON.parse(meta ?? "null"));
      expect(inputHash(back)).toBe(inputHash(value));
    }),
    { seed, numRuns: 1000 },
  );
});

it("differs for different values", () => {
  const distinct = [
    0,
    -0,
    0n,
    "0",
    null,
    undefined,
    Number.NaN,
    "NaN",
    [],
    {},
    [null],
    [undefined],
  ];
  const more = [
    new Map(),
    new Set(),
    "1970-01-01T00:00:00.000Z",
    new Date(0),
    new Date(Number.NaN),
  ];
  const bytes = [Buffer.from([1]), new Uint8Array([1]), "AQ==", { a: 1 }, { a: 1, b: undefined }];
  const errors = [new Error("a"), new Error("b"), new TypeError("a"), { name: "Error" }];
  const all = [...distinct, ...more, ...bytes, ...errors];
  expect(new Set(all.map(inputHash)).size).toBe(all.length);
  fc.assert(
    fc.property(plainValue, plainValue, (a, b) => {
      fc.pre(difference(turned(turned(a)), turned(turned(b))) !== null);
      fc.pre(canonicalJson(a) !== canonicalJson(b));
      expect(inputHash(a)).not.toBe(inputHash(b));
    }),
    { seed, numRuns: 500 },
  );
});

it("does not depend on which equal objects are one and the same", () => {
  const shared = { list: [1n], at: new Date(0) };
  const copy = { list: [1n], at: new Date(0) };
  expect(inputHash({ a: shared, b: shared })).toBe(inputHash({ b: shared, a: copy }));
  expect(inputHash([[1], [1]])).toBe(inputHash(Array(2).fill([1])));
});

it("does not depend on the lines of code an error came from", () => {
  const make = () => new Error("same");
  const other = new Error("same");
  expect(inputHash({ error: make() })).toBe(inputHash({ error: other }));
});

it("refuses no input", () => {
  const throwing = {
    get a() {
      throw new Error("never");
    },
  };
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  const liar = new Proxy({}, { get: (_, name) => (name === "toJSON" ? () => liar : 1) });
  class Cart {
    readonly items = [1];
  }
  const odd = [() => 1, Symbol("x"), Promise.resolve(), new Cart(), throwing, proxy, /x/, liar];
  for (const value of odd)
    for (const input of [value, { value }, [value], new Map([[value, value]])])
      expect(inputHash(input)).toMatch(/^v1:[0-9a-f]{64}$/);
  expect(inputHash({ a: () => 1 })).toBe(inputHash({ a: () => 2 }));
  expect(inputHash({ a: () => 1 })).not.toBe(inputHash({ a: null }));
});

it("ends for endless, very deep and very tangled inputs", () => {
  let deep: unknown = 1;
  let wide: unknown = [1];
  for (let level = 0; level < 50_000; level++) deep = { deep };
  for (let level = 0; level < 60; level++) wide = [wide, wide];
  const endless = (): object => ({
    get next() {
      return endless();
    },
  });
  for (const input of [deep, wide, endless()])
    expect(inputHash(input)).toMatch(/^v1:[0-9a-f]{64}$/);
});

it("lists the JSON pointers at which two values differ, in order", () => {
  const a = { same: 1, list: [1, 2], "a/b": { "c~d": 1 }, gone: 1, kind: {} };
  const b = { same: 1, list: [1, 3, 4], "a/b": { "c~d": 2 }, kind: [], fresh: null };
  expect(diffPaths(a, b)).toEqual(["/list/1", "/list/2", "/a~1b/c~0d", "/gone", "/kind", "/fresh"]);
  expect(diffPaths(a, b, 2)).toEqual(["/list/1", "/list/2"]);
  expect(diffPaths(1, "1")).toEqual([""]);
  expect(diffPaths({}, JSON.parse('{"__proto__":1,"toString":2}'))).toEqual([
    "/__proto__",
    "/toString",
  ]);
});

it("finds a difference exactly where the canonical texts differ", () => {
  fc.assert(
    fc.property(plainValue, plainValue, (a, b) => {
      expect(diffPaths(a, structuredClone(a))).toEqual([]);
      expect(diffPaths(a, b).length > 0).toBe(canonicalJson(a) !== canonicalJson(b));
    }),
    { seed, numRuns: 500 },
  );
});
