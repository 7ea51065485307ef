import { TidebaseError } from "./errors.ts";

/**
 * For callers without types, whose mistyped option would be dropped without a word. Throws
 * `input_invalid` for what is no object, and for a name that is not among those `known`.
 */
export function checkOptions(what: string, options: unknown, known: readonly string[]): void {
  if (typeof options !== "object" || options === null)
    throw new TidebaseError("input_invalid", `${what}: its options must be an object.`, {});
  const names = Object.entries(options).flatMap(([name, value]) =>
    value === undefined || known.includes(name) ? [] : [name],
  );
  if (names.length === 0) return;
  const takes = `It takes ${known.join(", ")}.`;
  const says = `${what}: there is no option ${names.join(", ")}. ${takes}`;
  throw new TidebaseError("input_invalid", says, { options: names });
}
