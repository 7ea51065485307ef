import {
  type Actor,
  type AnyOperation,
  issueCode,
  linkSession,
  redeemGate,
  resolveGate,
  TidebaseError,
} from "@tidebase/core";
import type { Exchange } from "../exchange.ts";
import { readForm } from "../form-body.ts";
import type { Controls } from "./decide-view.ts";
import { readAnswer, type Sent } from "./form.ts";
import { pageResponse } from "./layout.ts";
import { type GatePages, gateIdOf, isGateId, readGate, showGate, showSignIn } from "./pages.ts";
import { notOwnForm, notSignedIn, PageRefusal, refusalOf } from "./refusal.ts";
import { findSession, isOwnForm, noCookie, type PageSession, sessionCookie } from "./session.ts";

const FORM_BYTES = 262_144;

/** Somebody who showed nothing: core refuses and notes whatever is tried in this name. */
const NOBODY: Actor = { name: "page", scopes: [], via: "page" };

/** Brings a channel's token; the token decides, so this may do no more than bring it. */
const COURIER: Actor = { name: "page", scopes: ["operate"], via: "token" };

/** `POST /gates/:gateId/decide`: the decision of whoever is signed in. */
export function decide(pages: GatePages, current: Exchange): Promise<Response> {
  return signedIn(pages, current, resolveGate, async ({ session, sent }) => {
    const given = await decisionOf(pages, current, sent);
    const { gate } = await pages.core.execute(resolveGate, given, session.actor);
    return seeOther(`/gates/${gate.gateId}`);
  });
}

/** `POST /gates/:gateId/code`: a one-time code for this decision, answer and note; in this one answer. */
export function showCode(pages: GatePages, current: Exchange): Promise<Response> {
  return signedIn(pages, current, issueCode, async ({ session, sent }) => {
    const given = await decisionOf(pages, current, sent);
    const { code, decision } = await pages.core.execute(issueCode, given, session.actor);
    return showGate(pages, current, { session, sent, code: { code, decision } });
  });
}

/** `POST /gates/:gateId/redeem`: the decision that a channel's token stands for. */
export async function redeem(pages: GatePages, current: Exchange): Promise<Response> {
  let sent: Sent | undefined;
  try {
    sent = await admitted(pages, current);
  } catch (error) {
    return attemptRefused(pages, current, redeemGate, error);
  }
  try {
    const proof = { kind: "token", secret: sent.get("token") };
    const given = { ...(await decisionOf(pages, current, sent)), proof };
    const { gate } = await pages.core.execute(redeemGate, given, COURIER);
    return seeOther(`/gates/${gate.gateId}`);
  } catch (error) {
    return shownRefusal(pages, current, error, { sent });
  }
}

/** `POST /gates/session`: from a one-time link, or from a key that may approve. */
export async function signIn(pages: GatePages, current: Exchange): Promise<Response> {
  let gateId: string | undefined;
  try {
    const sent = await admitted(pages, current);
    const gate = sent.get("gate") ?? "";
    if (isGateId(gate)) gateId = gate;
    const cookie = sessionCookie(await begun(pages, sent), current.request, pages.publicUrl);
    return seeOther(gateId === undefined ? "/gates" : `/gates/${gateId}`, { "set-cookie": cookie });
  } catch (error) {
    await noteRefused(pages, linkSession, gateId);
    const refusal = refusalOf(error);
    if (refusal === undefined) throw error;
    return showSignIn(gateId, refusal);
  }
}

/** `POST /gates/session/end`: signs out, here and for whoever else holds the cookie. */
export async function signOut(pages: GatePages, current: Exchange): Promise<Response> {
  await admitted(pages, current);
  const session = await findSession(pages.core, current, pages.publicUrl);
  if (session !== undefined) {
    current.actor = session.actor;
    await pages.core.sessions.end(session.secret);
  }
  return seeOther("/gates", { "set-cookie": noCookie(current.request, pages.publicUrl) });
}

