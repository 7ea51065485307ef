import type { Assurance } from "../gates/schema.ts";
import type { Actor } from "../operation.ts";
import type { Scope } from "./schema.ts";

/** Acts that leave a trace: whatever an operator, approver or administrator changes. */
export function isPrivileged({ scope, effect }: { scope: Scope; effect: string }): boolean {
  return effect !== "read" && scope !== "read" && scope !== "work" && scope !== "enqueue";
}

/**
 * What the transport itself says about a caller: a page session and a key that may approve are
 * signed-in humans, a terminal shows what a code would. Anybody else needs a proof.
 */
export function assuranceOf({ via, scopes }: Actor): Assurance | undefined {
  if (!scopes.includes("approve")) return undefined;
  if (via === "page" || via.startsWith("key_")) return "signed_in";
  return via === "tty" ? "code" : undefined;
}

/** The key behind the caller; nobody decides a gate that their own key opened or works on. */
export function principalOf({ via, principal }: Actor): string | undefined {
  return principal ?? (via.startsWith("key_") ? via : undefined);
}
