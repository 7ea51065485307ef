import { TidebaseError } from "../errors.ts";

interface Issue {
  readonly message: string;
}

type Validated<Value> =
  | { readonly value: Value; readonly issues?: undefined }
  | { readonly issues: readonly Issue[] };

/** Standard Schema v1 (standardschema.dev), as far as it is needed here. */
interface StandardSchema<Value> {
  readonly "~standard": {
    readonly validate: (value: unknown) => Validated<Value> | Promise<Validated<Value>>;
  };
}

/** Reads a payload and says what is wrong with it: `parse` throws, a Standard Schema gives issues. */
export type PayloadSchema<Value> = { parse(value: unknown): Value } | StandardSchema<Value>;

/** The payload as the schema reads it. Throws `signal_invalid`. */
export async function readPayload<Value>(
  schema: PayloadSchema<Value> | undefined,
  payload: unknown,
  what: string,
): Promise<Value> {
  if (schema === undefined) return payload as Value;
  try {
    if ("parse" in schema) return schema.parse(payload);
  } catch (cause) {
    throw invalid(what, cause instanceof Error ? cause.message : String(cause), cause);
  }
  const read = await schema["~standard"].validate(payload);
  if (read.issues === undefined) return read.value;
  throw invalid(what, read.issues.map(({ message }) => message).join("; "), read.issues);
}

function invalid(what: string, why: string, cause: unknown): TidebaseError {
  return new TidebaseError(
    "signal_invalid",
    `${what}: the signal's payload does not fit the schema. It is taken, and every replay gets it again. ${why}`,
    {},
    { cause },
  );
}
