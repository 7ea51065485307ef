import { randomUUID } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Actor } from "@tidebase/core";
import type { Context } from "hono";
import type { Guard } from "./guard.ts";
import { inOneLine, type Logger } from "./log.ts";
import { type Refusal, refusal } from "./problem.ts";

/** What the Node adapter gives beside the web request; absent when an app is called directly. */
export interface NodeSide {
  readonly incoming?: IncomingMessage;
  readonly outgoing?: ServerResponse;
}

/** One request on its way through the server. */
export interface Exchange {
  readonly c: Context<{ Bindings: NodeSide }>;
  readonly request: Request;
  readonly requestId: string;
  /** Known once the caller has been authenticated. */
  actor?: Actor;
}

/** Answers a request: the text of a JSON document, or a response of its own kind. */
export type Work = (exchange: Exchange) => Promise<string | Response> | string | Response;

/** Adds a route. One that is not `checked` lets any host and page in, or looks at them itself. */
export type On = (method: string, path: string, work: Work, checked?: boolean) => void;

/** What every exchange goes through. */
export interface ExchangeOptions {
  readonly guard: Guard;
  readonly log: Logger | undefined;
  /** Told of every failure that is ours, with the request id the caller was given. */
  readonly onInternal: ((requestId: string, error: unknown) => void) | undefined;
}

const REQUEST_ID = /^[A-Za-z0-9_-]{1,64}$/;

/** The caller's own id when it is harmless in a header and a log, else a new one. */
export function requestIdOf(sent: string | null | undefined): string {
  return typeof sent === "string" && REQUEST_ID.test(sent) ? sent : `req_${randomUUID()}`;
}

/**
 * Wraps the work of one route: host and origin, request id, problems and the log line. `refuse` makes the
 * answer of a failure.
 */
export function exchanging({ guard, log, onInternal }: ExchangeOptions) {
  async function exchange(
    c: Exchange["c"],
    route: string,
    work: Work,
    checked = true,
    refuse = refusal,
  ): Promise<Response> {
    const began = performance.now();
    const request = c.req.raw;
    const requestId = requestIdOf(request.headers.get("x-request-id"));
    const current: Exchange = { c, request, requestId };
    let cors: Readonly<Record<string, string>> | undefined;
    let response: Response;
    let refused: { refusal: Refusal; error: unknown } | undefined;
    try {
      if (checked) cors = guard.check(request);
      response = toResponse(await work(current), requestId, cors);
    } catch (error) {
      refused = { refusal: refuse(error, requestId), error };
      const { problem, headers, body } = refused.refusal;
      response = new Response(body, { status: problem.status, headers: { ...headers, ...cors } });
      if (problem.code === "internal") onInternal?.(requestId, error);
    }
    if (log !== undefined) note(log, { current, route, began, status: response.status, refused });
    return response;
  }
  return exchange;
}

/** Plain header objects stay plain: the adapter writes them without building a Headers. */
function toResponse(
  answer: string | Response,
  requestId: string,
  cors: Readonly<Record<string, string>> | undefined,
): Response {
  if (typeof answer === "string")
    return new Response(answer, {
      headers: { "content-type": "application/json", "x-request-id": requestId, ...cors },
    });
  answer.headers.set("x-request-id", requestId);
  for (const [name, value] of Object.entries(cors ?? {})) answer.headers.set(name, value);
  return answer;
}

interface Outcome {
  readonly current: Exchange;
  readonly route: string;
  readonly began: number;
  readonly status: number;
  readonly refused: { refusal: Refusal; error: unknown } | undefined;
}

function note(log: Logger, { current, route, began, status, refused }: Outcome): void {
  const level = levelOf(status);
  if (!log.isLevelEnabled(level)) return;
  const line = {
    method: current.request.method,
    route,
    status,
    ms: Math.round((performance.now() - began) * 100) / 100,
    requestId: current.requestId,
    actor: current.actor?.name,
    code: refused?.refusal.problem.code,
    ...(refused !== undefined && status >= 500 && failureOf(log, status, refused.error)),
  };
  log[level](line, refused === undefined ? "answered" : refused.refusal.problem.title);
}

/** While the database is away every request fails alike: one line each, the stack when debugging. */
function failureOf(log: Logger, status: number, error: unknown): object {
  if (status !== 503 || log.isLevelEnabled("debug")) return { err: error };
  return { cause: inOneLine(error instanceof Error ? (error.cause ?? error) : error) };
}

function levelOf(status: number): "debug" | "info" | "warn" | "error" {
  if (status < 400) return "debug";
  if (status === 503 || status === 401 || status === 403) return "warn";
  return status >= 500 ? "error" : "info";
}
