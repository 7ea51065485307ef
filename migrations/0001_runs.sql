-- The schema itself is made by the program that applies these files: its record of them lives there too.

-- The one clock: the database's wall clock plus an offset that only tests write. Time flows on; running processes follow at once.
create table tidebase.clock (
  id int primary key check (id = 1),
  shift interval not null
);
insert into tidebase.clock (id, shift) values (1, interval '0');

-- `stable` lets it be an index condition. Never transaction_timestamp(): it stands still while a statement waits for a lock.
create function tidebase.now() returns timestamptz language plpgsql stable as $$
begin
  return clock_timestamp() + (select shift from tidebase.clock where id = 1);
end $$;

-- Domains, not checks of the tables: Postgres reads a table's checks anew for every statement that writes to it.
create domain tidebase.run_status as text check (
  value in ('pending', 'queued', 'running', 'waiting', 'interrupted', 'failed', 'completed', 'cancelled')
);
create domain tidebase.failure_class as text check (
  value in ('step_failed', 'manual_review', 'max_attempts', 'worker_lost', 'workflow_error')
);
create domain tidebase.step_status as text check (
  value in ('begun', 'completed', 'failed_retryable', 'manual_review', 'failed')
);
create domain tidebase.on_unknown as text check (value in ('failed_retryable', 'manual_review', 'failed'));

-- Narrow and hot: no index names last_seq, step_count, attempts or lease_expires_at, so step writes and heartbeats stay HOT.
create table tidebase.runs (
  run_id uuid primary key,
  workflow text not null,
  status tidebase.run_status not null,
  epoch bigint not null default 0,
  grant_id uuid,
  lease_ms int not null default 60000,
  lease_expires_at timestamptz,
  last_seq bigint not null,
  step_count int not null default 0,
  max_steps int not null,
  attempts int not null default 0,
  failure_class tidebase.failure_class,
  idempotency_key text,
  body_hash text not null,
  tags text[] not null default '{}',
  created_at timestamptz not null,
  ended_at timestamptz,
  constraint runs_workflow_idempotency_key_unique unique (workflow, idempotency_key),
  constraint runs_lease_while_running_check check ((status = 'running') = (lease_expires_at is not null)),
  constraint runs_failure_class_when_failed_check check ((status = 'failed') = (failure_class is not null))
) with (fillfactor = 80, autovacuum_analyze_scale_factor = 0.02);

create index runs_created on tidebase.runs (created_at, run_id);
create index runs_workflow_created on tidebase.runs (workflow, created_at, run_id);
create index runs_live on tidebase.runs (status, created_at, run_id) where status not in ('completed', 'cancelled');
create index runs_ended on tidebase.runs (ended_at) where ended_at is not null;
create index runs_tags on tidebase.runs using gin (tags) where tags <> '{}';

create function tidebase.refuse_final() returns trigger language plpgsql as $$
begin
  raise exception 'run % is final', old.run_id using errcode = 'TB001';
end $$;

-- Final is final: the outcome never changes. The event counter may (audit, erase).
create trigger runs_final before update of status, epoch on tidebase.runs for each row
  when (old.status in ('completed', 'cancelled') and (new.status, new.epoch) is distinct from (old.status, old.epoch))
  execute function tidebase.refuse_final();

-- Payloads are JSON text, never jsonb: what was written comes back bit for bit, and nobody on the way parses it.
create table tidebase.payloads (
  run_id uuid primary key,
  input text,
  input_meta text,
  metadata text,
  result text,
  result_meta text,
  error text,
  error_message text
);

-- Who held the run last, and how its owner would start it again: written once a begin, so apart from the hot row.
create table tidebase.holders (
  run_id uuid primary key,
  epoch bigint not null,
  machine text,
  holder text,
  version text,
  previous_version text,
  resume_hint text
);

