import type { Assurance } from "@tidebase/core";
import { z } from "zod";
import type { ToolContext } from "../tool.ts";
import { isOwnRun } from "./gate-fields.ts";

/** One way for a human to decide. */
export const Way = z.object({
  by: z.enum(["form", "code", "terminal", "page"]),
  how: z.string(),
  url: z.string().optional(),
});
type Way = z.output<typeof Way>;

interface Asked {
  readonly gateId: string;
  readonly runId: string;
  readonly required: Assurance;
  /** The form that an approval fills in, or null. */
  readonly answerSchema: unknown;
}

type Facts = Pick<ToolContext, "client" | "store" | "ownRunId">;

/** The ways a human can decide this gate, the easiest first. Nothing of them decides by itself. */
export function waysToDecide(gate: Asked, facts: Facts): Way[] {
  const ways: Way[] = [];
  const courier = facts.store.access === "read_write" && !isOwnRun(gate.runId, facts.ownRunId);
  if (courier && gate.required === "client_form" && facts.client.forms)
    ways.push({ by: "form", how: "Call tidebase_resolve_gate: this client asks the human." });
  return [...ways, ...waysElsewhere(gate, facts, courier)];
}

/** A code brings the answer along. */
const FORM = ", which asks for an approval's answer (or `--set <field>=…` gives it),";

/** Those that lead out of this client, as lines for the human. */
export function waysElsewhere(
  { gateId, required, answerSchema }: Asked,
  { store }: Pick<Facts, "store">,
  courier = true,
): Way[] {
  const signedIn = required === "signed_in";
  const where = terminalOf(store);
  const ways: Way[] = [];
  if (courier && !signedIn)
    ways.push({
      by: "code",
      how: `The human runs \`npx tidebase gates code ${gateId} --approve\` (or \`--reject\`) ${where}${answerSchema === null ? "" : FORM} and tells the code; send it as approvalCode.`,
    });
  ways.push({
    by: "terminal",
    how: signedIn
      ? `The human runs \`npx tidebase gates decide ${gateId} --approve\` (or \`--reject\`) with TIDEBASE_URL set to the server, TIDEBASE_API_KEY to a key that may approve.`
      : `The human runs \`npx tidebase gates decide ${gateId} --approve\` (or \`--reject\`) ${where}.`,
  });
  const url = pageOf(gateId, store.pageBase);
  if (signedIn || url !== undefined)
    ways.push({
      by: "page",
      how: `The human opens the gate's page; \`npx tidebase gates open ${gateId}\` prints the link that lets them decide there.`,
      ...(url === undefined ? {} : { url }),
    });
  return ways;
}

/** Where the human's command finds this store, and is believed. */
function terminalOf({ kind, foundBy }: Facts["store"]): string {
  if (kind === "remote")
    return "at a terminal of the server's machine, or of their own with TIDEBASE_URL and a TIDEBASE_API_KEY that may approve";
  return foundBy === "TIDEBASE_DATABASE_URL"
    ? "in a terminal of their own with this TIDEBASE_DATABASE_URL"
    : "in a terminal of their own";
}

function pageOf(gateId: string, base: string | undefined): string | undefined {
  return base === undefined ? undefined : `${base}/gates/${gateId}`;
}
