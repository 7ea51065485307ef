import { TidebaseError } from "../errors.ts";

/** What stands at a place that cannot be kept, and what to do instead. */
export interface Refusal extends ErrorOptions {
  readonly is: string;
  readonly instead: string;
}

/**
 * A value that could not be read back as what it is (code `unserializable_output`). `path` is the
 * JSON Pointer (RFC 6901) of the place in the JSON that would have been written, where the entries
 * of a Map are pairs: `/users/0/1` is the value of the first entry of the Map `users`. The message
 * says what stands there and what to return instead.
 */
export class UnserializableOutput extends TidebaseError {
  readonly path: string;

  constructor(path: string, { is, instead, ...options }: Refusal) {
    const shown = path.length > 200 ? `${path.slice(0, 200)}…` : path;
    const place = path === "" ? "The value itself" : `The value at ${shown}`;
    const message = `${place} is ${is}, which cannot be kept. ${instead}.`;
    super("unserializable_output", message, { path }, options);
    this.path = path;
  }
}

/**
 * Stored notes (`outputMeta`) that this version cannot follow: written by a newer SDK, or not by an
 * SDK at all. Code `undecodable_output`.
 */
export class UndecodableOutput extends TidebaseError {
  constructor(problem: string, options?: ErrorOptions) {
    super("undecodable_output", `The stored value cannot be read back: ${problem}.`, {}, options);
  }
}
