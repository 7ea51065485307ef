import type { z } from "zod";
import { GateId } from "../tools/gate-fields.ts";
import { RunId } from "../tools/run-fields.ts";
import type { ResourceDefinition } from "./resource.ts";

const URI_MAX = 1000;
/** An id, a number or a page's name: nothing that means something to a file system or an address. */
const SEGMENT = /^[A-Za-z0-9_-]{1,64}$/;
/** What no such id can be is nobody's. */
const IDS: Readonly<Record<string, z.ZodType>> = { runId: RunId, gateId: GateId };

/** A resource that was meant, and the values of its template's variables. */
export interface Match {
  readonly resource: ResourceDefinition;
  readonly variables: Readonly<Record<string, string>>;
}

/**
 * The one resource with this URI, compared letter by letter: nothing is decoded or resolved but the values
 * of a query. Undefined when there is none.
 */
export function matchUri(uri: string, resources: readonly ResourceDefinition[]): Match | undefined {
  if (uri.length > URI_MAX || uri.includes("#")) return undefined;
  for (const resource of resources) {
    const variables = variablesIn(uri, resource.uriTemplate);
    if (variables !== undefined) return { resource, variables };
  }
  return undefined;
}

function variablesIn(uri: string, template: string): Record<string, string> | undefined {
  const [, path = "", names = ""] = /^(.*?)(?:\{\?(.*)\})?$/.exec(template) ?? [];
  const [given = "", ...queries] = uri.split("?");
  if (queries.length > 1) return undefined;
  const query = queryIn(queries[0], names.split(","));
  const wanted = path.split("/");
  const segments = given.split("/");
  if (query === undefined || segments.length !== wanted.length) return undefined;
  const variables: Record<string, string> = { ...query };
  for (const [n, want] of wanted.entries()) {
    const segment = segments[n] ?? "";
    const name = /^\{(\w+)\}$/.exec(want)?.[1];
    if (name === undefined ? segment !== want : !fits(name, segment)) return undefined;
    if (name !== undefined) variables[name] = segment;
  }
  return variables;
}

function fits(name: string, segment: string): boolean {
  return SEGMENT.test(segment) && (IDS[name]?.safeParse(segment).success ?? true);
}

/** The values by name, each at most once and of these names alone. */
function queryIn(
  query: string | undefined,
  names: readonly string[],
): Record<string, string> | undefined {
  const values: Record<string, string> = {};
  for (const [name, value] of new URLSearchParams(query)) {
    if (!names.includes(name) || Object.hasOwn(values, name)) return undefined;
    values[name] = value;
  }
  return values;
}
