import { isTidebaseError, TidebaseError } from "../errors.ts";
import { describeHolder } from "../leases/holder.ts";
import { type ErrorCode, type Operations, routes } from "../operations.gen.ts";
import { pauseMs, sleep } from "../pause.ts";
import type { Answer, Poll, Transport } from "./transport.ts";

/** How long one call may take. */
export interface CallOptions {
  /** How long a call is sent again while the server is away. */
  readonly patienceMs?: number;
  readonly timeoutMs?: number;
  /** Ends the pauses between tries; the try that is out is not recalled. */
  readonly signal?: AbortSignal;
  /** The server may keep the answer back: not behind other calls, and recalled by its own signal. */
  readonly poll?: Poll;
}

/** Calls an operation by its name. */
export type Call = <Name extends keyof Operations>(
  name: Name,
  input: Operations[Name]["input"],
  options?: CallOptions,
) => Promise<Operations[Name]["output"]>;

/** One call as text, sent until it is answered. Gives the text of a good answer. */
export type Exchange = (
  method: "GET" | "POST",
  path: string,
  body: string | null,
  options?: CallOptions,
) => Promise<string>;

const PATIENCE_MS = 15_000;
/** While nothing has ever answered, a wrong address is likelier than a restart. */
const FIRST_PATIENCE_MS = 1000;
/** An answer of 500 may be the fault of what was sent: it is tried again, but not for long. */
const TRIES_OF_500 = 4;

/**
 * Every operation may be sent again: a repeated call finds its own result. So lost answers are
 * asked for anew, with growing pauses, until the patience is over.
 */
export function exchangeOver(transport: Transport, url: string, timeoutMs: number): Exchange {
  let everAnswered = false;
  return async (method, path, body, options = {}) => {
    const startedAt = performance.now();
    const limitMs = options.timeoutMs ?? timeoutMs;
    for (let attempt = 1; ; attempt++) {
      const tried = await transport
        .send(method, path, body, limitMs, options.poll)
        .catch((cause: unknown) => unsent(url, cause, limitMs));
      if (tried instanceof TidebaseError) options.poll?.signal.throwIfAborted();
      everAnswered ||= !(tried instanceof TidebaseError);
      if (!(tried instanceof TidebaseError) && tried.status === 200) return tried.text;

      const failure = tried instanceof TidebaseError ? tried : refusal(tried);
      const patience = options.patienceMs ?? (everAnswered ? PATIENCE_MS : FIRST_PATIENCE_MS);
      const pause = pauseMs(attempt);
      const wait = Math.max(pause, tried instanceof TidebaseError ? 0 : (tried.retryAfterMs ?? 0));
      const left = patience - (performance.now() - startedAt);
      if (!mayHelp(tried, attempt) || wait > left || options.signal?.aborted) throw failure;
      await sleep(wait, options.signal);
    }
  };
}

/** Typed calls over the one exchange. */
export function callsOver(exchange: Exchange): Call {
  return async (name, input, options) => {
    const { method, path, body } = address(routes[name], input);
    return JSON.parse(await exchange(method, path, body, options));
  };
}

function mayHelp(tried: Answer | TidebaseError, attempt: number): boolean {
  if (tried instanceof TidebaseError) return true;
  if (tried.status === 500) return attempt < TRIES_OF_500;
  return tried.status === 429 || (tried.status >= 502 && tried.status <= 504);
}

interface Address {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly body: string | null;
}

/** Puts the input where the route wants it: path parameters, then query or body. */
function address(route: string, input: object): Address {
  const rest = new Map<string, unknown>(Object.entries(input));
  const [method, template = ""] = route.split(" ");
  const path = template.replace(/:(\w+)/g, (_, name: string) => {
    const value = String(rest.get(name));
    rest.delete(name);
    return encodeURIComponent(value);
  });
  if (method === "POST") return { method, path, body: JSON.stringify(Object.fromEntries(rest)) };
  const query = new URLSearchParams();
  for (const [name, value] of rest)
    for (const one of Array.isArray(value) ? value : [value])
      if (one !== undefined) query.append(name, String(one));
  return { method: "GET", path: query.size === 0 ? path : `${path}?${query}`, body: null };
}

