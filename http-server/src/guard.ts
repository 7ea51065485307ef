import { TidebaseError } from "@tidebase/core";

/** The names by which a browser's page cannot be made to reach another machine's server. */
const LOOPBACK = /^(?:localhost|127\.0\.0\.1|\[::1\])(?::\d{1,5})?$/i;

/** Which callers are let in besides those of this machine. */
export interface GuardOptions {
  /** Host names the server answers to besides the loopback names; with a port, only on that port. */
  readonly allowedHosts?: readonly string[];
  /** Origins, such as `https://studio.example`, whose pages may call the server. */
  readonly allowedOrigins?: readonly string[];
}

/** Looks at where a request was sent and from which page, before anything else. */
export interface Guard {
  /** Throws `host_refused` or `origin_refused`. Answers the headers that an allowed origin needs. */
  check(request: Request): Readonly<Record<string, string>> | undefined;
}

/**
 * A page that renames its own host to 127.0.0.1 (DNS rebinding) still sends its own name, and a page
 * of another origin says so: neither reaches an operation. CORS is off but for listed origins.
 */
export function openGuard({ allowedHosts = [], allowedOrigins = [] }: GuardOptions): Guard {
  const hosts = new Set(allowedHosts.map((host) => host.toLowerCase()));
  const origins = new Set(allowedOrigins.map((origin) => origin.toLowerCase()));
  return {
    check({ headers, url }) {
      const host = headers.get("host") ?? new URL(url).host;
      if (!LOOPBACK.test(host) && !isListed(hosts, host.toLowerCase()))
        throw new TidebaseError("host_refused");
      const origin = headers.get("origin");
      if (origin === null || isSame(origin, host)) return undefined;
      if (!origins.has(origin.toLowerCase())) throw new TidebaseError("origin_refused");
      return {
        "access-control-allow-origin": origin,
        "access-control-allow-headers":
          "authorization, content-type, last-event-id, x-request-id, mcp-protocol-version, mcp-session-id",
        "access-control-allow-methods": "GET, POST, DELETE",
        "access-control-expose-headers": "x-request-id, retry-after, mcp-session-id",
        vary: "origin",
      };
    },
  };
}

function isListed(hosts: ReadonlySet<string>, host: string): boolean {
  return hosts.has(host) || hosts.has(host.replace(/:\d{1,5}$/, ""));
}

function isSame(origin: string, host: string): boolean {
  return origin === `http://${host}` || origin === `https://${host}`;
}

/** Whether only this machine can reach a server that listens on the address. */
export function isLoopback(address: string): boolean {
  return /^(?:localhost|127(?:\.\d{1,3}){3}|\[?::1\]?)$/i.test(address);
}
