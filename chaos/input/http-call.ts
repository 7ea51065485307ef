import { type AnyOperation, toJson } from "@tidebase/core";
import { type Case, inputOf, type Known } from "./cases.ts";

/** One request of an operation, without its host. */
export interface HttpCall {
  readonly method: string;
  readonly path: string;
  readonly body: string | undefined;
}

/** What came back. */
export interface HttpAnswer {
  readonly status: number;
  readonly type: string;
  readonly text: string;
}

/** The caller is told what to mend, or it went well. 500 and 503 are ours. */
const ADMITTED = [200, 400, 403, 404, 405, 409, 413, 414, 415, 422, 431];

/** The request that sends the case to the operation: path parameters of the input stand in the path. */
export function callOf({ route }: Pick<AnyOperation, "route">, one: Case, known: Known): HttpCall {
  const [method = "", template = ""] = route.split(" ");
  const input = new Map(Object.entries(inputOf(one, known)));
  const path = template.replace(/:(\w+)/g, (_, name: string) => {
    const value = input.get(name) ?? known[name] ?? "none";
    input.delete(name);
    const text = typeof value === "string" ? value : (JSON.stringify(value) ?? "none");
    return encodeURIComponent(wellFormed(text).slice(0, 8000)) || "-";
  });
  if (method === "POST")
    return { method, path, body: one.text ?? toJson(Object.fromEntries(input)) };
  const query = new URLSearchParams();
  for (const [name, value] of input) for (const text of textsOf(value)) query.append(name, text);
  return { method, path: `${path}?${query}`, body: undefined };
}

/** A list is said by naming its parameter again and again. */
function textsOf(value: unknown): string[] {
  if (Array.isArray(value) && value.every((one) => typeof one === "string")) return value;
  return [typeof value === "string" ? value : (JSON.stringify(value) ?? "")];
}

/** A lone surrogate has no place in a URL. */
function wellFormed(text: string): string {
  return text.replace(/\p{Surrogate}/gu, "\ufffd");
}

/** What is wrong with an answer to anything at all; undefined when it is a result or a problem that says what to do. */
export function wrongOf({ status, type, text }: HttpAnswer): string | undefined {
  const shown = `${status} ${text.slice(0, 300)}`;
  if (!ADMITTED.includes(status)) return `answered ${shown}`;
  const value = parsed(text);
  if (value === undefined) return `answered what is no JSON object: ${shown}`;
  if (status === 200) return undefined;
  if (!type.startsWith("application/problem+json")) return `answered a refusal of type ${type}`;
  const { code, detail, title } = value;
  const named = [code, detail, title].every((member) => typeof member === "string");
  return named && value["status"] === status ? undefined : `answered no problem: ${shown}`;
}

function parsed(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}
