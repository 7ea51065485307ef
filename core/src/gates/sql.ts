import type { JsonText } from "../json-text.ts";
import { held, lease, type Refused, refused, seen } from "../leases/fence.ts";
import type { Lease } from "../leases/schema.ts";
import { notQuarantined } from "../quarantine-sql.ts";
import { batch, fragment, items, statement } from "../statement.ts";
import { awake, woken } from "../waits/wake.ts";
import type { Assurance, Decision, Gate, GateSummary, Question } from "./schema.ts";

/** An open gate of a run that is over is closed, whoever was faster: its row may say so later or never. */
const status = fragment`case when g.status = 'open' and r.status in ('completed', 'cancelled') then 'closed' else g.status::text end as status`;

/** The least that any gate asks for now: the setting, or `code` as soon as the store has a key. */
const floor = fragment`coalesce($gate_floor::text,
    case when exists (select from tidebase.api_keys) then 'code' else 'client_form' end)`;

/** What a gate asks for, with the server's floor. */
const required = fragment`case when tidebase.rank(g.required) >= tidebase.rank(floor.level) then g.required::text else floor.level end`;

const withFloor = fragment`floor as materialized (select ${floor} as level)`;

/**
 * Opens the gate, finds it, or makes the next revision of one that is open. Of a gate that was there, the
 * snapshot is trusted only when the run has not moved since.
 */
export const open = batch<
  Lease &
    Omit<Question, "data" | "assurance"> & {
      gateId: string;
      name: string;
      key: string;
      data: JsonText | undefined;
      digest: string;
      required: Assurance;
      openedBy: string;
      principal?: string | undefined;
    },
  { i: number; gateId: string | null; outcome: Refused | "found" | "gate_mismatch" | "again" }
>("gates.open")`
  with ${items({
    ...lease,
    gate_id: "uuid",
    name: "text",
    key: "text",
    prompt: "text",
    data: "text",
    answer_schema: "text",
    capability: "text",
    risk: "text",
    required: "text",
    approvers: "text",
    approvals: "int",
    expires_in_ms: "bigint",
    digest: "text",
    opened_by: "text",
    principal: "text",
  })}, ${seen}, ${held}, opened as (
    insert into tidebase.gates as g (gate_id, run_id, name, key, revision, digest, status, prompt, data, answer_schema,
      capability, risk, required, approvers, approvals, expires_at, opened_at, opened_by, principal, worker)
    select gate_id, run_id, name, key, 1, digest, 'open', prompt, data, answer_schema, capability, risk, required,
      approvers, approvals, tidebase.now() + expires_in_ms * interval '1 ms', tidebase.now(), opened_by, principal,
      (select h.principal from tidebase.holders h where h.run_id = held.run_id limit 1)
      from held where fenced
    on conflict (run_id, name, key) do update set revision = g.revision + 1, digest = excluded.digest,
      prompt = excluded.prompt, data = excluded.data, answer_schema = excluded.answer_schema,
      capability = excluded.capability, risk = excluded.risk, required = excluded.required,
      approvers = excluded.approvers, approvals = excluded.approvals, expires_at = excluded.expires_at,
      opened_at = excluded.opened_at, opened_by = excluded.opened_by, principal = excluded.principal,
      worker = excluded.worker
      where g.decided_at is null and g.digest <> excluded.digest
        and (g.expires_at is null or g.expires_at > tidebase.now())
    returning g.run_id, g.gate_id, g.name, g.key, g.revision, g.risk
  ), counted as (
    update tidebase.runs r set last_seq = r.last_seq + 1, lease_expires_at = tidebase.now() + r.lease_ms * interval '1 ms'
      from opened where r.run_id = opened.run_id and r.run_id = any (array(select run_id from opened))
    returning r.run_id, r.last_seq
  ), logged as (
    insert into tidebase.events (run_id, seq, type, at, data)
    select run_id, last_seq, 'gate.opened', tidebase.now(), jsonb_build_object('gateId', 'gate_' || gate_id,
      'name', name, 'key', key, 'revision', revision, 'risk', risk) from counted join opened using (run_id)
  )
  select item.i, coalesce(opened.gate_id, g.gate_id) as gate_id, case ${refused}
      when opened.gate_id is not null then 'found'
      when seen.seen_seq <> held.last_seq or g.gate_id is null then 'again'
      when g.digest <> item.digest then 'gate_mismatch'
      else 'found' end as outcome
    from item left join held using (i) left join seen using (i)
    left join opened on opened.run_id = item.run_id
    left join lateral (
      select gate_id, digest from tidebase.gates
       where (run_id, name, key) = (item.run_id, item.name, item.key) limit 1
    ) g on true
   order by item.i`;

