import { createHmac, timingSafeEqual } from "node:crypto";
import type { Actor, Core } from "@tidebase/core";
import { generateCookie, getCookie } from "hono/cookie";
import type { Exchange } from "../exchange.ts";

const COOKIE = "tidebase_session";
/** As long as the store knows a session. */
const LASTS_S = 43_200;
const SECRET = /^[A-Za-z0-9_-]{20,100}$/;

/** A human who is signed in, and the secret of the cookie that says so. */
export interface PageSession {
  readonly actor: Actor;
  readonly secret: string;
}

/** Whose request this is; undefined without a session that lasts. */
export async function findSession(
  core: Core,
  { c, request }: Exchange,
  publicUrl: string | undefined,
): Promise<PageSession | undefined> {
  const secure = isSecure(request, publicUrl);
  const secret = secure ? getCookie(c, COOKIE, "host") : getCookie(c, COOKIE);
  if (secret === undefined || !SECRET.test(secret)) return undefined;
  const actor = await core.sessions.find(secret);
  return actor === undefined ? undefined : { actor, secret };
}

/**
 * The cookie of a session: no script reads it, no other site's page sends it. Over https it is
 * `__Host-…` and Secure, which asks for the path `/`; on plain http it goes to the gate pages alone.
 */
export function sessionCookie(
  secret: string,
  request: Request,
  publicUrl: string | undefined,
  maxAge = LASTS_S,
): string {
  const common = { httpOnly: true, sameSite: "Strict", maxAge } as const;
  return isSecure(request, publicUrl)
    ? generateCookie(COOKIE, secret, { ...common, path: "/", secure: true, prefix: "host" })
    : generateCookie(COOKIE, secret, { ...common, path: "/gates" });
}

/** Makes the browser forget the cookie of its session. */
export function noCookie(request: Request, publicUrl: string | undefined): string {
  return sessionCookie("", request, publicUrl, 0);
}

/** The browser speaks https with us, be it through a proxy in front of the public URL. */
function isSecure({ url, headers }: Request, publicUrl: string | undefined): boolean {
  const here = new URL(url);
  if (here.protocol === "https:") return true;
  if (publicUrl === undefined) return false;
  const { protocol, host } = new URL(publicUrl);
  return protocol === "https:" && host === (headers.get("host") ?? here.host).toLowerCase();
}

/** Ties a form to one session and one gate: another site's page can neither read nor guess it. */
export function csrfOf(secret: string, gateId: string): string {
  return createHmac("sha256", secret).update(`gate page\0${gateId}`).digest("base64url");
}

/** Whether a form was shown to this session for this gate. */
export function isOwnForm(secret: string, gateId: string, sent: string | undefined): boolean {
  const [expected, given] = [bytesOf(csrfOf(secret, gateId)), bytesOf(sent ?? "")];
  return expected.length === given.length && timingSafeEqual(expected, given);
}

function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
