/**
 * What the JSON of a payload cannot say by itself, kept beside it as `outputMeta`.
 *
 * The tree follows the written JSON, member by member, and names only what is not plain: a key is a
 * slash and the member's name (`"/createdAt"`, `"/0"`), so no name of the user's can be mistaken for
 * one of ours, and the nesting is never more than two deeper than that of the payload. `"/"` is the
 * payload itself: `{"v":1,"/":{"/createdAt":"Date"}}`.
 */
export interface Meta extends Notes {
  readonly v: typeof META_VERSION;
}

/** Raised when an older SDK could not follow the notes. */
export const META_VERSION = 1;

/** `"Date"` is short for `{"is":"Date"}`. */
type Note = string | Notes;

/** What is noted on one place and on its members. */
export interface Notes {
  /** What the JSON at this place stands for. */
  is?: string;
  /** Number of an object that is met again elsewhere in the payload. */
  id?: number;
  /** Number of the object that stands here too; the JSON at this place is null. */
  same?: number;
  [member: `/${string}`]: Note;
}

/** Nesting of arrays and objects in the written JSON; `JSON.stringify` itself ends near 4,500. */
export const MAX_DEPTH = 2000;

/** The typed arrays and DataView by name, each over bytes of its own. */
export const VIEWS: ReadonlyMap<string, (bytes: ArrayBuffer) => ArrayBufferView> = new Map<
  string,
  (bytes: ArrayBuffer) => ArrayBufferView
>([
  ["DataView", (bytes) => new DataView(bytes)],
  ["Int8Array", (bytes) => new Int8Array(bytes)],
  ["Uint8Array", (bytes) => new Uint8Array(bytes)],
  ["Uint8ClampedArray", (bytes) => new Uint8ClampedArray(bytes)],
  ["Int16Array", (bytes) => new Int16Array(bytes)],
  ["Uint16Array", (bytes) => new Uint16Array(bytes)],
  ["Int32Array", (bytes) => new Int32Array(bytes)],
  ["Uint32Array", (bytes) => new Uint32Array(bytes)],
  ["Float32Array", (bytes) => new Float32Array(bytes)],
  ["Float64Array", (bytes) => new Float64Array(bytes)],
  ["BigInt64Array", (bytes) => new BigInt64Array(bytes)],
  ["BigUint64Array", (bytes) => new BigUint64Array(bytes)],
]);
