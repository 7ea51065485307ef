import { v7 as uuid } from "uuid";
import type { Database } from "../database.ts";
import * as rules from "../gates/rules.ts";
import type { Actor } from "../operation.ts";
import * as sessions from "./sql.ts";

/** Sessions of the gate page: for the HTTP server alone, which keeps the secret in a cookie. */
export interface Sessions {
  /** Redeems a one-time link. Undefined when it is unknown, used or over. */
  start(token: string): Promise<string | undefined>;
  /** For somebody who showed a key; undefined when the key may not approve. */
  startAs(actor: Actor): Promise<string | undefined>;
  /** The human behind a session's secret; undefined when it is unknown or over. */
  find(session: string): Promise<Actor | undefined>;
}

export function openSessions(db: Database): Sessions {
  return {
    async start(token) {
      const session = rules.newToken();
      const found = await db.maybe(sessions.start, {
        linkHash: rules.hashSecret("link", token),
        sessionHash: rules.hashSecret("session", session),
      });
      return found === undefined ? undefined : session;
    },
    async startAs(actor) {
      if (rules.assuranceOf(actor) !== "signed_in") return undefined;
      const session = rules.newToken();
      await db.one(sessions.startKnown, {
        sessionId: `session_${uuid()}`,
        name: actor.name,
        principal: rules.principalOf(actor),
        sessionHash: rules.hashSecret("session", session),
      });
      return session;
    },
    async find(session) {
      const found = await db.maybe(sessions.find, {
        sessionHash: rules.hashSecret("session", session),
      });
      if (found === undefined) return undefined;
      const { name, principal } = found;
      return { name, scopes: ["read", "approve"], via: "page", principal: principal ?? undefined };
    },
  };
}
