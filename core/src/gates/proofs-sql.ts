import type { JsonText } from "../json-text.ts";
import { statement } from "../statement.ts";
import type { Decision, ProofKind } from "./schema.ts";

/**
 * Keeps the hash of a new proof, while the gate is open with this content; no row otherwise. Of codes and
 * forms an issuer has one at a time for each decision: the older is void because its row is the newer's.
 */
export const issue = statement<
  {
    proofId: string;
    gateId: string;
    digest: string;
    kind: ProofKind;
    decision?: Decision | undefined;
    secretHash: string;
    answer?: JsonText | undefined;
    answerHash: string;
    note?: string | undefined;
    issuedBy: string;
    principal?: string | undefined;
    webhookId?: string | undefined;
    lastsMs?: number | undefined;
  },
  { expiresAt: string | null }
>("proofs.issue")`
  insert into tidebase.gate_proofs as p (proof_id, gate_id, revision, kind, decision, secret_hash, answer, answer_hash, note,
    issued_by, principal, webhook_id, issued_at, expires_at)
  select $proof_id::uuid, g.gate_id, g.revision, $kind::text, $decision::text, $secret_hash::text, $answer::text,
    $answer_hash::text, $note::text, $issued_by::text, $principal::text, $webhook_id::uuid, tidebase.now(),
    tidebase.now() + $lasts_ms::bigint * interval '1 ms'
    from tidebase.gates g
   where g.gate_id = $gate_id::uuid and g.digest = $digest::text and g.decided_at is null
     and (g.expires_at is null or g.expires_at > tidebase.now())
     for key share   -- nobody deletes it meanwhile
  on conflict (gate_id, kind, issued_by, coalesce(decision, '')) where kind <> 'token' and spent_at is null do update
     set revision = excluded.revision, secret_hash = excluded.secret_hash, answer = excluded.answer,
       answer_hash = excluded.answer_hash, note = excluded.note, principal = excluded.principal,
       issued_at = excluded.issued_at, expires_at = excluded.expires_at, tries = 0
  returning p.expires_at`;

/** A proof as whoever redeems it finds it. */
export interface Proof {
  readonly proofId: string;
  readonly decision: Decision | null;
  readonly issuedBy: string;
  readonly principal: string | null;
  readonly answer: JsonText | null;
  readonly answerHash: string;
  readonly note: string | null;
  readonly spent: boolean;
  /** Unspent, in time, tried seldom enough, for this revision, and its issuer still counts. */
  readonly live: boolean;
}

/**
 * The proof of this secret, locked against whoever issues another; no row when there is none. It is worth what its
 * issuer is: a revoked key's, or a disabled webhook's, is not live.
 */
export const find = statement<
  { gateId: string; revision: number; kind: ProofKind; secretHash: string },
  Proof
>("proofs.find")`
  select p.proof_id, p.decision, p.issued_by, p.principal, p.answer, p.answer_hash, p.note, p.spent_at is not null as spent,
    p.spent_at is null and (p.tries < 5 or p.kind = 'token') and p.revision = $revision::int
      and (p.expires_at is null or p.expires_at > tidebase.now())
      and (p.principal is null or p.kind = 'form' or (
        select k.revoked_at is null and (k.expires_at is null or k.expires_at > tidebase.now())
          from tidebase.api_keys k where k.key_id = substr(p.principal, 5)::uuid) is true)
      and (p.webhook_id is null or (
        select w.disabled_at is null and w.decides from tidebase.webhooks w where w.webhook_id = p.webhook_id) is true) as live
    from tidebase.gate_proofs p
   where p.gate_id = $gate_id::uuid and p.kind = $kind::text and p.secret_hash = $secret_hash::text
   order by p.issued_at desc limit 1 for no key update`;

/** Used up. */
export const spend = statement<{ proofId: string }, { proofId: string }>("proofs.spend")`
  update tidebase.gate_proofs set spent_at = tidebase.now() where proof_id = $proof_id::uuid returning proof_id`;

/** A wrong try counts against every code, or form, that is out for the gate; nobody finds a token by trying. */
export const miss = statement<{ gateId: string; kind: ProofKind }, { tries: number }>(
  "proofs.miss",
)`
  update tidebase.gate_proofs set tries = tries + 1
   where gate_id = $gate_id::uuid and kind = $kind::text and spent_at is null returning tries`;
