import { type SdkErrorCode, TidebaseError } from "../errors.ts";
import { encode } from "./encoding.ts";

/** The value when JSON keeps it whole. What people read and query has to be what it looks like. */
export function plainJson(value: unknown, code: SdkErrorCode, what: string): unknown {
  let meta: string | null = "";
  let cause: unknown;
  try {
    ({ meta } = encode(value));
  } catch (error) {
    cause = error;
  }
  if (meta === null) return value;
  const why = cause instanceof Error ? ` ${cause.message}` : "";
  throw new TidebaseError(
    code,
    `${what} takes plain JSON: strings, finite numbers, booleans, null, arrays and objects of them. Turn dates into ISO strings and leave undefined members out.${why}`,
    {},
    { cause },
  );
}
