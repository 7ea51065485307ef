import { Pool } from "undici";
import type { HttpAnswer, HttpCall } from "./http-call.ts";

/** A body of any kind. */
type Body = string | Uint8Array | undefined;
type Headers = Readonly<Record<string, string>>;

/** A client that keeps its connections, as a program with the SDK does. Each call throws when no answer comes. */
export interface HttpClient {
  send(call: HttpCall, headers?: Headers): Promise<HttpAnswer>;
  /** With any bytes for a body; JSON, unless the headers say another thing. */
  post(path: string, body: Body, headers?: Headers): Promise<HttpAnswer>;
  get(path: string, headers?: Headers): Promise<HttpAnswer>;
  /** Exactly these headers besides the key's, and those of the answer. */
  exchange(
    method: string,
    path: string,
    headers: Headers,
    body?: Body,
  ): Promise<HttpAnswer & { readonly headers: Headers }>;
  close(): Promise<void>;
}

const ANSWER_MS = 60_000;
const JSON_TYPE = { "content-type": "application/json" };

/** Calls the server in the name of a key, or of nobody. */
export function openClient(url: string, key: string | undefined, connections = 8): HttpClient {
  const timeouts = { headersTimeout: ANSWER_MS, bodyTimeout: ANSWER_MS };
  const pool = new Pool(url, { connections, pipelining: 1, ...timeouts });
  const authorization = key === undefined ? {} : { authorization: `Bearer ${key}` };

  const exchange: HttpClient["exchange"] = async (method, path, headers, body) => {
    const answer = await pool.request({
      path,
      method: method as "GET",
      headers: { ...authorization, ...headers },
      body: body ?? null,
    });
    const text = await answer.body.text();
    const told = Object.entries(answer.headers).map(([name, value]) => [name, String(value)]);
    const type = String(answer.headers["content-type"] ?? "");
    return { status: answer.statusCode, type, text, headers: Object.fromEntries(told) };
  };

  return {
    exchange,
    send: ({ method, path, body }, headers = {}) =>
      exchange(method, path, body === undefined ? headers : { ...JSON_TYPE, ...headers }, body),
    post: (path, body, headers = JSON_TYPE) => exchange("POST", path, headers, body),
    get: (path, headers = {}) => exchange("GET", path, headers),
    close: () => pool.destroy(),
  };
}
