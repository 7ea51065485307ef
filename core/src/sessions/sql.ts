import { fragment, statement } from "../statement.ts";

interface Human {
  readonly name: string;
  readonly principal: string | null;
}

/** The key behind a session, if there is one, is still good; of the row `s`. */
const good = fragment`(s.principal is null or exists (
       select from tidebase.api_keys k
        where 'key_' || k.key_id = s.principal and k.revoked_at is null and (k.expires_at is null or k.expires_at > tidebase.now())))`;

/** A session that its link has yet to start. */
export const link = statement<
  { sessionId: string; name: string; principal?: string | undefined; linkHash: string },
  { expiresAt: string }
>("sessions.link")`
  insert into tidebase.sessions (session_id, name, principal, link_hash, link_expires_at, created_at)
  values ($session_id::uuid, $name::text, $principal::text, $link_hash::text, tidebase.now() + interval '10 minutes', tidebase.now())
  returning link_expires_at as expires_at`;

/** Starts the session of a link, once; no row when the link is unknown, used or over. */
export const start = statement<{ linkHash: string; sessionHash: string; lastsMs: number }, Human>(
  "sessions.start",
)`
  update tidebase.sessions s set session_hash = $session_hash::text, expires_at = tidebase.now() + $lasts_ms::bigint * interval '1 ms'
   where link_hash = $link_hash::text and session_hash is null and link_expires_at > tidebase.now() and ${good}
  returning name, principal`;

/** A session of somebody who showed a key. */
export const startKnown = statement<
  {
    sessionId: string;
    name: string;
    principal?: string | undefined;
    sessionHash: string;
    lastsMs: number;
  },
  Human
>("sessions.start_known")`
  insert into tidebase.sessions (session_id, name, principal, session_hash, created_at, expires_at)
  values ($session_id::uuid, $name::text, $principal::text, $session_hash::text, tidebase.now(), tidebase.now() + $lasts_ms::bigint * interval '1 ms')
  returning name, principal`;

/** Whose session this is, while it lasts and the key it was started with is good. */
export const find = statement<{ sessionHash: string }, Human>("sessions.find")`
  select s.name, s.principal from tidebase.sessions s
   where s.session_hash = $session_hash::text and s.expires_at > tidebase.now()
     and ${good}`;

/** Ends a session now. */
export const end = statement<{ sessionHash: string }, { name: string }>("sessions.end")`
  update tidebase.sessions set expires_at = tidebase.now()
   where session_hash = $session_hash::text and expires_at > tidebase.now() returning name`;
