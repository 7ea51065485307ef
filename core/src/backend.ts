import type { z } from "zod";
import type { Core } from "./core.ts";
import { ERRORS, type ErrorCode, TidebaseError } from "./errors.ts";
import { type Actor, type AnyOperation, parseInput } from "./operation.ts";

/** Anything that executes operations: a store of one's own, or a server somewhere. */
export interface Backend {
  execute<Op extends AnyOperation>(operation: Op, input: unknown): Promise<z.output<Op["output"]>>;
  close(): Promise<void>;
}

/** Operations on this store, in the name of one actor. */
export function localBackend(core: Core, actor: Actor): Backend {
  return {
    execute: (operation, input) => core.execute(operation, input, actor),
    close: () => core.close(),
  };
}

const TIMEOUT_MS = 60_000;
/** Nobody was there to receive the call, so it had no effect. */
const NEVER_SENT = new Set<unknown>(["ECONNREFUSED", "ENOTFOUND", "EHOSTUNREACH", "EAI_AGAIN"]);

/** The same operations over HTTP, from the same registry. Throws the server's errors as its own. */
export function remote({ url, apiKey }: { url: string; apiKey?: string | undefined }): Backend {
  const base = url.endsWith("/") ? url : `${url}/`; // a path in front, as behind a proxy, is kept
  const headers = {
    "content-type": "application/json",
    ...(apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` }),
  };
  return {
    async execute<Op extends AnyOperation>(operation: Op, input: unknown) {
      parseInput(operation, input); // the same refusal as on a store of one's own, without the way
      const [method, path, body] = request(operation.route, input as Record<string, unknown>);
      const answer = await send(new URL(`.${path}`, base), { method, headers, ...body });
      const text = await answer.text();
      if (answer.ok) return JSON.parse(text) as z.output<Op["output"]>;
      throw problem(answer.status, text);
    },
    close: async () => {},
  };
}

async function send(url: URL, init: RequestInit): Promise<Response> {
  try {
    return await fetch(url, {
      ...init,
      redirect: "error",
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
  } catch (cause) {
    if (wasNeverSent(cause))
      throw new TidebaseError("store_unavailable", { url: url.origin, cause });
    throw new TidebaseError("outcome_unknown", { cause });
  }
}

/** An address or a key that fetch refuses has no cause, or a bad port; else the network says why. */
function wasNeverSent(thrown: unknown): boolean {
  const { name, cause } = thrown as Error;
  if (cause === undefined) return name === "TypeError";
  return (
    (cause as Error).message === "bad port" || NEVER_SENT.has(Reflect.get(Object(cause), "code"))
  );
}

function request(
  route: string,
  input: Record<string, unknown>,
): [method: string, path: string, body: { body?: string }] {
  const rest = new Map(Object.entries(input));
  const [method = "", template = ""] = route.split(" ");
  const path = template.replace(/:(\w+)/g, (_, name: string) => {
    const value = String(rest.get(name));
    rest.delete(name);
    return encodeURIComponent(value);
  });
  if (method !== "GET") return [method, path, { body: JSON.stringify(Object.fromEntries(rest)) }];
  const query = new URLSearchParams();
  for (const [name, value] of rest)
    for (const one of Array.isArray(value) ? value : [value])
      if (one !== undefined) query.append(name, String(one));
  return [method, `${path}?${query}`, {}];
}

function problem(status: number, text: string): TidebaseError {
  try {
    const {
      code,
      type: _t,
      title: _n,
      status: _s,
      detail: _d,
      retry: _r,
      ...data
    } = JSON.parse(text) as Record<string, unknown>;
    if (typeof code === "string" && Object.hasOwn(ERRORS, code))
      return new TidebaseError(code as ErrorCode, data);
  } catch {
    // not a problem document: a proxy answered
  }
  return new TidebaseError(status >= 500 ? "outcome_unknown" : "internal", { httpStatus: status });
}