const votes = fragment`(select count(*) from tidebase.gate_votes v where (v.gate_id, v.revision) = (g.gate_id, g.revision))`;

/** No row when the gate is unknown. */
export const get = statement<{ gateId: string; gateFloor?: string | undefined }, Gate>("gates.get")`
  with ${withFloor}
  select g.gate_id, g.run_id, r.workflow, g.name, g.key, g.revision, g.digest, ${status}, g.prompt, g.data, g.answer_schema,
    g.capability, g.risk, ${required} as required, g.approvers, g.approvals, ${votes} as votes, g.opened_at, g.opened_by,
    g.expires_at, g.decided_at, g.decided_by, g.via, g.assurance, g.answer, g.note
    from floor cross join lateral (select * from tidebase.gates where gate_id = $gate_id::uuid limit 1) g
    cross join lateral (select workflow, status from tidebase.runs where run_id = g.run_id limit 1) r`;

/** Oldest first. */
export const list = statement<
  {
    status: string;
    runId?: string | undefined;
    workflow?: string | undefined;
    afterAt?: string | undefined;
    afterId?: string | undefined;
    limit: number;
    gateFloor?: string | undefined;
  },
  GateSummary & { position: string }
>("gates.list")`
  with ${withFloor}
  select g.gate_id, g.run_id, r.workflow, g.name, g.key, ${status}, g.prompt, g.risk, ${required} as required, g.approvals,
    ${votes} as votes, g.opened_at, g.expires_at, g.decided_at, g.decided_by,
    (g.opened_at at time zone 'UTC')::text || 'Z' as position
    from tidebase.gates g join tidebase.runs r using (run_id) cross join floor
   where g.status = $status::text and not (g.status = 'open' and r.status in ('completed', 'cancelled'))
     and (g.opened_at, g.gate_id) > (coalesce($after_at::timestamptz, '-infinity'),
        coalesce($after_id::uuid, '00000000-0000-0000-0000-000000000000'))
     and ($run_id::uuid is null or g.run_id = $run_id::uuid)
     and ($workflow::text is null or r.workflow = $workflow::text)
   order by g.opened_at, g.gate_id limit $limit::int`;

/** Whether this key opened the gate, or was the last to work on its run. */
const isOwn = fragment`coalesce($principal::text in (g.principal, g.worker), false) or coalesce((
      select h.principal = $principal::text from tidebase.holders h where h.run_id = g.run_id), false)`;

/** Separation of duties, for who would issue a code. */
export const ownedBy = statement<
  { gateId: string; principal?: string | undefined },
  { own: boolean }
>("gates.owned_by")`
  select ${isOwn} as own from tidebase.gates g where g.gate_id = $gate_id::uuid`;

/**
 * Keeps the hash of a new proof, while the gate is open with this content; no row otherwise. Of codes and
 * forms an issuer has one at a time for each decision: the older is void because its row is the newer's.
 */
export const issue = statement<
  {
    proofId: string;
    gateId: string;
    digest: string;
    kind: "form" | "code" | "token";
    decision?: Decision | undefined;
    secretHash: string;
    answer?: JsonText | undefined;
    answerHash: string;
    note?: string | undefined;
    issuedBy: string;
    principal?: string | undefined;
    lastsMs?: number | undefined;
  },
  { expiresAt: string | null }
>("gates.issue")`
  insert into tidebase.gate_proofs as p
    (proof_id, gate_id, revision, kind, decision, secret_hash, answer, answer_hash, note, issued_by, principal, issued_at,
      expires_at)
  select $proof_id::uuid, g.gate_id, g.revision, $kind::text, $decision::text, $secret_hash::text, $answer::text,
    $answer_hash::text, $note::text, $issued_by::text, $principal::text, tidebase.now(), tidebase.now() + $lasts_ms::bigint * interval '1 ms'
    from tidebase.gates g
   where g.gate_id = $gate_id::uuid and g.digest = $digest::text and g.decided_at is null
     and (g.expires_at is null or g.expires_at > tidebase.now())
  on conflict (gate_id, kind, issued_by, coalesce(decision, '')) where kind <> 'token' and spent_at is null do update
     set revision = excluded.revision, secret_hash = excluded.secret_hash, answer = excluded.answer,
       answer_hash = excluded.answer_hash, note = excluded.note, principal = excluded.principal, issued_at = excluded.issued_at, expires_at = excluded.expires_at, tries = 0
  returning p.expires_at`;

