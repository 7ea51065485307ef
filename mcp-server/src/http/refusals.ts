import type { Mount } from "@tidebase/server";

/** Codes of JSON-RPC and of the MCP transport. */
const PARSE_ERROR = -32_700;
const INVALID = -32_600;
const SERVER_ERROR = -32_000;
const SESSION_NOT_FOUND = -32_001;

/** A problem of the HTTP server as a JSON-RPC error: its code, advice and request id are the data. */
export const refuse: Mount["refuse"] = (problem) =>
  write(
    problem.code === "json_malformed" ? PARSE_ERROR : SERVER_ERROR,
    `${problem.title} ${problem.detail}`,
    problem,
  );

/** The session is unknown, has ended or is another caller's: the client shall begin a new one. */
export function noSession(): Response {
  return answer(404, "Session not found. Begin a new one with initialize.", SESSION_NOT_FOUND);
}

/** Whatever is no `initialize` belongs to a session. */
export function sessionMissing(): Response {
  return answer(400, "Send the Mcp-Session-Id header that the answer to initialize carried.");
}

/** The client still waits for an answer to this id: it could not tell the two apart. */
export function idInUse(): Response {
  return answer(400, "A call with this id is still being answered. Give each its own.", INVALID);
}

/** So many sessions are in use that none can be ended for a new one. */
export function tooManySessions(max: number): Response {
  const response = answer(429, `${max} sessions are in use. End one with DELETE, then try again.`);
  response.headers.set("retry-after", "60");
  return response;
}

/** The server stops: nothing new begins. */
export function stopping(): Response {
  const response = answer(503, STOPPING);
  response.headers.set("retry-after", "1");
  return response;
}

const STOPPING = "The server stops. Call again in a moment.";

/** What a call is told that the server cannot wait for any longer. */
export const CUT_SHORT = { code: SERVER_ERROR, message: STOPPING };

function answer(status: number, message: string, code = SERVER_ERROR): Response {
  const headers = { "content-type": "application/json" };
  return new Response(write(code, message), { status, headers });
}

function write(code: number, message: string, data?: object): string {
  return JSON.stringify({ jsonrpc: "2.0", id: null, error: { code, message, data } });
}
