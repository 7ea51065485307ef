import type { JsonText } from "../json-text.ts";
import { held, lease, type Refused, refused, seen } from "../leases/fence.ts";
import type { Lease } from "../leases/schema.ts";
import { notQuarantined } from "../quarantine-sql.ts";
import { batch, fragment, items, statement } from "../statement.ts";
import { awake, woken } from "../waits/wake.ts";
import type { Vote } from "./rules.ts";
import type { Assurance, Decision, Gate, GateStatus, GateSummary, Question } from "./schema.ts";

/** The least that any gate asks for now: the setting, or `code` as soon as the store has a key. */
const floor = fragment`coalesce($gate_floor::text,
    case when exists (select from tidebase.api_keys) then 'code' else 'client_form' end)`;

/** What a gate asks for, with the server's floor. */
const required = fragment`case when tidebase.rank(g.required) >= tidebase.rank(floor.level) then g.required::text else floor.level end`;

/** Runs from the root of a tree down to its deepest child; `LEVELS_MAX` of children/schema.ts. */
const levelsMax = fragment`32`;

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

const approvalCount = fragment`(select count(*) from tidebase.gate_votes v where (v.gate_id, v.revision) = (g.gate_id, g.revision))`;

/** No row when the gate is unknown. */
export const get = statement<{ gateId: string; gateFloor?: string | undefined }, Gate>("gates.get")`
  with ${withFloor}
  select g.gate_id, g.run_id, r.workflow, g.name, g.key, g.revision, g.digest, g.status, g.prompt, g.data, g.answer_schema,
    g.capability, g.risk, ${required} as required, g.approvers, g.approvals, ${approvalCount} as votes, g.opened_at, g.opened_by,
    g.expires_at, g.decided_at, g.decided_by, g.via, g.assurance, g.answer, g.note
    from floor cross join lateral (select * from tidebase.gates where gate_id = $gate_id::uuid limit 1) g
    cross join lateral (select workflow from tidebase.runs where run_id = g.run_id limit 1) r`;

interface Page {
  readonly statuses: readonly string[];
  readonly runId?: string | undefined;
  readonly name?: string | undefined;
  readonly key?: string | undefined;
  readonly workflow?: string | undefined;
  readonly afterAt?: string | undefined;
  readonly afterId?: string | undefined;
  readonly limit: number;
  readonly gateFloor?: string | undefined;
}

const after = fragment`(g.opened_at, g.gate_id) > (coalesce($after_at::timestamptz, '-infinity'),
        coalesce($after_id::uuid, '00000000-0000-0000-0000-000000000000'))
       and ($name::text is null or g.name = $name::text) and ($key::text is null or g.key = $key::text)
       and ($workflow::text is null or (select r.workflow from tidebase.runs r where r.run_id = g.run_id) = $workflow::text)`;

const oldest = fragment`order by g.opened_at, g.gate_id`;

const shown = fragment`select g.gate_id, g.run_id, r.workflow, g.name, g.key, g.status, g.prompt, g.risk,
    ${required} as required, g.approvals, ${approvalCount} as votes, g.opened_at, g.expires_at, g.decided_at, g.decided_by,
    (g.opened_at at time zone 'UTC')::text || 'Z' as position
    from floor cross join found cross join lateral (select * from tidebase.gates where gate_id = found.gate_id limit 1) g
    cross join lateral (select workflow from tidebase.runs where run_id = g.run_id limit 1) r ${oldest}`;

/** Oldest first, across runs: merges a walk of each status. */
export const list = statement<Page, GateSummary & { position: string }>("gates.list")`
  with ${withFloor}, found as materialized (
    select g.gate_id from unnest($statuses::text[]) s (status) cross join lateral (
      select g.gate_id, g.opened_at from tidebase.gates g where g.status = s.status and ${after} ${oldest} limit $limit::int) g
     ${oldest} limit $limit::int
  ) ${shown}`;

/** Oldest first, of one run. */
export const listOfRun = statement<Page, GateSummary & { position: string }>("gates.list_of_run")`
  with ${withFloor}, found as materialized (
    select g.gate_id from (select * from tidebase.gates where run_id = $run_id::uuid offset 0) g
     where g.status = any ($statuses::text[]) and ${after} ${oldest} limit $limit::int
  ) ${shown}`;

/** The gate as whoever decides it finds it, under its run's lock; with what only core may know. */
export const asked = statement<
  { gateId: string; gateFloor?: string | undefined },
  {
    runId: string;
    name: string;
    key: string;
    revision: number;
    digest: string;
    status: GateStatus;
    required: Assurance;
    approvers: JsonText | null;
    approvals: number;
    answerHash: string | null;
    over: boolean;
    /**
     * Keys that opened the gate, or ever held its run or any run of its tree: a child or a sibling speaks for the
     * same work.
     */
    own: (string | null)[];
  }
