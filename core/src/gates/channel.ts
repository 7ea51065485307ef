import { v7 as uuid } from "uuid";
import type { Database } from "../database.ts";
import * as rules from "./rules.ts";
import type { Decision } from "./schema.ts";
import * as gates from "./sql.ts";

/** What a channel carries to a human besides the question. */
export interface ChannelDecision {
  /** Good for ten minutes. */
  readonly code: string;
  /** For the fragment of the gate page's link; good as long as the gate is open. */
  readonly token: string;
}

/**
 * Codes and tokens for one message of a channel, in the channel's name; older codes of the channel are
 * void. Undefined when the gate is not open any more. Nobody but the channel ever gets to see them.
 */
export async function issueForChannel(
  db: Database,
  { gateId, channel }: { gateId: string; channel: string },
): Promise<Record<Decision, ChannelDecision> | undefined> {
  const gate = await db.maybe(gates.get, { gateId });
  if (gate?.status !== "open") return undefined;
  const issueBoth = async (decision: Decision): Promise<ChannelDecision> => {
    const [code, token] = [rules.newCode(), rules.newToken()];
    const common = { gateId, decision, issuedBy: `channel ${channel}` };
    await db.one(gates.issue, {
      ...{ ...common, proofId: `proof_${uuid()}`, kind: "code" as const, lastsMs: rules.CODE_MS },
      secretHash: rules.hashSecret(gateId, rules.readCode(code)),
    });
    await db.one(gates.issue, {
      ...{ ...common, proofId: `proof_${uuid()}`, kind: "token" as const },
      secretHash: rules.hashSecret(gateId, token),
    });
    return { code, token };
  };
  return { approved: await issueBoth("approved"), rejected: await issueBoth("rejected") };
}
