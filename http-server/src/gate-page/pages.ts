import { type Actor, type Core, type Gate, getGate, TidebaseError } from "@tidebase/core";
import type { Exchange } from "../exchange.ts";
import type { Guard } from "../guard.ts";
import type { Controls } from "./decide-view.ts";
import { gateView } from "./gate-view.ts";
import { pageResponse } from "./layout.ts";
import type { Refusal } from "./refusal.ts";
import { shownInLine } from "./shown.ts";
import { signInView } from "./sign-in-view.ts";

/** What the gate pages work with. */
export interface GatePages {
  readonly core: Core;
  readonly guard: Guard;
  /** Where humans reach this server, when it is not the address it listens on. */
  readonly publicUrl: string | undefined;
}

/** Anybody who knows a gate's id may read the question (model.md §7); nothing else. */
const READER: Actor = { name: "page", scopes: ["read"], via: "page" };

const GATE_ID = /^gate_[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Whether this is a gate's id: of letters, digits and dashes, safe in a path. */
export function isGateId(text: string): boolean {
  return GATE_ID.test(text);
}

/** The id in the path, or undefined when it is none. */
export function gateIdOf({ c }: Exchange): string | undefined {
  const text = c.req.param("gateId") ?? "";
  return isGateId(text) ? text : undefined;
}

/** The gate that the path names. Throws `gate_not_found`, whatever the path holds. */
export async function readGate({ core }: GatePages, current: Exchange): Promise<Gate> {
  const gateId = gateIdOf(current);
  if (gateId === undefined) throw new TidebaseError("gate_not_found");
  return (await core.execute(getGate, { gateId }, READER)).gate;
}

/** The gate's page as it is now. Throws `gate_not_found`. */
export async function showGate(
  pages: GatePages,
  current: Exchange,
  controls: Controls,
  refusal?: Refusal,
): Promise<Response> {
  const gate = await readGate(pages, current);
  return pageResponse({
    title: shownInLine(gate.prompt, 60),
    main: gateView(gate, controls),
    name: controls.session?.actor.name,
    ...refusal,
  });
}

/** The page for somebody who is not known and came for no gate. */
export function showSignIn(gateId?: string, refusal?: Refusal): Promise<Response> {
  return pageResponse({ title: "Sign in", main: signInView(gateId), ...refusal });
}
