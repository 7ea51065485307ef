import { newToken } from "../access/secrets.ts";
import type { Database } from "../database.ts";
import { asksForAnswer } from "./answer.ts";
import { issueProof } from "./proofs.ts";
import { CODE_MS, newCode } from "./rules.ts";
import type { Decision } from "./schema.ts";
import * as gates from "./sql.ts";

/** A webhook that may carry decisions. */
interface Channel {
  readonly name: string;
  readonly webhookId: string;
}

/** What a channel carries to a human besides the question. */
export interface ChannelDecision {
  /** Good for ten minutes; left out where the approval needs an answer, which the page asks for. */
  readonly code?: string;
  /** For the fragment of the gate page's link; good as long as the gate is open. */
  readonly token: string;
}

/**
 * Codes and tokens for one message of a channel, in the channel's name; older codes of the channel are
 * void. Undefined when the gate is not open any more, or not with what the message shows. Nobody but the
 * channel ever gets to see them.
 */
export async function issueForChannel(
  db: Database,
  { gateId, digest, channel }: { gateId: string; digest: string; channel: Channel },
): Promise<Record<Decision, ChannelDecision> | undefined> {
  const gate = await db.maybe(gates.get, { gateId });
  if (gate?.status !== "open" || gate.digest !== digest) return undefined;
  const common = {
    gateId,
    digest,
    issuedBy: `channel ${channel.name}`,
    webhookId: channel.webhookId,
  };
  const issueBoth = async (decision: Decision): Promise<ChannelDecision> => {
    const [code, token] = [newCode(), newToken()];
    await issueProof(db, { ...common, decision, kind: "token", secret: token });
    if (decision === "approved" && asksForAnswer(gate)) return { token };
    await issueProof(db, { ...common, decision, kind: "code", secret: code, lastsMs: CODE_MS });
    return { token, code };
  };
  return { approved: await issueBoth("approved"), rejected: await issueBoth("rejected") };
}
