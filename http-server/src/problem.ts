import { STATUS_CODES } from "node:http";
import { type ErrorCode, type Problem, TidebaseError, toProblem } from "@tidebase/core";

const PROBLEM = "application/problem+json";

/** A failure on its way out: the document (RFC 9457), its headers, and what the log needs. */
export interface Refusal {
  readonly problem: Problem;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** The problem document of anything thrown, with the id under which the log knows the request. */
export function refusal(thrown: unknown, requestId: string): Refusal {
  const problem = toProblem(thrown);
  return {
    problem,
    headers: { "content-type": PROBLEM, "x-request-id": requestId, ...hints(problem) },
    body: JSON.stringify({ ...problem, requestId }),
  };
}

/** What the status asks of its headers: when to come back, how to say who one is, what is allowed. */
function hints(problem: Problem): Record<string, string> {
  if (problem.status === 401) return { "www-authenticate": "Bearer" };
  if (problem.code === "run_leased") return { "retry-after": seconds(problem["leaseLeftMs"]) };
  if (problem.status === 503) return { "retry-after": "1" };
  if (problem.code === "method_not_allowed") return { allow: String(problem["allow"]) };
  return {};
}

function seconds(milliseconds: unknown): string {
  const whole = Math.ceil(Number(milliseconds) / 1000);
  return String(Number.isFinite(whole) ? Math.max(whole, 1) : 1);
}

/** The same as bytes, for a request that Node's parser gave up on: there is no Response then. */
export function rawRefusal(code: ErrorCode, requestId: string): string {
  const { problem, headers, body } = refusal(new TidebaseError(code), requestId);
  const lines = Object.entries({
    ...headers,
    "content-length": String(Buffer.byteLength(body)),
    connection: "close",
  }).map(([name, value]) => `${name}: ${value}`);
  const status = `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status] ?? ""}`;
  return `${status}\r\n${lines.join("\r\n")}\r\n\r\n${body}`;
}
