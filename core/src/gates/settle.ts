import type { Asking } from "../database.ts";
import type { JsonText } from "../json-text.ts";
import { readJson } from "../payload.ts";
import * as proofs from "./proofs-sql.ts";
import { type Asked, decided, rule } from "./rules.ts";
import type { Assurance, Decision, ProofKind } from "./schema.ts";
import * as gates from "./sql.ts";

/** A decision on its way, and what speaks for it: how the caller is known, or a proof's secret. */
export interface Work {
  readonly gateId: string;
  readonly decision: Decision;
  readonly digest: string;
  readonly answer: JsonText | undefined;
  readonly answerHash: string;
  readonly note?: string | undefined;
  readonly name: string;
  readonly principal: string | undefined;
  readonly via: string;
  readonly assurance?: Assurance | undefined;
  readonly proofKind?: ProofKind;
  readonly secretHash?: string;
  readonly gateFloor?: Assurance | undefined;
}

/**
 * Decides under the lock of the gate's run, which everything that changes gates or votes takes first, and locks
 * the proof as it finds it: so each look here sees all that was committed. `proven` is a gate that this very proof decided before.
 */
export async function settle(tx: Asking, work: Work) {
  const { gateId, decision } = work;
  const row = await tx.one(gates.asked, work);
  const asked = { ...row, approvers: readJson<string[]>(row.approvers) };
  const proof = await findProof(tx, work, row.revision);
  if (row.status !== "open") {
    const isSame = proof?.decision === row.status && proof.answerHash === row.answerHash;
    return isSame ? "proven" : "decided";
  }
  const votes = await tx.many(gates.votes, { gateId, revision: row.revision });
  const decider = deciderOf(work, proof);
  const voter = decider.principal ?? decider.name;
  const word =
    work.proofKind !== undefined && decider.level === undefined
      ? refused(asked, work)
      : rule(asked, decider, votes);
  if (word === "gate_code_invalid") {
    if (
      proof?.spent === true &&
      proof.decision === decision &&
      votes.some((vote) => vote.voter === voter)
    )
      return "voted"; // the same request again
    if (work.proofKind !== undefined) await tx.many(proofs.miss, { gateId, kind: work.proofKind });
  }
  if (word !== "good" || decider.level === undefined)
    return word === "good" ? "gate_needs_human" : word;
  if (proof !== undefined) await tx.one(proofs.spend, proof);
  const level = decided(asked, { ...decider, voter, assurance: decider.level }, votes);
  const record = { ...row, ...work, ...decider.said, voter, decider: decider.name };
  if (decider.approves && row.approvals > 1)
    await tx.maybe(gates.vote, { ...record, name: row.name, level: decider.level });
  if (level === undefined) return "voted";
  await tx.many(gates.decide, { ...record, level });
  return "resolved";
}

async function findProof(
  tx: Asking,
  { gateId, proofKind: kind, secretHash }: Work,
  revision: number,
): Promise<proofs.Proof | undefined> {
  if (kind === undefined || secretHash === undefined) return undefined;
  return tx.maybe(proofs.find, { gateId, revision, kind, secretHash });
}

/** A gate that is over or asks something else says so first; else the proof is wrong. */
function refused({ over, digest }: Asked, work: Work) {
  if (over) return "gate_expired";
  return digest === work.digest ? "gate_code_invalid" : "gate_changed";
}

/** Whoever the proof was issued to; without one, the caller. A code brings its answer and note along. */
function deciderOf(work: Work, proof: proofs.Proof | undefined) {
  const { proofKind, decision, digest, answer, answerHash, note } = work;
  const said = { answer, answerHash, note };
  const common = { approves: decision === "approved", digest };
  if (proofKind === undefined)
    return {
      ...common,
      ...{
        name: work.name,
        principal: work.principal,
        level: work.assurance,
        courier: undefined,
        answerHash,
        said,
      },
    };
  const fits = proof?.live === true && (proof.decision === null || proof.decision === decision);
  const brought = {
    answer: proof?.answer ?? undefined,
    answerHash: proof?.answerHash ?? answerHash,
    note: proof?.note ?? undefined,
  };
  const by = proofKind === "code" ? brought : said;
  return {
    ...common,
    name: proof?.issuedBy ?? work.name,
    principal: proof?.principal ?? undefined,
    level: fits ? levelOf(proofKind) : undefined,
    courier: proofKind === "code" ? undefined : work.principal,
    answerHash: by.answerHash,
    said: by,
  };
}

function levelOf(kind: ProofKind): Assurance {
  return kind === "form" ? "client_form" : "code";
}
