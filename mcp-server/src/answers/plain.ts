import { type AnyOperation, type Backend, type JsonText, toJson } from "@tidebase/core";
import type { z } from "zod";

/** An answer as the wire shows it: what core leaves unread is a value here. */
export type Plain<Value> = Value extends JsonText
  ? unknown
  : Value extends readonly (infer Item)[]
    ? Plain<Item>[]
    : Value extends object
      ? { [Name in keyof Value]: Plain<Value[Name]> }
      : Value;

/** Executes an operation; the answer is the same from a database and from a server. */
export async function ask<Op extends AnyOperation>(
  backend: Backend,
  operation: Op,
  input: z.input<Op["input"]>,
): Promise<Plain<z.output<Op["output"]>>> {
  return JSON.parse(toJson(await backend.execute(operation, input)));
}
