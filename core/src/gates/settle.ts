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
 * Decides under the lock of the gate's run, which everything that changes gates or votes takes first, and
 * locks the proof as it finds it: so each look here sees all that was committed. `proven` is a gate that
 * this very proof decided before.
 */
export async function settle(tx: Asking, work: Work) {
  const { gateId } = work;
  const row = await tx.maybe(gates.asked, work);
  if (row === undefined) return "gate_not_found"; // it went with its run
  const asked = { ...row, approvers: readJson<string[]>(row.approvers) };
  const proof = await findProof(tx, work, row.revision);
  if (row.status !== "open") {
    const isSame = proof?.decision === row.status && proof.answerHash === row.answerHash;
    return isSame ? "proven" : "decided";
  }
  const isJoint = row.approvals > 1;
  const votes = isJoint ? await tx.many(gates.votes, { gateId, revision: row.revision }) : [];
  const { said, ...decider } =
    work.proofKind === undefined ? known(work) : proven(work, work.proofKind, proof);
  const { level } = decider;
  const voter = decider.principal ?? decider.name;
  if (work.proofKind !== undefined && level === undefined) {
    const isRepeat = wasSpentOn(work, proof) && votes.some((vote) => vote.voter === voter);
    return isRepeat ? "voted" : wrongProof(tx, work, work.proofKind, asked);
  }
  const word = rule(asked, decider, votes);
  if (word !== "good" || level === undefined) return word === "good" ? "gate_needs_human" : word;
  if (proof !== undefined) await tx.one(proofs.spend, proof);
  const record = { ...row, ...work, ...said, voter, decider: decider.name };
  if (decider.approves && isJoint) await tx.maybe(gates.vote, { ...record, name: row.name, level });
  const sure = decided(asked, { ...decider, voter, assurance: level }, votes);
  if (sure === undefined) return "voted";
  await tx.many(gates.decide, { ...record, level: sure });
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

/** The same request again, after its answer was lost, is no wrong try. */
function wasSpentOn({ decision }: Work, proof: proofs.Proof | undefined): boolean {
  return proof?.spent === true && proof.decision === decision;
}

/** A gate that is over or asks something else says so first; else the proof is wrong, and that is counted. */
async function wrongProof(tx: Asking, work: Work, kind: ProofKind, { over, digest }: Asked) {
  if (over) return "gate_expired";
  if (digest !== work.digest) return "gate_changed";
  await tx.many(proofs.miss, { gateId: work.gateId, kind });
  return "gate_code_invalid";
}

/** The caller, as the transport knows it, and what it says. */
function known({ name, principal, assurance: level, decision, digest, ...work }: Work) {
  const { answer, answerHash, note } = work;
  const approves = decision === "approved";
  const said = { answer, answerHash, note };
  return { name, principal, courier: undefined, level, approves, digest, answerHash, said };
}

/**
 * Whoever the proof was issued to, while it is good for this decision. A code brings its maker's answer and
 * note along; a form and a token come with what was filled in.
 */
function proven(work: Work, kind: ProofKind, proof: proofs.Proof | undefined) {
  const { decision, digest, answer, answerHash, note } = work;
  const fits = proof?.live === true && (proof.decision === null || proof.decision === decision);
  const isCode = kind === "code" && proof !== undefined;
  const said = isCode
    ? {
        answer: proof.answer ?? undefined,
        answerHash: proof.answerHash,
        note: proof.note ?? undefined,
      }
    : { answer, answerHash, note };
  return {
    name: proof?.issuedBy ?? work.name,
    principal: proof?.principal ?? undefined,
    courier: kind === "code" ? undefined : work.principal,
    level: fits ? levelOf(kind) : undefined,
    approves: decision === "approved",
    digest,
    answerHash: said.answerHash,
    said,
  };
}

function levelOf(kind: ProofKind): Assurance {
  return kind === "form" ? "client_form" : "code";
}