create table tidebase.steps (
  run_id uuid not null,
  name text collate "C" not null,
  key text collate "C" not null,
  status tidebase.step_status not null,
  on_unknown tidebase.on_unknown not null,
  epoch bigint not null,
  attempt int not null,
  failures int not null default 0,
  retry_at timestamptz,
  reason text,
  contract text,
  input_hash text,
  input text,
  output text,
  output_meta text,
  error text,
  begun_at timestamptz,
  ended_at timestamptz,
  primary key (run_id, name, key),
  constraint steps_output_when_completed_check check ((status = 'completed') = (output is not null))
);

create table tidebase.events (
  run_id uuid not null,
  seq bigint not null,
  type text not null,
  at timestamptz not null,
  data jsonb,
  primary key (run_id, seq)
);

create table tidebase.streams (
  run_id uuid not null,
  stream text collate "C" not null,
  version bigint not null,
  primary key (run_id, stream)
);

-- One row a write: the document of a `set`, the merge patch of a `patch`.
create table tidebase.versions (
  run_id uuid not null,
  stream text collate "C" not null,
  version bigint not null,
  kind text not null check (kind in ('set', 'patch')),
  body text not null,
  write_key text,
  reason text,
  importance text not null check (importance in ('transient', 'normal', 'checkpoint', 'milestone')),
  created_by text not null,
  created_at timestamptz not null,
  primary key (run_id, stream, version)
);
create unique index versions_write_key on tidebase.versions (run_id, stream, write_key) where write_key is not null;

-- A cache: the folded document at a version, written by whoever folded many patches.
create table tidebase.keyframes (
  run_id uuid not null,
  stream text collate "C" not null,
  version bigint not null,
  body text not null,
  primary key (run_id, stream, version)
);

create table tidebase.labels (
  run_id uuid not null,
  stream text collate "C" not null,
  version bigint not null,
  label text collate "C" not null,
  reason text,
  importance text not null check (importance in ('transient', 'normal', 'checkpoint', 'milestone')),
  target_type text,
  target_ref text,
  write_keys text[] not null default '{}',
  created_at timestamptz not null,
  primary key (run_id, stream, version, label)
);

-- Keys are kept as their SHA-256; whoever reads the table cannot use them.
create table tidebase.api_keys (
  key_id uuid primary key,
  name text not null,
  key_hash text not null unique,
  scopes text[] not null,
  created_at timestamptz not null,
  expires_at timestamptz,
  last_used_at timestamptz,
  revoked_at timestamptz
);

-- Append-only: every refused or privileged act.
create table tidebase.audit (
  audit_id bigint generated always as identity primary key,
  at timestamptz not null,
  actor text not null,
  via text not null,
  operation text not null,
  target text,
  outcome text not null
);

-- Rows a sweep could not settle: after five tries it leaves them alone until they are begun again, and the others go on.
create table tidebase.quarantine (
  sweep text not null,
  run_id uuid not null,
  epoch bigint not null,
  tries int not null,
  last_error text not null,
  at timestamptz not null,
  primary key (sweep, run_id)
);

-- The stable SQL face of the store. Tables may change.
create view tidebase.run_view as
  select 'run_' || r.run_id as run_id, r.workflow, r.status, r.failure_class, r.attempts, r.epoch, r.step_count, r.last_seq,
    r.tags, r.idempotency_key, r.created_at, r.ended_at, r.lease_expires_at, h.version as code_version,
    p.input, p.input_meta, p.metadata, p.result, p.result_meta, p.error, p.error_message
    from tidebase.runs r left join tidebase.payloads p using (run_id) left join tidebase.holders h using (run_id);

create view tidebase.step_view as
  select 'run_' || run_id as run_id, name, key, status, attempt, epoch, reason, contract, input_hash, input, output, output_meta, error,
    begun_at, ended_at
    from tidebase.steps;

create view tidebase.event_view as
  select 'run_' || run_id as run_id, seq, type, at, data from tidebase.events;
