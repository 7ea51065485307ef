import { type JsonText, toJson } from "../json-text.ts";
import { readJson } from "../payload.ts";
import type { Claim } from "./delivery-sql.ts";

/** What makes a `gate.opened` message decidable: codes and a link, made for this one webhook. */
export type DecisionsFor = (gate: {
  gateId: string;
  webhookName: string;
}) => Promise<object | undefined>;

/**
 * The body of a message, made when it is sent and never stored: what a gate's message may hold is for
 * its receiver alone.
 */
export async function messageOf(
  claim: Claim,
  {
    publicUrl,
    decisionsFor,
  }: { publicUrl?: string | undefined; decisionsFor?: DecisionsFor | undefined },
): Promise<string> {
  const { type, at: timestamp, runId, workflow, seq, status, event: reason } = claim;
  const told = { runId, workflow, seq };
  if (type === "run.invoke") return toJson({ type, timestamp, data: { ...told, status, reason } });
  const stored = readJson<Record<string, unknown>>(claim.data);
  const data = { ...told, ...stored, ...told, ...gateOf(claim.gate, publicUrl) };
  const gateId = data.gate?.["gateId"];
  const mayDecide = claim.decides && type === "gate.opened" && typeof gateId === "string";
  const decide = mayDecide ? await decisionsFor?.({ gateId, webhookName: claim.name }) : undefined;
  return toJson({ type, timestamp, data: { ...data, decide } });
}

function gateOf(
  text: JsonText | null,
  publicUrl: string | undefined,
): { gate?: Record<string, unknown> } {
  const gate = readJson<Record<string, unknown>>(text);
  if (gate === null) return {};
  const url =
    publicUrl === undefined
      ? undefined
      : `${publicUrl.replace(/\/+$/, "")}/gates/${gate["gateId"]}`;
  return { gate: { ...gate, url } };
}
