create domain tidebase.gate_status as text check (value in ('open', 'approved', 'rejected', 'expired', 'closed'));
create domain tidebase.risk as text check (value in ('low', 'normal', 'high', 'critical'));
-- How sure we are that a human decided.
create domain tidebase.assurance as text check (value in ('client_form', 'code', 'signed_in'));
create domain tidebase.proof_kind as text check (value in ('form', 'code', 'token'));
create domain tidebase.delivery_status as text check (value in ('pending', 'delivered', 'dead'));

-- The order of the levels.
create function tidebase.rank(level text) returns int language sql immutable as $$
  select array_position(array['client_form', 'code', 'signed_in'], level)
$$;

-- What a suspended run waits for (`gate_…`, `timer`, `signal_…`) and until when: on the run's own row, so that
-- whoever wakes it decides by the row that he has locked.
alter table tidebase.runs add column waits text[], add column wake_at timestamptz;
alter table tidebase.runs drop constraint runs_lease_while_running_check;
alter table tidebase.runs add constraint runs_lease_while_running_check check (
  (status = 'running') = (lease_expires_at is not null) and (status = 'waiting') = (waits is not null)
);
create index runs_wake on tidebase.runs (wake_at) where status = 'waiting' and wake_at is not null;

-- The key whose holder began the run: it cannot decide the run's gates.
alter table tidebase.holders add column principal text;

-- `principal` opened the gate, `worker` had begun its run then: keys that cannot decide it.
create table tidebase.gates (
  gate_id uuid primary key,
  run_id uuid not null,
  name text collate "C" not null,
  key text collate "C" not null,
  revision int not null,
  digest text not null,
  status tidebase.gate_status not null,
  prompt text not null,
  data text,
  answer_schema text,
  capability text,
  risk tidebase.risk not null,
  required tidebase.assurance not null,
  approvers text,
  approvals int not null,
  expires_at timestamptz,
  opened_at timestamptz not null,
  opened_by text not null,
  principal text,
  worker text,
  decided_at timestamptz,
  decided_by text,
  via text,
  assurance tidebase.assurance,
  answer text,
  answer_hash text,
  note text,
  constraint gates_run_name_key_unique unique (run_id, name, key),
  constraint gates_decided_check check ((status = 'open') = (decided_at is null)),
  constraint gates_decider_check check ((status in ('approved', 'rejected')) = (decided_by is not null and assurance is not null))
);
create index gates_listed on tidebase.gates (status, opened_at, gate_id);
create index gates_expiring on tidebase.gates (expires_at) where decided_at is null and expires_at is not null;

create function tidebase.refuse_decided() returns trigger language plpgsql as $$
begin
  raise exception 'gate % is decided', old.gate_id using errcode = 'TB002';
end $$;

-- One decision, for ever.
create trigger gates_decided before update on tidebase.gates for each row
  when (old.status <> 'open') execute function tidebase.refuse_decided();

-- However a run ends, its open gates end with it. A statement of a function sees what was committed while the run's
-- row was waited for, so no gate that was opened meanwhile is missed.
create function tidebase.close_gates() returns trigger language plpgsql as $$
begin
  update tidebase.gates set status = 'closed', decided_at = tidebase.now()
   where run_id = new.run_id and decided_at is null;
  return null;
end $$;

create trigger runs_close_gates after update of status on tidebase.runs for each row
  when (new.status in ('completed', 'cancelled') and old.status not in ('completed', 'cancelled'))
  execute function tidebase.close_gates();

-- Approvals of a gate that asks for several, each by another principal.
create table tidebase.gate_votes (
  gate_id uuid not null,
  revision int not null,
  voter text not null,
  name text not null,
  via text not null,
  assurance tidebase.assurance not null,
  answer_hash text not null,
  note text,
  at timestamptz not null,
  primary key (gate_id, revision, voter)
);

-- What shows that a human decided: the phrase of a form, a one-time code, the token of a channel's link. Only hashes
-- are kept; each works once, for one revision of its gate and (but a form) for one decision. A code brings answer and
-- note along: whoever carries it adds nothing. It is worth what its issuer is: a revoked key's and a disabled
-- webhook's proofs decide nothing.
create table tidebase.gate_proofs (
  proof_id uuid primary key,
  gate_id uuid not null,
  revision int not null,
  kind tidebase.proof_kind not null,
  decision text check (decision in ('approved', 'rejected')),
  secret_hash text not null,
  answer text,
  answer_hash text,
  note text,
  issued_by text not null,
  principal text,
  webhook_id uuid,
  issued_at timestamptz not null,
  expires_at timestamptz,
  tries int not null default 0,
  spent_at timestamptz,
  constraint gate_proofs_form_decides_nothing_check check ((kind = 'form') = (decision is null))
);
create index gate_proofs_gate on tidebase.gate_proofs (gate_id);
create unique index gate_proofs_live on tidebase.gate_proofs (gate_id, kind, issued_by, coalesce(decision, ''))
  where kind <> 'token' and spent_at is null;

