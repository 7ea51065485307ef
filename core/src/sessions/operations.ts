import { v7 as uuid } from "uuid";
import { z } from "zod";
import { assuranceOf, principalOf } from "../access/rules.ts";
import { hashSecret, newToken } from "../access/secrets.ts";
import { operation } from "../operation.ts";
import * as sessions from "./sql.ts";

/* A link starts one session, once, within ten minutes; a session of the gate page lasts twelve hours. */

export const linkSession = operation({
  name: "sessions.link",
  summary:
    "A one-time link's token that starts a session of the gate page, for a human who is known.",
  route: "POST /v1/sessions/link",
  effect: "write",
  scope: "approve",
  fenced: false,
  because: "It concerns no run; what the session decides is fenced by its gate.",
  input: z.strictObject({}),
  output: z.strictObject({ token: z.string(), expiresAt: z.iso.datetime() }),
  errors: ["gate_needs_human"],
  async run({ db, actor, fail }) {
    const isFresh = actor.via !== "page"; // a session does not prolong itself
    if (assuranceOf(actor) === undefined || !isFresh) throw fail("gate_needs_human");
    const token = newToken();
    const { expiresAt } = await db.one(sessions.link, {
      sessionId: `session_${uuid()}`,
      name: actor.name,
      principal: principalOf(actor),
      linkHash: hashSecret("link", token),
    });
    return { token, expiresAt };
  },
});
