import { v7 as uuid } from "uuid";
import { hashSecret } from "../access/secrets.ts";
import type { Database } from "../database.ts";
import type { TidebaseError } from "../errors.ts";
import type { JsonText } from "../json-text.ts";
import { readJson } from "../payload.ts";
import { hash } from "../runs/identity.ts";
import * as proofs from "./proofs-sql.ts";
import { readCode } from "./rules.ts";
import type { Decision, Gate, ProofKind } from "./schema.ts";
import * as gates from "./sql.ts";

/** What a proof cannot be issued for. */
export const ISSUE_ERRORS = ["gate_already_resolved", "gate_changed", "gate_expired"] as const;

/** A proof to be kept, by its hash alone. */
export interface NewProof {
  readonly gateId: string;
  /** Of what the human was shown; a gate that asks something else by now gets no proof. */
  readonly digest: string;
  readonly kind: ProofKind;
  readonly secret: string;
  readonly decision?: Decision;
  /** What a code decides besides: its courier adds nothing. */
  readonly answer?: JsonText | undefined;
  readonly note?: string | undefined;
  readonly issuedBy: string;
  readonly principal?: string | undefined;
  /** The channel it was made for. */
  readonly webhookId?: string | undefined;
  /** In milliseconds; as long as the gate when undefined. */
  readonly lastsMs?: number;
}

/** Keeps a proof; until when it is good, or undefined when the gate is not open with this content. */
export async function issueProof(
  db: Database,
  { secret, kind, ...proof }: NewProof,
): Promise<{ expiresAt: string | null } | undefined> {
  const read = kind === "code" ? readCode(secret) : secret;
  const secretHash = hashSecret(proof.gateId, read);
  const answerHash = hash(readJson(proof.answer ?? null));
  const proofId = `proof_${uuid()}`;
  return db.maybe(proofs.issue, { ...proof, kind, proofId, secretHash, answerHash });
}

/** Why the gate got no proof: what became of it since it was read. */
export async function whyNot(
  db: Database,
  { gateId, digest }: Pick<Gate, "gateId" | "digest">,
  fail: (
    code: (typeof ISSUE_ERRORS)[number] | "gate_not_found",
    data: Readonly<Record<string, unknown>>,
  ) => TidebaseError,
): Promise<TidebaseError> {
  const now = await db.maybe(gates.get, { gateId });
  if (now === undefined) return fail("gate_not_found", { gateId });
  if (now.status !== "open")
    return fail("gate_already_resolved", { gateId, gateStatus: now.status });
  if (now.digest !== digest) return fail("gate_changed", { gateId, digest: now.digest });
  return fail("gate_expired", { gateId });
}
