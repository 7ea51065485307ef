import type { Row } from "./rows.ts";

/** A request that is written by hand, and the statuses that are right. */
export interface FixedRequest {
  readonly row: Row;
  readonly title: string;
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  readonly right: readonly number[];
  /** What the answer says somewhere. */
  readonly says?: string;
}

const JSON_TYPE = { "content-type": "application/json" };

/** A POST of JSON, or of text and bytes as they are. */
export function post(
  row: Row,
  title: string,
  path: string,
  body: unknown,
  right: readonly number[],
  headers: Readonly<Record<string, string>> = JSON_TYPE,
): FixedRequest {
  const sent = typeof body === "string" || body instanceof Uint8Array ? body : JSON.stringify(body);
  return { row, title: title.slice(0, 60), method: "POST", path, headers, body: sent, right };
}

/** A GET. */
export function get(
  row: Row,
  title: string,
  path: string,
  right: readonly number[],
  headers: Readonly<Record<string, string>> = {},
): FixedRequest {
  return { row, title: title.slice(0, 60), method: "GET", path, headers, right };
}

/** The same, whose answer has to say so. */
export function saying(says: string, request: FixedRequest): FixedRequest {
  return { ...request, says };
}

/** For a query; a lone surrogate has no place in a URL. */
export function encode(text: string): string {
  return encodeURIComponent(text.replace(/\p{Surrogate}/gu, "\ufffd"));
}

/** A run that is begun, as its worker names it. */
export interface Held {
  readonly runId: string;
  readonly epoch: unknown;
  readonly grantId: unknown;
}

/** Where runs are made. */
export const CREATE = "/v1/runs";