async function begun({ core }: GatePages, sent: Sent): Promise<string> {
  const [link, key] = [sent.get("link")?.trim() ?? "", sent.get("key")?.trim() ?? ""];
  if (key === "") {
    const secret = await core.sessions.start(link.split("#link=").at(-1) ?? "");
    if (secret !== undefined) return secret;
    const detail =
      "It works once, within ten minutes. Make another with `npx tidebase gates open <id>`.";
    throw new PageRefusal(403, "This link does not work, or not any more.", detail);
  }
  const secret = await core.sessions.startAs(await core.authenticate(key));
  if (secret !== undefined) return secret;
  throw new PageRefusal(403, "This key may not approve.", "Use one with the scope `approve`.");
}

interface Human {
  readonly session: PageSession;
  readonly sent: Sent;
}

/** Does what a form asks for, when it came from this page, in a session, and was made for it. */
async function signedIn(
  pages: GatePages,
  current: Exchange,
  operation: AnyOperation,
  act: (human: Human) => Promise<Response>,
): Promise<Response> {
  let session: PageSession | undefined;
  let sent: Sent;
  try {
    sent = await admitted(pages, current);
    session = await findSession(pages.core, current, pages.publicUrl);
    if (session === undefined) throw notSignedIn();
    if (!isOwnForm(session.secret, gateIdOf(current) ?? "", sent.get("csrf"))) throw notOwnForm();
  } catch (error) {
    return attemptRefused(pages, current, operation, error, session);
  }
  current.actor = session.actor;
  try {
    return await act({ session, sent });
  } catch (error) {
    return shownRefusal(pages, current, error, { session, sent });
  }
}

/** The form, when the request came from a page of ours. */
async function admitted({ guard }: GatePages, { c, request }: Exchange): Promise<Sent> {
  const isForeign = guard.check(request) !== undefined;
  const site = request.headers.get("sec-fetch-site") ?? "none";
  if (isForeign || (site !== "same-origin" && site !== "none"))
    throw new TidebaseError("origin_refused");
  return readForm(request, c.env?.incoming, FORM_BYTES);
}

/** The decision as core takes it; an answer goes with an approval alone. */
async function decisionOf(pages: GatePages, current: Exchange, sent: Sent): Promise<object> {
  const { gateId, answerSchema } = await readGate(pages, current);
  const schema = answerSchema === null ? null : JSON.parse(answerSchema.text);
  const decision = sent.get("decision");
  const answer = decision === "approved" ? readAnswer(schema, sent) : undefined;
  return {
    gateId,
    decision,
    digest: sent.get("digest") ?? "",
    answer,
    note: sent.get("note") || undefined,
  };
}

/** Core never saw the attempt, so it is told of it: the trail has it all the same. */
async function attemptRefused(
  pages: GatePages,
  current: Exchange,
  operation: AnyOperation,
  error: unknown,
  session?: PageSession,
): Promise<Response> {
  await noteRefused(pages, operation, gateIdOf(current));
  return shownRefusal(pages, current, error, { session });
}

async function noteRefused(
  { core }: GatePages,
  operation: AnyOperation,
  gateId: string | undefined,
): Promise<void> {
  await core.execute(operation, { gateId }, NOBODY).catch(() => {}); // it throws `scope_missing`, once noted
}

/**
 * The question again, with what was wrong. What was typed stays for correction, unless it was meant for
 * another question than the one shown now.
 */
async function shownRefusal(
  pages: GatePages,
  current: Exchange,
  error: unknown,
  { session, sent }: Controls,
): Promise<Response> {
  const refusal = refusalOf(error);
  if (refusal === undefined) throw error;
  const gate = await readGate(pages, current).catch(() => undefined);
  if (gate === undefined)
    return pageResponse({ title: "Refused", name: session?.actor.name, ...refusal });
  const isSame = sent?.get("digest") === gate.digest;
  if (isSame || sent === undefined || gate.status !== "open")
    return showGate(pages, current, { session, sent: isSame ? sent : undefined }, refusal);
  return showGate(pages, current, { session }, refusalOf(new TidebaseError("gate_changed")));
}

function seeOther(location: string, headers: Readonly<Record<string, string>> = {}): Response {
  return new Response(null, {
    status: 303,
    headers: { location, "cache-control": "no-store", ...headers },
  });
}