>("gates.asked")`
  with recursive ${withFloor}, above as (
    select r.run_id, r.parent_run_id, 1 as level from tidebase.gates g cross join lateral (
        select run_id, parent_run_id from tidebase.runs where run_id = g.run_id limit 1) r
     where g.gate_id = $gate_id::uuid
    union all
    select r.run_id, r.parent_run_id, above.level + 1 from above cross join lateral (
        select run_id, parent_run_id from tidebase.runs where run_id = above.parent_run_id limit 1) r
     where above.level < ${levelsMax}
  ), tree as (
    (select run_id, 1 as level from above order by above.level desc limit 1)
    union all
    select r.run_id, tree.level + 1 from tree cross join lateral (
        select run_id from tidebase.runs where parent_run_id = tree.run_id offset 0) r   -- else planned as a join of all runs
     where tree.level < ${levelsMax}
  )
  select g.run_id, g.name, g.key, g.revision, g.digest, g.status, ${required} as required, g.approvers, g.approvals,
    g.answer_hash, coalesce(g.expires_at <= tidebase.now(), false) as over,
    array[g.principal, g.worker] || array(
      select distinct key from tree cross join lateral (
          select principal, earlier from tidebase.holders where run_id = tree.run_id limit 1) h
        cross join lateral unnest(h.earlier || h.principal) key
       where key is not null) as own
    from floor cross join lateral (select * from tidebase.gates where gate_id = $gate_id::uuid limit 1) g`;

/** Those who approved this revision before. */
export const votes = statement<{ gateId: string; revision: number }, Vote>("gates.votes")`
  select voter, name, assurance, answer_hash from tidebase.gate_votes
   where (gate_id, revision) = ($gate_id::uuid, $revision::int)`;

/** Keeps an approval that is not the last one needed; the surer of two of one voter. */
export const vote = statement<
  {
    runId: string;
    gateId: string;
    name: string;
    key: string;
    revision: number;
    voter: string;
    decider: string;
    via: string;
    level: Assurance;
    answerHash: string;
    note?: string | undefined;
  },
  { seq: number }
>("gates.vote")`
  with voted as (
    insert into tidebase.gate_votes as v (gate_id, revision, voter, name, via, assurance, answer_hash, note, at)
    values ($gate_id::uuid, $revision::int, $voter::text, $decider::text, $via::text, $level::text, $answer_hash::text,
      $note::text, tidebase.now())
    on conflict (gate_id, revision, voter) do update set via = excluded.via, assurance = excluded.assurance
      where tidebase.rank(v.assurance) < tidebase.rank(excluded.assurance)
    returning gate_id
  ), counted as (
    update tidebase.runs r set last_seq = r.last_seq + 1 from voted where r.run_id = $run_id::uuid
    returning r.run_id, r.last_seq
  )
  insert into tidebase.events (run_id, seq, type, at, data)
  select run_id, last_seq, 'gate.voted', tidebase.now(), jsonb_build_object('gateId', 'gate_' || $gate_id::uuid,
    'name', $name::text, 'key', $key::text, 'actor', $decider::text, 'via', $via::text) from counted
  returning seq`;

/** Writes the decision, its event, and wakes the run that waits for it. */
export const decide = statement<
  {
    runId: string;
    gateId: string;
    decision: Decision;
    answer: JsonText | undefined;
    answerHash: string;
    note?: string | undefined;
    decider: string;
    via: string;
    level: Assurance;
  },
  { seq: number }
>("gates.decide")`
  with won as (
    update tidebase.gates g set status = $decision::text, answer = $answer::text, answer_hash = $answer_hash::text,
      note = $note::text, decided_at = tidebase.now(), decided_by = $decider::text, via = $via::text, assurance = $level::text
     where g.gate_id = $gate_id::uuid
    returning g.run_id, g.name, g.key
  ), held as (
    select run_id, status, waits from tidebase.runs where run_id = $run_id::uuid
  ), told as (
    select won.*, ${woken(fragment`'gate_' || $gate_id::uuid`)} as wakes from won join held using (run_id)
  ), counted as (
    update tidebase.runs r set last_seq = r.last_seq + 1 + told.wakes::int, ${awake}
      from told where r.run_id = $run_id::uuid
    returning r.run_id, r.last_seq - told.wakes::int as seq, told.name, told.key, told.wakes
  )
  insert into tidebase.events (run_id, seq, type, at, data)
  select run_id, seq, 'gate.resolved', tidebase.now(), jsonb_build_object('gateId', 'gate_' || $gate_id::uuid, 'name', name,
    'key', key, 'status', $decision::text, 'actor', $decider::text, 'via', $via::text, 'assurance', $level::text) from counted
  union all
  select run_id, seq + 1, 'run.woken', tidebase.now(), jsonb_build_object('by', 'gate_' || $gate_id::uuid) from counted where wakes
  returning seq`;

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
   where g.decided_at is null and g.expires_at <= tidebase.now() and ${notQuarantined("expired_gates")}
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
       and g.decided_at is null and g.expires_at <= tidebase.now()
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