/**
 * Exactly one decision. Everything but the proof is looked up in the snapshot, so a run that moved since is
 * asked `again`; each vote and decision takes one of the run's event numbers. A proof is spent, and a wrong
 * one counted, by the predicate of an update, which sees what a rival has just done.
 */
export const resolve = statement<
  {
    /** Of the gate: its row is locked first when others keep coming between. */
    runId: string;
    gateId: string;
    decision: Decision;
    digest: string;
    answer: JsonText | undefined;
    answerHash: string;
    note?: string | undefined;
    name: string;
    principal?: string | undefined;
    via: string;
    assurance?: Assurance | undefined;
    proofKind?: "form" | "code" | "token" | undefined;
    secretHash?: string | undefined;
    gateFloor?: string | undefined;
  },
  {
    required: Assurance;
    /** The proof is one that gave this very decision and answer, spent or not. */
    proven: boolean;
    outcome:
      | "resolved"
      | "voted"
      | "decided"
      | "gate_expired"
      | "gate_changed"
      | "gate_code_invalid"
      | "gate_needs_human"
      | "gate_assurance_too_low"
      | "gate_own_run"
      | "gate_not_approver"
      | "answer_differs"
      | "again";
  }
>("gates.resolve")`
  with ${withFloor}, gate as materialized (
    select g.*, ${required} as asked, r.last_seq as seen_seq,
      array[g.principal, g.worker, h.principal] as own
      from floor cross join lateral (select * from tidebase.gates where gate_id = $gate_id::uuid limit 1) g
      cross join lateral (select last_seq from tidebase.runs where run_id = g.run_id limit 1) r
      left join lateral (select principal from tidebase.holders where run_id = g.run_id limit 1) h on true
  ), held as materialized (
    select run_id, status, last_seq, waits from tidebase.runs
     where run_id = (select run_id from gate) for no key update
  ), proof as materialized (
    select p.* from gate cross join lateral (
      select proof_id, issued_by, principal, answer, answer_hash, note from tidebase.gate_proofs
       where gate_id = $gate_id::uuid and revision = gate.revision and kind = $proof_kind::text
         and secret_hash = $secret_hash::text and spent_at is null and tries < 5
         and (expires_at is null or expires_at > tidebase.now()) and (decision is null or decision = $decision::text)
         and (principal is null or kind = 'form' or exists (
           select from tidebase.api_keys k where k.key_id = substr(gate_proofs.principal, 5)::uuid and k.revoked_at is null
              and (k.expires_at is null or k.expires_at > tidebase.now())))
       order by issued_at desc limit 1
    ) p
  ), decider as materialized (
    select coalesce(proof.issued_by, $name::text) as name,
      case when proof.proof_id is null then $principal::text else proof.principal end as principal,
      case when $proof_kind::text is null then $assurance::text
        when proof.proof_id is null then null when $proof_kind::text = 'form' then 'client_form' else 'code' end as level,
      case when $proof_kind::text = 'code' then proof.answer else $answer::text end as answer,
      case when $proof_kind::text = 'code' then proof.answer_hash else $answer_hash::text end as answer_hash,
      case when $proof_kind::text = 'code' then proof.note else $note::text end as remark
      from (select) as always left join proof on true
  ), ruling as materialized (
    select gate.*, decider.name as decider, coalesce(decider.principal, decider.name) as voter, decider.level,
      decider.answer as given, decider.answer_hash as given_hash, decider.remark, case
        when held.last_seq <> gate.seen_seq then 'again'
        when gate.status <> 'open' or held.status in ('completed', 'cancelled') then 'decided'
        when gate.expires_at <= tidebase.now() then 'gate_expired'
        when gate.digest <> $digest::text then 'gate_changed'
        when $proof_kind::text is not null and decider.level is null and exists (
          select from tidebase.gate_proofs p join tidebase.gate_votes v using (gate_id, revision)
           where p.gate_id = $gate_id::uuid and p.kind = $proof_kind::text and p.secret_hash = $secret_hash::text
             and p.revision = gate.revision and p.decision = $decision::text and p.spent_at is not null
             and v.voter = coalesce(p.principal, p.issued_by)) then 'voted'
        when $proof_kind::text is not null and decider.level is null then 'gate_code_invalid'
        when decider.principal = any (gate.own)
          or $principal::text = any (gate.own) and $proof_kind::text is distinct from 'code' then 'gate_own_run'
        when decider.level is null then 'gate_needs_human'
        when tidebase.rank(decider.level) < tidebase.rank(gate.asked) then 'gate_assurance_too_low'
        when gate.approvers is not null and not gate.approvers::jsonb ? decider.name then 'gate_not_approver'
        when $decision::text = 'approved' and gate.approvals > 1 and exists (
          select from tidebase.gate_votes v where (v.gate_id, v.revision) = (gate.gate_id, gate.revision)
             and v.answer_hash <> decider.answer_hash) then 'answer_differs'
        else 'good' end as word
      from gate join held using (run_id) cross join decider
  ), spent as (
    update tidebase.gate_proofs p set spent_at = tidebase.now() from ruling
     where p.gate_id = $gate_id::uuid and p.proof_id = (select proof_id from proof)
       and p.secret_hash = $secret_hash::text and ruling.word = 'good' and p.spent_at is null and p.tries < 5
    returning p.proof_id
  ), missed as (
    update tidebase.gate_proofs p set tries = p.tries + 1 from ruling
     where p.gate_id = $gate_id::uuid and p.kind = $proof_kind::text and p.spent_at is null and ruling.word = 'gate_code_invalid'
  ), allowed as materialized (
    select ruling.*, $decision::text = 'rejected' or ruling.approvals <= 1 + others.n as decides,
      case when $decision::text = 'approved' and tidebase.rank(others.weakest) < tidebase.rank(ruling.level)
        then others.weakest else ruling.level end as sure
      from ruling cross join lateral (
        select count(distinct v.name) as n, (array_agg(v.assurance::text order by tidebase.rank(v.assurance)))[1] as weakest
          from tidebase.gate_votes v
         where (v.gate_id, v.revision) = (ruling.gate_id, ruling.revision) and v.voter <> ruling.voter
           and v.name <> ruling.decider and tidebase.rank(v.assurance) >= tidebase.rank(ruling.asked)
      ) others
     where word = 'good' and ($proof_kind::text is null or exists (select from spent))
  ), voted as (
    insert into tidebase.gate_votes as v (gate_id, revision, voter, name, via, assurance, answer_hash, note, at)
    select gate_id, revision, voter, decider, $via::text, level, given_hash, remark, tidebase.now() from allowed
     where $decision::text = 'approved' and approvals > 1
    on conflict (gate_id, revision, voter) do update set via = excluded.via, assurance = excluded.assurance
      where tidebase.rank(v.assurance) < tidebase.rank(excluded.assurance)
    returning gate_id
  ), won as (
    update tidebase.gates g set status = $decision::text, answer = a.given, answer_hash = a.given_hash, note = a.remark,
      decided_at = tidebase.now(), decided_by = a.decider, via = $via::text, assurance = a.sure
      from allowed a where g.gate_id = $gate_id::uuid and a.decides and g.decided_at is null
    returning g.gate_id, g.run_id, g.name, g.key, g.status, g.decided_by, g.via, g.assurance
  ), told as materialized (
    select held.run_id, held.last_seq, (select count(*) from voted) as votes, (select count(*) from won) as wins,
      exists (select from won) and ${woken(fragment`'gate_' || $gate_id::uuid`)} as wakes from held
  ), counted as (
    update tidebase.runs r set last_seq = r.last_seq + told.votes + told.wins + told.wakes::int,
      ${awake}
      from told where r.run_id = told.run_id and r.run_id = any (array(select run_id from told)) and told.votes + told.wins > 0
    returning r.run_id
  ), logged as (
    insert into tidebase.events (run_id, seq, type, at, data)
    select told.run_id, told.last_seq + 1, 'gate.voted', tidebase.now(), jsonb_build_object('gateId', 'gate_' || a.gate_id,
        'name', a.name, 'key', a.key, 'actor', a.decider, 'via', $via::text)
      from told cross join voted cross join allowed a
    union all
    select told.run_id, told.last_seq + told.votes + 1, 'gate.resolved', tidebase.now(), jsonb_build_object(
        'gateId', 'gate_' || won.gate_id, 'name', won.name, 'key', won.key, 'status', won.status,
        'actor', won.decided_by, 'via', won.via, 'assurance', won.assurance)
      from told cross join won
    union all
    select run_id, last_seq + votes + wins + 1, 'run.woken', tidebase.now(),
      jsonb_build_object('by', 'gate_' || $gate_id::uuid) from told where wakes
  )
  select ruling.asked as required, exists (
      select from tidebase.gate_proofs p where p.gate_id = $gate_id::uuid and p.kind = $proof_kind::text
         and p.secret_hash = $secret_hash::text and p.decision = ruling.status and p.answer_hash = ruling.answer_hash
    ) as proven, case
      when ruling.word <> 'good' then ruling.word
      when exists (select from won) then 'resolved'
      when exists (select from allowed) then 'voted'
      else 'gate_code_invalid' end as outcome
    from ruling`;

