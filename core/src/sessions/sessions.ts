import { v7 as uuid } from "uuid";
import { note } from "../access/audit.ts";
import { assuranceOf, principalOf } from "../access/rules.ts";
import { hashSecret, newToken } from "../access/secrets.ts";
import type { Database } from "../database.ts";
import type { Actor } from "../operation.ts";
import * as sessions from "./sql.ts";

/** How long a session of the gate page lasts, in milliseconds: twelve hours. */
export const SESSION_MS = 43_200_000;

/** Sessions of the gate page: for the HTTP server alone, which keeps the secret in a cookie. */
export interface Sessions {
  /** Redeems a one-time link. Undefined when it is unknown, used or over. */
  start(token: string): Promise<string | undefined>;
  /** For somebody who showed a key; undefined when the key may not approve. */
  startAs(actor: Actor): Promise<string | undefined>;
  /** Signs out. */
  end(session: string): Promise<void>;
  /** The human behind a session's secret; undefined when it is unknown or over. */
  find(session: string): Promise<Actor | undefined>;
}

export function openSessions(db: Database): Sessions {
  const noted = (name: string, outcome: string) =>
    note(db, { name: "sessions.start" }, {}, { name, via: "page" }, outcome);
  return {
    async start(token) {
      const session = newToken();
      const found = await db.maybe(sessions.start, {
        linkHash: hashSecret("link", token),
        sessionHash: hashSecret("session", session),
        lastsMs: SESSION_MS,
      });
      await noted(found?.name ?? "page", found === undefined ? "link_invalid" : "done");
      return found === undefined ? undefined : session;
    },
    async startAs(actor) {
      if (assuranceOf(actor) !== "signed_in") {
        await noted(actor.name, "scope_missing");
        return undefined;
      }
      const session = newToken();
      await db.one(sessions.startKnown, {
        sessionId: `session_${uuid()}`,
        name: actor.name,
        principal: principalOf(actor),
        sessionHash: hashSecret("session", session),
        lastsMs: SESSION_MS,
      });
      await noted(actor.name, "done");
      return session;
    },
    async end(session) {
      await db.maybe(sessions.end, { sessionHash: hashSecret("session", session) });
    },
    async find(session) {
      const found = await db.maybe(sessions.find, {
        sessionHash: hashSecret("session", session),
      });
      if (found === undefined) return undefined;
      const { name, principal } = found;
      return { name, scopes: ["read", "approve"], via: "page", principal: principal ?? undefined };
    },
  };
}
