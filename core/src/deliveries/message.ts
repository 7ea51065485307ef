import type { Database } from "../database.ts";
import { issueForChannel } from "../gates/channel.ts";
import { toJson } from "../json-text.ts";
import { readJson } from "../payload.ts";
import type { Claim } from "./sql.ts";

/** A gate as its messages show it. */
interface GateOfMessage {
  readonly gateId: string;
  readonly digest: string;
  readonly url?: string;
  readonly [member: string]: unknown;
}

/**
 * The body of a message, made when it is sent and never stored: what a gate's message may hold is for
 * its receiver alone. Every attempt at a message that decides carries codes of its own.
 */
export async function messageOf(
  db: Database,
  claim: Claim,
  publicUrl: string | undefined,
): Promise<string> {
  const { type, at: timestamp, runId, workflow, seq, status, event: reason } = claim;
  const told = { runId, workflow, seq };
  if (type === "run.invoke") return toJson({ type, timestamp, data: { ...told, status, reason } });
  const stored = readJson<Record<string, unknown>>(claim.data);
  const gate = gateOf(claim, publicUrl);
  const mayDecide = gate !== undefined && claim.decides && type === "gate.opened";
  const decide = mayDecide ? await decisionsOf(db, gate, claim) : undefined;
  return toJson({ type, timestamp, data: { ...told, ...stored, ...told, gate, decide } });
}

function gateOf({ gate: text }: Claim, publicUrl: string | undefined): GateOfMessage | undefined {
  const gate = readJson<GateOfMessage>(text);
  if (gate === null) return undefined;
  if (publicUrl === undefined) return gate;
  return { ...gate, url: `${publicUrl.replace(/\/+$/, "")}/gates/${gate.gateId}` };
}

/** A code and a token for each decision; the link's secret stands behind the `#`, where no log sees it. */
async function decisionsOf(
  db: Database,
  { gateId, digest, url }: GateOfMessage,
  channel: Claim,
): Promise<object | undefined> {
  const issued = await issueForChannel(db, { gateId, digest, channel });
  if (issued === undefined || url === undefined) return issued;
  const links = Object.entries(issued).map(([decision, { code, token }]) => {
    const secret = new URLSearchParams({ token, decision });
    return [decision, { code, token, url: `${url}#${secret}` }];
  });
  return Object.fromEntries(links);
}