/** Another end for an open gate. */
export const extend = statement<
  { gateId: string; expiresInMs: number },
  { outcome: "extended" | "decided" }
>("gates.extend")`
  with held as materialized (
    select run_id, last_seq from tidebase.runs
     where run_id = (select run_id from tidebase.gates where gate_id = $gate_id::uuid) for no key update
  ), extended as (
    update tidebase.gates g set expires_at = tidebase.now() + $expires_in_ms::bigint * interval '1 ms' from held
     where g.gate_id = $gate_id::uuid and g.decided_at is null
       and (g.expires_at is null or g.expires_at > tidebase.now())
    returning g.run_id, g.gate_id, g.name, g.key, g.expires_at
  ), counted as (
    update tidebase.runs r set last_seq = r.last_seq + 1 from extended
     where r.run_id = extended.run_id and r.run_id = any (array(select run_id from extended))
    returning r.run_id, r.last_seq
  ), logged as (
    insert into tidebase.events (run_id, seq, type, at, data)
    select c.run_id, c.last_seq, 'gate.extended', tidebase.now(), jsonb_build_object('gateId', 'gate_' || e.gate_id,
      'name', e.name, 'key', e.key, 'expiresAt', e.expires_at) from counted c join extended e using (run_id)
  )
  select case when extended.run_id is null then 'decided' else 'extended' end as outcome
    from held left join extended using (run_id)`;

