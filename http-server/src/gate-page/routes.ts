import { listGates } from "@tidebase/core";
import type { Exchange, On } from "../exchange.ts";
import { inboxView } from "./inbox-view.ts";
import { pageResponse } from "./layout.ts";
import { type GatePages, showGate, showSignIn } from "./pages.ts";
import { decide, redeem, showCode, signIn, signOut } from "./posts.ts";
import { refusalOf } from "./refusal.ts";
import { findSession } from "./session.ts";

/**
 * The pages on which a human decides (model.md §7). A GET changes nothing, whatever it carries; every
 * POST checks where it comes from by itself, so that a refused attempt is in the audit trail.
 */
export function addGatePages(pages: GatePages, on: On): void {
  on("GET", "/gates", (current) => inboxPage(pages, current));
  on("GET", "/gates/:gateId", (current) => gatePage(pages, current));
  on("POST", "/gates/session", (current) => signIn(pages, current), false);
  on("POST", "/gates/session/end", (current) => signOut(pages, current));
  on("POST", "/gates/:gateId/decide", (current) => decide(pages, current), false);
  on("POST", "/gates/:gateId/code", (current) => showCode(pages, current), false);
  on("POST", "/gates/:gateId/redeem", (current) => redeem(pages, current), false);
}

async function inboxPage(pages: GatePages, current: Exchange): Promise<Response> {
  const session = await findSession(pages.core, current, pages.publicUrl);
  if (session === undefined) return showSignIn();
  current.actor = session.actor;
  const { name } = session.actor;
  const cursor = new URL(current.request.url).searchParams.get("cursor") ?? undefined;
  try {
    const { gates, nextCursor } = await pages.core.execute(listGates, { cursor }, session.actor);
    return await pageResponse({ title: "Gates", main: inboxView(gates, nextCursor), name });
  } catch (error) {
    const refusal = refusalOf(error);
    if (refusal === undefined) throw error;
    return pageResponse({ title: "Gates", name, ...refusal });
  }
}

async function gatePage(pages: GatePages, current: Exchange): Promise<Response> {
  const session = await findSession(pages.core, current, pages.publicUrl);
  if (session !== undefined) current.actor = session.actor;
  try {
    return await showGate(pages, current, { session });
  } catch (error) {
    const refusal = refusalOf(error);
    if (refusal === undefined) throw error;
    return pageResponse({ title: "No such gate", name: session?.actor.name, ...refusal });
  }
}
