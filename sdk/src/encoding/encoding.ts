import { isPlain } from "./plain.ts";
import { UnserializableOutput } from "./refusals.ts";
import { write } from "./walk.ts";

export { decode } from "./decode.ts";
export { UndecodableOutput, UnserializableOutput } from "./refusals.ts";

/** A payload as it is sent and stored: JSON text, and the text of its notes if it needs any. */
export interface Encoded {
  readonly json: string;
  readonly meta: string | null;
}

/**
 * Writes a value so that `decode` makes an equal one of it (model.md, section 3). Plain JSON is
 * `JSON.stringify`d as it is, with meta null. Otherwise the JSON stays readable to people and SQL,
 * and the meta says what stands where: a Date is its ISO text (null if invalid), a Map an array of
 * pairs, a Set an array, a BigInt its digits, bytes base64, an Error an object; undefined, a hole in
 * an array, NaN and the infinities are null, −0 is 0, and an object met again is null.
 *
 * Only own enumerable members with string keys count. A class instance becomes what its `toJSON`
 * returns; objects without a prototype come back as ordinary ones; holes come back as undefined; a
 * subclass of Date comes back as a Date, of Error as an Error with the name it had. Getters may be
 * read twice.
 *
 * Throws UnserializableOutput, with the path, for everything else and for what is nested deeper than
 * 2,000 arrays and objects.
 */
export function encode(value: unknown): Encoded {
  if (isPlain(value)) return { json: text(value), meta: null };
  const { tree, meta } = write(value, "keep");
  return { json: text(tree), meta: meta === null ? null : text(meta) };
}

function text(value: unknown): string {
  try {
    return JSON.stringify(value);
  } catch (error) {
    throw new UnserializableOutput("", {
      is: "too large to write as one JSON text, or threw while it was written",
      instead: "Return a smaller, plain value",
      cause: error,
    });
  }
}