/** Open gates whose time is over. */
export const expiring = statement<{ limit: number }, { runId: string; gateId: string }>(
  "gates.expiring",
)`
  select g.run_id, g.gate_id from tidebase.gates g join tidebase.runs r using (run_id)
   where g.decided_at is null and g.expires_at <= tidebase.now() and r.status not in ('completed', 'cancelled')
     and ${notQuarantined("expired_gates")}
   order by g.expires_at limit $limit::int`;

/** Ends gates whose time is over, and wakes who waits for one of them. Re-checks on the locked rows. */
export const expire = batch<
  { runId: string; gateId: string },
  { i: number; runId: string; outcome: "expired" | "moved" }
>("gates.expire")`
  with ${items({ run_id: "uuid", gate_id: "uuid" })}, held as materialized (
    select r.* from (select distinct run_id from item order by run_id) one cross join lateral (
        select run_id, status, last_seq, waits from tidebase.runs where run_id = one.run_id for no key update skip locked
      ) r
  ), expired as (
    update tidebase.gates g set status = 'expired', decided_at = tidebase.now() from item join held using (run_id)
     where g.gate_id = item.gate_id and g.gate_id = any (array(select gate_id from item))
       and g.decided_at is null and g.expires_at <= tidebase.now() and held.status not in ('completed', 'cancelled')
    returning item.i, g.gate_id, g.run_id, g.name, g.key
  ), numbered as materialized (
    select e.*, held.last_seq, held.last_seq + row_number() over (partition by e.run_id order by e.i) as seq,
      ${woken(fragment`'gate_' || e.gate_id`)} as waited from expired e join held using (run_id)
  ), told as materialized (
    select run_id, max(seq) as seq, bool_or(waited) as wakes, min('gate_' || gate_id) filter (where waited) as by
      from numbered group by run_id
  ), counted as (
    update tidebase.runs r set last_seq = told.seq + told.wakes::int,
      ${awake}
      from told where r.run_id = told.run_id and r.run_id = any (array(select run_id from told))
  ), logged as (
    insert into tidebase.events (run_id, seq, type, at, data)
    select run_id, seq, 'gate.expired', tidebase.now(),
      jsonb_build_object('gateId', 'gate_' || gate_id, 'name', name, 'key', key) from numbered
    union all
    select run_id, seq + 1, 'run.woken', tidebase.now(), jsonb_build_object('by', by) from told where wakes
  )
  select item.i, item.run_id, case when numbered.i is null then 'moved' else 'expired' end as outcome
    from item left join numbered using (i) order by i`;