-- Page sessions: started once from a link, or with a key that may approve.
create table tidebase.sessions (
  session_id uuid primary key,
  name text not null,
  principal text,
  link_hash text unique,
  link_expires_at timestamptz,
  session_hash text unique,
  created_at timestamptz not null,
  expires_at timestamptz
);

-- Due times of sleeps and of waits for a signal: set once, never computed again.
create table tidebase.timers (
  run_id uuid not null,
  name text collate "C" not null,
  key text collate "C" not null,
  due_at timestamptz not null,
  primary key (run_id, name, key)
);

-- In the order they were sent; `seq` is the number of the run's event.
create table tidebase.signals (
  run_id uuid not null,
  seq bigint not null,
  name text collate "C" not null,
  key text collate "C",
  payload text not null,
  sent_by text not null,
  sent_at timestamptz not null,
  taken_at timestamptz,
  primary key (run_id, seq)
);
create unique index signals_key on tidebase.signals (run_id, name, key) where key is not null;
create index signals_waiting on tidebase.signals (run_id, name, seq) where taken_at is null;

-- Where messages go. `closed_until` is the circuit breaker: until then nothing is sent.
create table tidebase.webhooks (
  webhook_id uuid primary key,
  name text collate "C" not null,
  url text not null,
  secret text not null,
  previous_secret text,
  previous_until timestamptz,
  events text[] not null,
  workflows text[],
  every_run boolean not null,
  invokes boolean not null,
  decides boolean not null,
  created_at timestamptz not null,
  disabled_at timestamptz,
  disabled_reason text,
  failures int not null default 0,
  closed_until timestamptz,
  constraint webhooks_name_unique unique (name)
);

-- The webhooks that a run named at its creation.
create table tidebase.run_webhooks (
  run_id uuid not null,
  webhook_id uuid not null,
  primary key (run_id, webhook_id)
);

-- The outbox. A `run.invoke` carries the epoch it was made at: it is delivered once the run has begun again.
create table tidebase.deliveries (
  delivery_id uuid primary key,
  webhook_id uuid not null,
  run_id uuid not null,
  seq bigint not null,
  type text not null,
  epoch bigint,
  status tidebase.delivery_status not null,
  attempts int not null default 0,
  due_at timestamptz not null,
  created_at timestamptz not null,
  expires_at timestamptz not null,
  ended_at timestamptz,
  last_status int,
  last_error text,
  constraint deliveries_event_unique unique (webhook_id, run_id, seq, type),
  constraint deliveries_ended_check check ((status = 'pending') = (ended_at is null))
);
create index deliveries_due on tidebase.deliveries (webhook_id, due_at) where status = 'pending';
create index deliveries_run on tidebase.deliveries (run_id, seq);
create index deliveries_created on tidebase.deliveries (created_at, delivery_id);
create index deliveries_dead on tidebase.deliveries (webhook_id, ended_at) where status = 'dead';

-- Whatever makes a run ready that nobody works on.
create function tidebase.invokes(type text) returns boolean language sql immutable as $$
  select type in ('run.woken', 'run.interrupted', 'run.released', 'recovery.requested')
$$;

-- The outbox is filled by the insert of the event itself: no event without its deliveries, whoever writes it.
create function tidebase.fill_outbox() returns trigger language plpgsql as $$
begin
  insert into tidebase.deliveries (delivery_id, webhook_id, run_id, seq, type, epoch, status, due_at, created_at, expires_at)
  select gen_random_uuid(), w.webhook_id, new.run_id, new.seq, message.type, message.epoch, 'pending', new.at, new.at,
      new.at + interval '24 hours'
    from tidebase.webhooks w join tidebase.runs r on r.run_id = new.run_id
    cross join lateral (
      select new.type as type, null::bigint as epoch
       where array[new.type, split_part(new.type, '.', 1) || '.*', '*'] && w.events
      union all
      select 'run.invoke', r.epoch where w.invokes and tidebase.invokes(new.type)
    ) message
   where w.disabled_at is null and (w.workflows is null or r.workflow = any (w.workflows))
     and (w.every_run or exists (
       select from tidebase.run_webhooks named where (named.run_id, named.webhook_id) = (new.run_id, w.webhook_id)));
  return null;
end $$;

-- Events of steps, state and usage are no messages: the hot path pays nothing for the outbox.
create trigger events_outbox after insert on tidebase.events for each row
  when (new.type like 'run.%' or new.type like 'gate.%' or new.type like 'recovery.%')
  execute function tidebase.fill_outbox();

create view tidebase.gate_view as
  select 'gate_' || g.gate_id as gate_id, 'run_' || g.run_id as run_id, r.workflow, g.name, g.key, g.revision, g.status,
    g.prompt, g.data, g.answer_schema, g.capability, g.risk, g.required, g.approvers, g.approvals, g.opened_at, g.opened_by,
    g.expires_at, g.decided_at, g.decided_by, g.via, g.assurance, g.answer, g.note
    from tidebase.gates g left join tidebase.runs r using (run_id);
