import { Server } from "@modelcontextprotocol/sdk/server/index.js";
import type { AnyObjectSchema } from "@modelcontextprotocol/sdk/server/zod-compat.js";
import { z } from "zod";
import { ProtocolError } from "./error-v1.ts";

/** More members than any request has, of its own or as arguments; payloads in them may have more. */
const MEMBERS_MAX = 100;
const ISSUES_MAX = 5;
/** Of a path that is told, in characters. */
const PATH_MAX = 100;

/**
 * The SDK's server, but params that do not fit their method are answered as "invalid params" in our words. The
 * SDK says "internal error", and the text of its validator.
 */
export class CheckingServer extends Server {
  override setRequestHandler<Schema extends AnyObjectSchema>(
    schema: Schema,
    handler: Parameters<typeof Server.prototype.setRequestHandler<Schema>>[1],
  ): void {
    super.setRequestHandler(checking(schema), handler);
  }
}

const checked = new WeakMap<AnyObjectSchema, AnyObjectSchema>();

/** The same schema, whose params are refused with an answer of our own: once for all sessions. */
function checking<Schema extends AnyObjectSchema>(schema: Schema): Schema {
  const known = checked.get(schema) ?? check(schema);
  checked.set(schema, known);
  return known as Schema;
}

function check(schema: AnyObjectSchema): AnyObjectSchema {
  if (!(schema instanceof z.ZodObject)) return schema;
  const { method, params } = schema.shape;
  if (!(method instanceof z.ZodLiteral && params instanceof z.ZodType)) return schema;
  const fit = (given: unknown) => {
    if (isTooWide(given)) throw invalidParams(method.value, [`more than ${MEMBERS_MAX} members`]);
    const { data, error } = params.safeParse(given);
    if (error !== undefined) throw invalidParams(method.value, error.issues.map(said));
    return data;
  };
  // Optional, or zod itself would refuse params that are absent; they are for the method to miss.
  const fitting = z.unknown().optional().transform(fit);
  return schema.extend({ params: fitting });
}

/** To look at each member of so many takes seconds, to refuse them as well. */
function isTooWide(params: unknown): boolean {
  const isWide = (value: unknown) =>
    typeof value === "object" && value !== null && Object.keys(value).length > MEMBERS_MAX;
  return isWide(params) || Object.values(params ?? {}).some(isWide);
}

function said({ path, message }: z.core.$ZodIssue): string {
  return `${["params", ...path].join(".").slice(0, PATH_MAX)}: ${message}`;
}

function invalidParams(method: unknown, issues: readonly string[]): ProtocolError {
  return new ProtocolError({
    code: "input_invalid",
    message: `These are no params of ${String(method)}: ${issues.slice(0, ISSUES_MAX).join("; ")}.`,
    fix: "Send what the protocol's schema of this method asks for.",
    retryable: false,
  });
}
