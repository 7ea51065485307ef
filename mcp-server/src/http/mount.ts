import { type Actor, TidebaseError } from "@tidebase/core";
import type { Mount, Mounted } from "@tidebase/server";
import type { ToolServer } from "../adapter-v1.ts";
import { noSession, refuse, sessionMissing, stopping, tooManySessions } from "./refusals.ts";
import { type SessionLimits, Sessions } from "./sessions.ts";

/** What answers at `/mcp`, and its limits. */
export interface McpMountOptions extends SessionLimits {
  /** A server for the one client that this caller's new session is. */
  readonly serve: (actor: Actor) => ToolServer;
  /** Largest message; 4 MiB by default. */
  readonly bodyLimitBytes?: number;
  /** How long calls may still take when the server stops; 2 s by default. */
  readonly graceMs?: number;
  /** Between two looks for sessions that nobody uses or may use any more; 30 s by default. */
  readonly reviewMs?: number;
}

const METHODS = ["GET", "POST", "DELETE"];
const BODY_LIMIT_BYTES = 4 * 1_048_576;
const GRACE_MS = 2000;
const REVIEW_MS = 30_000;

/**
 * MCP's Streamable HTTP (revision 2025-11-25) beside the API. Every session is one client's and belongs to
 * the caller that began it: with another key, after its end or made up, its id is 404, and the client
 * begins anew. A message of an older revision's batch is refused as malformed.
 */
export function mountMcp(options: McpMountOptions): Mount {
  const { serve, graceMs = GRACE_MS, bodyLimitBytes = BODY_LIMIT_BYTES, ...rest } = options;
  const { reviewMs = REVIEW_MS, ...limits } = rest;
  const sessions = new Sessions(limits);
  let closing = false;
  const reviewing = setInterval(() => void sessions.review(), reviewMs).unref();

  async function begin({ request, actor, body, identify }: Mounted): Promise<Response> {
    if (closing) return stopping();
    const session = sessions.open(() => serve(actor), actor, identify);
    if (typeof session === "number") return tooManySessions(session);
    const response = await session.answer(request, body);
    if (!response.ok) await session.end();
    return response;
  }

  async function answer(mounted: Mounted): Promise<Response> {
    const { request, actor, body, identify } = mounted;
    if (!METHODS.includes(request.method))
      throw new TidebaseError("method_not_allowed", { allow: METHODS.join(", ") });
    const id = request.headers.get("mcp-session-id");
    if (id === null) return isInitialize(body) ? begin(mounted) : sessionMissing();
    const session = sessions.find(id, actor, identify);
    if (session === undefined) return noSession();
    return session.answer(request, body);
  }

  async function close(): Promise<void> {
    closing = true;
    clearInterval(reviewing);
    await sessions.close(graceMs);
  }
  return { path: "/mcp", methods: METHODS, bodyLimitBytes, answer, refuse, close };
}

function isInitialize(body: object | undefined): boolean {
  return body !== undefined && Reflect.get(body, "method") === "initialize";
}