/** What the answer's problem (RFC 9457) says, as an error. */
export function refusal({ status, text }: Answer): TidebaseError {
  try {
    const { code, title, detail, ...data } = JSON.parse(text) as Record<string, unknown>;
    if (typeof code === "string")
      return new TidebaseError(
        code as ErrorCode,
        `${title} ${detail}${pointedTo(detail, data)}${issues(data)}`,
        data,
      );
  } catch {
    // not a problem of ours: said below
  }
  return new TidebaseError(
    "server_answer_invalid",
    `The server answered ${status} without a problem of Tidebase. Is a proxy, or another program, at this address?`,
    { status, text: text.slice(0, 200) },
  );
}

/** The members that the detail names, so that who reads the message alone has them too. */
function pointedTo(detail: unknown, data: Readonly<Record<string, unknown>>): string {
  const names = Array.from(String(detail).matchAll(/`(\w+)`/g), ([, name = ""]) => name);
  const told = names
    .filter((name) => name !== "issues" && data[name] !== undefined && data[name] !== null)
    .map((name) => `${name}: ${shown(name, data[name])}`);
  return told.length === 0 ? "" : ` (${told.join(", ")})`;
}

function shown(name: string, value: unknown): string {
  if (name === "holder") return describeHolder(value);
  if (Array.isArray(value)) return value.join(", ");
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

function issues({ issues: list }: Readonly<Record<string, unknown>>): string {
  if (!Array.isArray(list)) return "";
  return ` ${list.map(({ path, message }) => `${path}: ${message}`).join("; ")}`;
}

/** A closed client is no failure of the network: not tried again. */
function unsent(url: string, cause: unknown, timeoutMs: number): TidebaseError {
  if (isTidebaseError(cause, "client_closed")) throw cause;
  return unreachable(url, cause, timeoutMs);
}

/** Nothing listens there, or there is no such host: a server has to be started. */
const NOBODY_THERE = new Set(["ECONNREFUSED", "ENOTFOUND"]);

/** Nothing answered: says what happened and, where no server listens, how to start one. */
export function unreachable(url: string, cause: unknown, timeoutMs: number): TidebaseError {
  const { reason, text } = reasonOf(cause);
  const data = { url, reason };
  return new TidebaseError("server_unreachable", advice(), data, { cause });

  function advice(): string {
    if (/timeout/i.test(reason))
      return `The server at ${url} did not answer within ${timeoutMs} ms. Look at its log, or set TIDEBASE_URL to another one.`;
    if (NOBODY_THERE.has(reason))
      return `No Tidebase server answers at ${url} (${reason}). Start one with \`npx @tidebase/server\` (in a checkout: \`npm start\`), or set TIDEBASE_URL to the address of one.`;
    return `The request to the Tidebase server at ${url} failed: ${text}. Look at its log, and check the address and what lies in between (TLS, a proxy).`;
  }
}

/** `reason` is a code where there is one; `text` says it for people. */
interface Reason {
  readonly reason: string;
  readonly text: string;
}

/** fetch hides the reason in `cause`, and a refused connection to two addresses in `errors`. */
function reasonOf(error: unknown): Reason {
  if (!(error instanceof Error)) return { reason: String(error), text: String(error) };
  const { code, cause, errors } = error as { code?: unknown; cause?: unknown; errors?: unknown[] };
  const message = error.message.replace(/\.$/, "");
  if (typeof code === "string") {
    const says =
      message === "" || message.includes(code) ? message || code : `${message} (${code})`;
    return { reason: code, text: says };
  }
  if (cause instanceof Error) return reasonOf(cause);
  if (Array.isArray(errors) && errors.length > 0) return reasonOf(errors[0]);
  return { reason: error.name === "TimeoutError" ? "timeout" : message, text: message };
}
