import { Buffer } from "node:buffer";
import { types } from "node:util";
import { VIEWS } from "./meta.ts";
import type { Refusal } from "./refusals.ts";

/** How an object is written: a text (null: JSON null), or parts that are written one by one. */
export type Kind =
  | { readonly as: "text"; readonly tag: string; readonly text: string | null }
  | { readonly as: "parts"; readonly tag: string | null; readonly parts: object };

/**
 * What JSON or a tag can say of an object; undefined for everything else, which is an object with
 * `toJSON` or refused. Members of a Date, Map, Set, array or Error that the tag cannot keep make a
 * Date, Map, Set or array "everything else"; an Error keeps name, message, stack, code, cause and
 * the errors of an AggregateError only, since libraries hang requests and sockets on theirs.
 */
export function kindOf(value: object): Kind | undefined {
  if (Array.isArray(value)) return arrayKind(value);
  if (isRecord(value)) return { as: "parts", tag: null, parts: value };
  if (types.isNativeError(value) || value instanceof Error)
    return { as: "parts", tag: "Error", parts: errorParts(value) };
  if (types.isDate(value) && isBare(value)) {
    const time = Date.prototype.getTime.call(value);
    const text = Number.isNaN(time) ? null : new Date(time).toISOString();
    return { as: "text", tag: "Date", text };
  }
  if (types.isMap(value) && isOwnClass(value, "Map") && isBare(value))
    return { as: "parts", tag: "Map", parts: Array.from(Map.prototype.entries.call(value)) };
  if (types.isSet(value) && isOwnClass(value, "Set") && isBare(value))
    return { as: "parts", tag: "Set", parts: Array.from(Set.prototype.values.call(value)) };
  return bytesKind(value);
}

/** A plain object: made by a literal, `JSON.parse` or `Object.create(null)`, in any realm. */
export function isRecord(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === null) return noSymbols(value);
  return (
    typeof prototype === "object" &&
    Object.getPrototypeOf(prototype) === null &&
    Object.hasOwn(prototype, "isPrototypeOf") &&
    noSymbols(value)
  );
}

/** An array of JSON's: no class of its own, no holes, no members beside its elements. */
export function isDense(value: readonly unknown[]): boolean {
  return (
    Object.getPrototypeOf(value) === Array.prototype && Object.keys(value).length === value.length
  );
}

function noSymbols(value: object): boolean {
  const symbols = Object.getOwnPropertySymbols(value);
  return symbols.length === 0 || !symbols.some((symbol) => isEnumerable(value, symbol));
}

function isEnumerable(value: object, key: PropertyKey): boolean {
  return Object.prototype.propertyIsEnumerable.call(value, key);
}

/** By name, so that another realm's Map counts and a subclass does not. */
function isOwnClass(value: object, name: string): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (typeof prototype !== "object" || prototype === null) return false;
  return Object.hasOwn(prototype, "constructor") && prototype.constructor.name === name;
}

function isBare(value: object): boolean {
  return Object.keys(value).length === 0 && noSymbols(value);
}

function arrayKind(value: readonly unknown[]): Kind | undefined {
  if (!isOwnClass(value, "Array")) return undefined;
  let members = Object.keys(value).length;
  for (let index = 0; index < value.length && members > 0; index++)
    if (Object.hasOwn(value, index)) members--;
  return members === 0 ? { as: "parts", tag: null, parts: value } : undefined;
}

function errorParts(error: Error & { code?: unknown; errors?: unknown }): object {
  const { name, message, stack, code, cause, errors } = error;
  return {
    name: String(name),
    message: String(message),
    ...(typeof stack === "string" && { stack }),
    ...((code !== undefined || Object.hasOwn(error, "code")) && { code }),
    ...((cause !== undefined || Object.hasOwn(error, "cause")) && { cause }),
    ...(Object.hasOwn(error, "errors") && Array.isArray(errors) && { errors }),
  };
}

/** Typed arrays are written as their bytes lie in memory: little-endian on every known platform. */
function bytesKind(value: object): Kind | undefined {
  if (types.isArrayBuffer(value))
    return { as: "text", tag: "ArrayBuffer", text: Buffer.from(value).toString("base64") };
  if (!ArrayBuffer.isView(value)) return undefined;
  const tag = Buffer.isBuffer(value) ? "Buffer" : typeName(value);
  if (tag !== "Buffer" && !(VIEWS.has(tag) && isOwnClass(value, tag))) return undefined;
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  return { as: "text", tag, text: bytes.toString("base64") };
}

/** `Promise`, `WeakMap`, `Object` …: the built-in name, which no bundler shortens. */
export function typeName(value: unknown): string {
  try {
    return Object.prototype.toString.call(value).slice(8, -1);
  } catch {
    return "Object";
  }
}

/** What a value that cannot be kept is, and what to return instead. */
export function refusalOf(value: unknown): Refusal {
  if (typeof value === "function") return { is: "a function", instead: "Return data, not code" };
  if (typeof value !== "object" || value === null)
    return { is: `a ${typeof value}`, instead: "Return its description as a string" };
  if (types.isPromise(value))
    return { is: "a Promise", instead: "Await it and return what it resolves to" };
  if ("pipe" in value || "getReader" in value)
    return { is: "a stream", instead: "Read it to its end and return the text or bytes" };
  if (types.isRegExp(value)) return { is: "a RegExp", instead: "Return its source and flags" };
  if (Array.isArray(value))
    return {
      is: "an array with a class or members of its own",
      instead: "Copy it with [...array]",
    };
  if (isPlainButForSymbols(value))
    return { is: "an object with a symbol as a key", instead: "Use strings as keys" };
  const name = className(value);
  return {
    is: name === "" ? "an object of a class" : `an object of class ${name}`,
    instead: "Return a plain object of the members you need, or give the class a toJSON method",
  };
}

function isPlainButForSymbols(value: object): boolean {
  return (
    !noSymbols(value) && isRecord(Object.create(Object.getPrototypeOf(value) as object | null))
  );
}

function className(value: object): string {
  const maker: unknown = value.constructor;
  return typeof maker === "function" ? maker.name : typeName(value);
}
