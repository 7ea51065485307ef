-- A job is a run in status `queued`: there is no second table of jobs.

create domain tidebase.queue_name as text collate "C" check (value ~ '^[^[:space:],*]{1,100}$' and value not in ('.', '..'));
create domain tidebase.max_attempts as int check (value between 1 and 1000);
create domain tidebase.priority as smallint check (value between -100 and 100);
create domain tidebase.catch_up as text check (value in ('none', 'latest', 'all'));
create domain tidebase.overlap as text check (value in ('allow', 'skip', 'cancel'));
create domain tidebase.fire_kind as text check (value in ('cron', 'manual'));
create domain tidebase.fire_outcome as text check (value in ('fired', 'skipped', 'caught_up', 'manual'));

-- One stored instant orders a queue: a point of priority is worth a minute of age, so nothing starves.
create function tidebase.order_at(run_at timestamptz, priority smallint) returns timestamptz language sql immutable as $$
  select run_at - priority * interval '1 minute'
$$;

-- `expires_at`: not begun by then is `cancelled` (`expired`); beginning clears it. `key_limit` is the limit that
-- came with the run for its `concurrency_key`. `pushed`: the lease was granted in the name of a message to an endpoint
-- that has not begun the run yet.
alter table tidebase.runs
  add column queue tidebase.queue_name,
  add column priority tidebase.priority not null default 0,
  add column run_at timestamptz,
  add column order_at timestamptz generated always as (tidebase.order_at(run_at, priority)) stored,
  add column expires_at timestamptz,
  add column deadline_at timestamptz,
  add column max_attempts tidebase.max_attempts,
  add column backoff_min_ms bigint,
  add column backoff_max_ms bigint,
  add column backoff_factor real,
  add column concurrency_key text collate "C",
  add column key_limit int,
  add column dedupe_key text collate "C",
  add column schedule_id uuid,
  add column parent_run_id uuid,
  add column detached boolean not null default false,
  add column pushed boolean not null default false,
  add constraint runs_names_check check (workflow <> '' and idempotency_key <> '' and dedupe_key <> '' and concurrency_key <> ''),
  add constraint runs_queued_in_queue_check check (status <> 'queued' or queue is not null),
  add constraint runs_queue_columns_check check (queue is null or (run_at is not null and max_attempts is not null)),
  add constraint runs_pushed_while_running_check check (not pushed or status = 'running');

create index runs_claim on tidebase.runs (queue, order_at, run_id) where status = 'queued';
-- Of a priority below zero: only these are ordered behind the instant from which they may run, so only these are looked
-- for ahead in the order; a hundred thousand delayed runs are not walked through.
create index runs_claim_low on tidebase.runs (queue, order_at, run_id) where status = 'queued' and priority < 0;
create index runs_claim_key on tidebase.runs (queue, concurrency_key, order_at, run_id) where status = 'queued';
create index runs_claim_key_low on tidebase.runs (queue, concurrency_key, order_at, run_id) where status = 'queued' and priority < 0;
create index runs_running on tidebase.runs (queue, concurrency_key) where status = 'running' and queue is not null;
create index runs_grant on tidebase.runs (grant_id) where status = 'running' and queue is not null;
create index runs_queue_live on tidebase.runs (queue, status) where queue is not null and status not in ('completed', 'cancelled');
create index runs_expiring on tidebase.runs (expires_at) where status = 'queued' and expires_at is not null;
create index runs_deadline on tidebase.runs (deadline_at) where deadline_at is not null and status not in ('completed', 'cancelled');
create index runs_schedule on tidebase.runs (schedule_id) where schedule_id is not null and status not in ('completed', 'cancelled');
create index runs_children on tidebase.runs (parent_run_id, run_id) where parent_run_id is not null;
create index runs_children_open on tidebase.runs (parent_run_id)
  where parent_run_id is not null and status not in ('completed', 'cancelled', 'failed');
create unique index runs_dedupe on tidebase.runs (queue, dedupe_key)
  where dedupe_key is not null and status in ('queued', 'running', 'waiting', 'interrupted');

alter table tidebase.payloads add column cancel_reason text, add column cancelled_by text;

-- Limits and switches. A queue without a row has none; runs wait in it all the same.
create table tidebase.queues (
  queue tidebase.queue_name primary key,
  paused_at timestamptz,
  paused_by text,
  concurrency int check (concurrency > 0),
  key_concurrency int check (key_concurrency > 0),
  rate_per_minute int check (rate_per_minute > 0),
  rate_window timestamptz not null default '-infinity',
  rate_used int not null default 0,
  key_limits boolean not null default false,
  webhook_id uuid
);
create index queues_pushing on tidebase.queues (queue) where webhook_id is not null;

-- Keys that held the run before the one that holds it now: they worked on it, so they decide none of its gates.
alter table tidebase.holders add column earlier text[] not null default '{}';

-- Who asks for work: noted at most every ten seconds, so that an idle worker can be seen.
create table tidebase.workers (
  worker_id uuid not null,
  queue text collate "C" not null,
  holder text,
  version text,
  seen_at timestamptz not null,
  primary key (queue, worker_id)
);

-- The children of a run, by the name and key its code gave them. A fan-out is all children of one name.
create table tidebase.children (
  parent_run_id uuid not null,
  name text collate "C" not null,
  key text collate "C" not null,
  child_run_id uuid not null unique,
  ordinal int not null,
  primary key (parent_run_id, name, key)
);

create table tidebase.schedules (
  schedule_id uuid primary key,
  name text collate "C" not null,
  workflow text not null,
  queue tidebase.queue_name not null,
  cron text not null,
  timezone text not null,
  catch_up tidebase.catch_up not null,
  overlap tidebase.overlap not null,
  input text,
  input_meta text,
  metadata text,
  tags text[] not null default '{}',
  priority tidebase.priority not null,
  max_attempts tidebase.max_attempts not null,
  deadline_ms bigint,
  revision int not null,
  next_fire_at timestamptz,
  paused_at timestamptz,
  paused_by text,
  failures int not null default 0,
  last_error text,
  created_at timestamptz not null,
  constraint schedules_name_unique unique (name)
);
create index schedules_due on tidebase.schedules (next_fire_at) where paused_at is null and failures < 5;

-- Runs that a later fire of their schedule ends: noted by the fire itself, so that nothing that is recovered or made
-- afterwards is meant.
create table tidebase.superseded (
  run_id uuid primary key,
  at timestamptz not null
);

-- One row for each fire, or for a row of missed ones (`until`, `count`): its key is what makes a second fire impossible.
create table tidebase.schedule_fires (
  schedule_id uuid not null,
  fire_at timestamptz not null,
  kind tidebase.fire_kind not null,
  outcome tidebase.fire_outcome not null,
  reason text,
  until timestamptz not null,
  count int not null,
  run_id uuid,
  at timestamptz not null,
  primary key (schedule_id, fire_at, kind)
);

-- Cancelled runs whose children are still to be cancelled, each in a transaction of its own. Written with the
-- cancellation itself, so that a crash in between leaves work, not orphans.
create table tidebase.cascades (
  run_id uuid primary key,
  at timestamptz not null
);

create function tidebase.cascade() returns trigger language plpgsql as $$
begin
  insert into tidebase.cascades (run_id, at)
  select new.run_id, tidebase.now()
   where exists (select from tidebase.runs where parent_run_id = new.run_id and not detached
     and status not in ('completed', 'cancelled'))
  on conflict do nothing;
  return null;
end $$;

create trigger runs_cascade after update of status on tidebase.runs for each row
  when (new.status = 'cancelled' and old.status <> 'cancelled') execute function tidebase.cascade();

-- The clean-up of a cancelled run: begun once, by the worker that held it, within its grace.
create table tidebase.cleanups (
  run_id uuid primary key,
  begun_at timestamptz not null,
  expires_at timestamptz not null,
  ended_at timestamptz,
  error text
);

-- Whoever ends a child tells its parent in the same commit, and wakes it when its join is satisfied. A statement of a
-- function sees what was committed while the parent's row was waited for, so the last end of a join is never missed.
create function tidebase.tell_parent() returns trigger language plpgsql as $$
declare
  edge tidebase.children;
  parent record;
  is_open boolean;
  woken_by text;
begin
  select * into edge from tidebase.children where child_run_id = new.run_id;
  select status, waits, last_seq, queue into parent from tidebase.runs where run_id = new.parent_run_id for no key update;
  if edge.name is null or parent.status is null or parent.status in ('completed', 'cancelled') then return null; end if;
  if parent.status = 'waiting' then
    is_open := tidebase.join_is_open(new.parent_run_id, edge.name);
    select wait into woken_by from unnest(parent.waits) wait
     where wait = 'child_' || new.run_id
        or wait = 'all_' || edge.name and not is_open
        or wait = 'any_' || edge.name and (new.status = 'completed' or not is_open)
     limit 1;
  end if;
  update tidebase.runs r set last_seq = r.last_seq + 1 + (woken_by is not null)::int,
      status = case when woken_by is null then r.status when r.queue is null then 'pending' else 'queued' end,
      run_at = case when woken_by is null or r.queue is null then r.run_at else tidebase.now() end,
      waits = case when woken_by is null then r.waits end, wake_at = case when woken_by is null then r.wake_at end
   where r.run_id = new.parent_run_id;
  insert into tidebase.events (run_id, seq, type, at, data)
  values (new.parent_run_id, parent.last_seq + 1, 'child.ended', tidebase.now(), jsonb_build_object(
    'name', edge.name, 'key', edge.key, 'childRunId', 'run_' || new.run_id, 'status', new.status));
  if woken_by is not null then
    insert into tidebase.events (run_id, seq, type, at, data)
    values (new.parent_run_id, parent.last_seq + 2, 'run.woken', tidebase.now(), jsonb_build_object('by', woken_by));
  end if;
  return null;
end $$;

-- Whether some child of the name has not ended: asked at every end of one, so it reads those alone that have not.
create function tidebase.join_is_open(parent uuid, edge text) returns boolean language sql stable as $$
  select exists (
    select from tidebase.runs r
     where r.parent_run_id = parent and r.status not in ('completed', 'cancelled', 'failed')
       and (select c.name from tidebase.children c where c.child_run_id = r.run_id) = edge collate "C")
$$;

create trigger runs_tell_parent after update of status on tidebase.runs for each row
  when (new.parent_run_id is not null and new.status in ('completed', 'cancelled', 'failed') and old.status <> new.status)
  execute function tidebase.tell_parent();

-- A run of a queue is claimed, or pushed by its queue: an invocation of its own would be a second one.
create or replace function tidebase.fill_outbox() returns trigger language plpgsql as $$
begin
  insert into tidebase.deliveries (delivery_id, webhook_id, run_id, seq, type, epoch, status, due_at, created_at, expires_at)
  select gen_random_uuid(), w.webhook_id, new.run_id, new.seq, message.type, message.epoch, 'pending', new.at, new.at,
      new.at + interval '24 hours'
    from tidebase.webhooks w join tidebase.runs r on r.run_id = new.run_id
    cross join lateral (
      select new.type as type, null::bigint as epoch
       where array[new.type, split_part(new.type, '.', 1) || '.*', '*'] && w.events
      union all
      select 'run.invoke', r.epoch where w.invokes and r.queue is null and tidebase.invokes(new.type)
    ) message
   where w.disabled_at is null and (w.workflows is null or r.workflow = any (w.workflows))
     and (w.every_run or exists (
       select from tidebase.run_webhooks named where (named.run_id, named.webhook_id) = (new.run_id, w.webhook_id)));
  return null;
end $$;

-- Full jitter: anything up to the delay that this attempt is given.
create function tidebase.backoff(attempts int, min_ms bigint, factor real, max_ms bigint) returns interval
  language sql volatile as $$
  select random() * least(coalesce(max_ms, 300000), coalesce(min_ms, 5000) * coalesce(factor, 2)::float8
    ^ least(greatest(attempts - 1, 0), 60)) * interval '1 ms'
$$;

-- RFC 9562, version 7: 48 bits of milliseconds, then random ones.
create function tidebase.new_run_id() returns uuid language sql volatile as $$
  select encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid())
    placing substring(int8send((extract(epoch from clock_timestamp()) * 1000)::bigint) from 3) from 1 for 6), 52, 1), 53, 1), 'hex')::uuid
$$;

-- All that a new run is made of. Without a queue it is `pending`.
create type tidebase.new_run as (
  run_id uuid,
  workflow text,
  queue text,
  input text,
  input_meta text,
  metadata text,
  tags text[],
  webhook_ids uuid[],
  idempotency_key text,
  body_hash text,
  dedupe_key text,
  priority smallint,
  run_at timestamptz,
  delay_ms bigint,
  ttl_ms bigint,
  deadline_ms bigint,
  max_attempts int,
  backoff_min_ms bigint,
  backoff_max_ms bigint,
  backoff_factor real,
  concurrency_key text,
  key_limit int,
  schedule_id uuid,
  parent_run_id uuid,
  detached boolean,
  max_steps int,
  actor text
);

-- A run that came too late to be begun holds its dedupe key no longer, although no sweep has been there yet.
create function tidebase.cancel_late(in_queue text, in_dedupe_key text) returns void language sql as $$
  with late as (
    update tidebase.runs set status = 'cancelled', ended_at = tidebase.now(), last_seq = last_seq + 1
     where queue = in_queue and dedupe_key = in_dedupe_key and status = 'queued'
       and (expires_at <= tidebase.now() or deadline_at <= tidebase.now())
    returning run_id, last_seq, case when expires_at <= tidebase.now() then 'expired' else 'deadline' end as reason
  ), kept as (
    insert into tidebase.payloads as p (run_id, cancel_reason, cancelled_by) select run_id, reason, 'tidebase' from late
    on conflict (run_id) do update set cancel_reason = excluded.cancel_reason, cancelled_by = excluded.cancelled_by
  )
  insert into tidebase.events (run_id, seq, type, at, data)
  select run_id, last_seq, 'run.cancelled', tidebase.now(),
    jsonb_build_object('reason', reason, 'actor', 'tidebase', 'from', 'queued') from late
$$;

-- Makes runs, or finds those that have their id, idempotency key or (while they are active) dedupe key. Every statement
-- in here has a snapshot of its own: who loses to a row that ends before it is looked at simply tries again. Sorted, so
-- that two overlapping batches wait for each other in one order; of those of one idempotency key the first comes first.
create function tidebase.make_runs(new_runs tidebase.new_run[])
returns table (i int, run_id uuid, status text, outcome text) language plpgsql as $$
#variable_conflict use_column
declare
  v_left int[] := array(select generate_series(1, cardinality(new_runs)));
  v_again int[];
  one record;
begin
  while cardinality(v_left) > 0 loop
    v_again := '{}';
    perform tidebase.cancel_late(t.queue, t.dedupe_key) from (
      select distinct queue, dedupe_key from unnest(new_runs) where dedupe_key is not null order by queue, dedupe_key) t;
    for one in
      with item as materialized (
        select t.*, coalesce(t.run_id, tidebase.new_run_id()) as new_run_id, tidebase.now() as at
          from unnest(new_runs) with ordinality as t where t.ordinality = any (v_left)
      ), made as (
        insert into tidebase.runs as r (run_id, workflow, status, queue, idempotency_key, body_hash, dedupe_key, tags, priority,
          run_at, expires_at, deadline_at, max_attempts, backoff_min_ms, backoff_max_ms, backoff_factor, concurrency_key,
          key_limit, schedule_id, parent_run_id, detached, max_steps, last_seq, created_at)
        select new_run_id, workflow, case when queue is null then 'pending' else 'queued' end, queue, idempotency_key,
          body_hash, dedupe_key, coalesce(tags, '{}'), coalesce(priority, 0),
          case when queue is not null then coalesce(run_at, at + coalesce(delay_ms, 0) * interval '1 ms') end,
          at + ttl_ms * interval '1 ms', at + deadline_ms * interval '1 ms',
          case when queue is not null then coalesce(max_attempts, 3) end, backoff_min_ms, backoff_max_ms, backoff_factor,
          concurrency_key, key_limit, schedule_id, parent_run_id, coalesce(detached, false), coalesce(max_steps, 10000), 1, at
          from item order by workflow, idempotency_key, case when idempotency_key is null then queue end,
            case when idempotency_key is null then dedupe_key end, ordinality
        on conflict do nothing
        returning r.run_id, r.workflow, r.status, r.queue, r.dedupe_key, r.idempotency_key, r.body_hash
      ), stored as (
        insert into tidebase.payloads (run_id, input, input_meta, metadata)
        select made.run_id, input, input_meta, metadata from made join item on item.new_run_id = made.run_id
      ), followed as (
        insert into tidebase.run_webhooks (run_id, webhook_id)
        select made.run_id, webhook_id from made join item on item.new_run_id = made.run_id, unnest(item.webhook_ids) webhook_id
      ), logged as (
        insert into tidebase.events (run_id, seq, type, at, data)
        select made.run_id, 1, case when made.queue is null then 'run.created' else 'run.queued' end, tidebase.now(),
          jsonb_strip_nulls(jsonb_build_object('workflow', made.workflow, 'queue', made.queue, 'actor', item.actor))
          from made join item on item.new_run_id = made.run_id
      )
      select item.ordinality::int as i, coalesce(made.run_id, same.run_id, active.run_id) as run_id,
        coalesce(made.status, same.status, active.status) as status, case
          when made.run_id is not null then 'created'
          when same.run_id is not null then case
            when same.workflow = item.workflow and same.idempotency_key is not distinct from item.idempotency_key
              and same.body_hash = item.body_hash then 'existing'
            when same.run_id is distinct from item.run_id   -- made in SQL and by an operation: their hashes say nothing of each other
              and (split_part(same.body_hash, ':', 1), split_part(item.body_hash, ':', 1)) in (('sql', 'v1'), ('v1', 'sql'))
              then 'existing'
            else 'idempotency_conflict' end
          when active.run_id is not null then 'deduplicated'
          else 'again' end as outcome
        from item left join made on made.run_id = item.new_run_id
        left join lateral (   -- looked for only where nothing was made
          select r.run_id, r.workflow, r.status, r.idempotency_key, r.body_hash from tidebase.runs r
           where made.run_id is null and (r.workflow, r.idempotency_key) = (item.workflow, item.idempotency_key)
          union all
          select m.run_id, m.workflow, m.status, m.idempotency_key, m.body_hash from made m
           where made.run_id is null and (m.workflow, m.idempotency_key) = (item.workflow, item.idempotency_key)
          union all
          select r.run_id, r.workflow, r.status, r.idempotency_key, r.body_hash from tidebase.runs r
           where made.run_id is null and r.run_id = item.run_id
          limit 1) same on true
        left join lateral (
          (select r.run_id, r.status from tidebase.runs r
            where made.run_id is null and same.run_id is null and item.dedupe_key is not null
              and (r.queue, r.dedupe_key) = (item.queue, item.dedupe_key)
              and r.status in ('queued', 'running', 'waiting', 'interrupted')
            order by r.xmin = pg_current_xact_id()::xid desc)   -- an older snapshot may still see one that has ended
          union all
          select m.run_id, m.status from made m
           where made.run_id is null and same.run_id is null and (m.queue, m.dedupe_key) = (item.queue, item.dedupe_key)
          limit 1) active on true
    loop
      if one.outcome = 'again' then
        v_again := v_again || one.i;
      else
        i := one.i; run_id := one.run_id; status := one.status; outcome := one.outcome;
        return next;
      end if;
    end loop;
    v_left := v_again;
  end loop;
end $$;

-- For the operation: it may not stand in line behind a user's open transaction for long, with a connection of its pool.
create function tidebase.enqueue_runs(new_runs tidebase.new_run[])
returns table (i int, run_id uuid, status text, outcome text) language sql set lock_timeout = '2s' as $$
  select * from tidebase.make_runs(new_runs)
$$;

-- The stable face of enqueueing, for a transaction of one's own: the run exists if that commits. Refuses (22023, 23514)
-- what the operation refuses.
create function tidebase.enqueue(
  workflow text,
  input json default null,
  queue text default 'default',
  idempotency_key text default null,
  dedupe_key text default null,
  delay interval default null,
  run_at timestamptz default null,
  priority int default 0,
  max_attempts int default 3,
  concurrency_key text default null,
  ttl interval default null,
  deadline interval default null,
  tags text[] default '{}',
  metadata json default null
) returns table (run_id text, outcome text) language plpgsql as $$
#variable_conflict use_variable
declare
  v_now timestamptz := tidebase.now();
  v_span interval;
  v_tags text[] := array(select distinct tag from unnest(tags) tag order by tag);
  problem text := case
    when coalesce(workflow, '') = '' then 'a workflow must be named'
    when queue is null then 'a queue must be named'
    when priority is null or priority not between -100 and 100 then 'the priority must lie between -100 and 100'
    when max_attempts is null then 'maxAttempts must be at least 1'
    when greatest(length(workflow), length(idempotency_key), length(dedupe_key), length(concurrency_key)) > 200
      then 'names and keys have at most 200 characters'
    when cardinality(v_tags) > 20 or array_position(v_tags, null) is not null or greatest(0, (
      select max(length(tag)) from unnest(v_tags) tag)) > 100 or '' = any (v_tags) then 'tags are at most 20 short words'
    when metadata is not null and json_typeof(metadata) <> 'object' then 'metadata must be a JSON object'
    when octet_length(input::text) > 1048576 or octet_length(metadata::text) > 1048576 then 'a payload has at most 1 MiB'
    when delay is not null and run_at is not null then 'give delay or run_at, not both'
    when run_at is not null and (run_at < 'epoch' or run_at >= '9000-01-01') then 'run_at must lie between the years 1970 and 9000'
  end;
begin
  foreach v_span in array array[delay, ttl, deadline] loop
    if v_span is not null and (v_now + v_span < v_now or v_now + v_span > v_now + interval '366 days') then
      problem := coalesce(problem, 'delay, ttl and deadline lie between nothing and 366 days');
    end if;
  end loop;
  if problem is not null then
    raise exception 'enqueue: %', problem using errcode = '22023';
  end if;
  return query select 'run_' || m.run_id, m.outcome from tidebase.make_runs(array[row(
    null, workflow, queue, input::text, null, metadata::text, v_tags, null, idempotency_key,
    'sql:' || encode(sha256(convert_to(coalesce(input::text, '') || coalesce(metadata::text, '') || v_tags::text, 'UTF8')), 'hex'),
    dedupe_key, priority, run_at, (extract(epoch from delay) * 1000)::bigint, (extract(epoch from ttl) * 1000)::bigint,
    (extract(epoch from deadline) * 1000)::bigint, max_attempts, null, null, null, concurrency_key, null, null, null, null, null,
    current_user
  )::tidebase.new_run]) m;
end $$;

-- Where one row makes a statement over many fail, it is set aside: for half a second, then each time for twice as long, up to
-- ten minutes, or until its run has another epoch. A delivery by its own id, a run without one.
alter table tidebase.quarantine
  add column delivery_id uuid not null default '00000000-0000-0000-0000-000000000000',
  drop constraint quarantine_pkey,
  add primary key (sweep, run_id, delivery_id);
create index quarantine_recent on tidebase.quarantine (sweep, at);

create function tidebase.set_aside(p_sweep text) returns table (run_id uuid, delivery_id uuid) language sql stable as $$
  select q.run_id, q.delivery_id from tidebase.quarantine q
    cross join lateral (select from tidebase.runs r where r.run_id = q.run_id and r.epoch = q.epoch limit 1) r
   where q.sweep = p_sweep and q.at > (select tidebase.now()) - interval '10 minutes'
     and q.at + least(600, 2 ^ (least(q.tries, 12) - 2)) * interval '1 s' > (select tidebase.now())
$$;

-- One round trip, two snapshots: a queue with limits is claimed by one transaction at a time, and the statement after the
-- lock on its row counts what is committed by then. (As one statement the count is stale and the limit breaks.) Queues
-- without limits take no such lock. A repeated call finds its own live grants. Without a grant it tells whom it would take,
-- and takes nobody; `p_only` are those of them that it may take.
create function tidebase.claim(
  p_queue text, p_grant_id uuid, p_limit int, p_lease_ms int, p_workflows text[], p_pushed boolean,
  p_only uuid[] default null
) returns table (
  run_id uuid, epoch bigint, seq bigint, fresh boolean, workflow text, attempts int, step_count int, lease_ms int,
  input text, input_meta text
) language plpgsql as $$
#variable_conflict use_column
declare
  q tidebase.queues;
  v_now timestamptz;
  v_keyed boolean;
  v_room int := p_limit;
  v_aside uuid[];
begin
  perform pg_advisory_xact_lock(hashtextextended(p_grant_id::text, 0)); -- the same call again waits for the first
  return query select r.run_id, r.epoch, r.last_seq, false, r.workflow, r.attempts, r.step_count, r.lease_ms, p.input, p.input_meta
    from tidebase.runs r left join tidebase.payloads p using (run_id)
    where r.grant_id = p_grant_id and r.status = 'running' and r.queue = p_queue;
  if found then return; end if;
  select * into q from tidebase.queues where queue = p_queue;
  if q.paused_at is not null then return; end if;
  v_keyed := coalesce(q.key_limits or q.key_concurrency is not null, false);
  if v_keyed or q.concurrency is not null or q.rate_per_minute is not null then
    select * into q from tidebase.queues where queue = p_queue for no key update;
    if q.paused_at is not null then return; end if;
    v_keyed := coalesce(q.key_limits or q.key_concurrency is not null, false);
    v_now := tidebase.now();
    if q.concurrency is not null then
      v_room := least(v_room, q.concurrency - (select count(*) from (
        select from tidebase.runs r where r.queue = p_queue and r.status = 'running'
         order by r.queue, r.concurrency_key limit q.concurrency) busy)::int);
    end if;
    if q.rate_per_minute is not null then
      if q.rate_window <= v_now - interval '1 minute' or q.rate_window > v_now then q.rate_window := v_now; q.rate_used := 0; end if;
      v_room := least(v_room, q.rate_per_minute - q.rate_used);
    end if;
    if v_room <= 0 then return; end if;
  end if;
  v_now := tidebase.now();
  v_aside := array(select run_id from tidebase.set_aside(case when p_pushed then 'pushes' else 'claims' end));

  return query
  with recursive busy as materialized (
    select concurrency_key, count(*) as n from tidebase.runs r
     where v_keyed and r.queue = p_queue and r.status = 'running' and concurrency_key is not null group by 1
  ), keys as (   -- walks the distinct keys of the queue, one index probe each
    (select concurrency_key from tidebase.runs r
      where v_keyed and r.queue = p_queue and r.status = 'queued' and concurrency_key is not null
      order by concurrency_key limit 1)
    union all
    select next.concurrency_key from keys cross join lateral (
      select r.concurrency_key from tidebase.runs r
       where r.queue = p_queue and r.status = 'queued' and r.concurrency_key > keys.concurrency_key
       order by r.concurrency_key limit 1) next
  ), keyed as materialized (   -- a run that brings its own limit for its key is held to that as well
    select c.run_id, c.order_at from keys left join busy using (concurrency_key) cross join lateral (
      select greatest(0, least(v_room, coalesce(q.key_concurrency - coalesce(busy.n, 0), v_room))) as n
    ) room cross join lateral (
      select run_id, order_at, key_limit, row_number() over (order by order_at, run_id) as nth from (
        (select r.run_id, r.order_at, r.key_limit from tidebase.runs r
          where r.queue = p_queue and r.status = 'queued' and r.concurrency_key = keys.concurrency_key and r.order_at <= v_now
            and r.run_at <= v_now and (r.expires_at is null or r.expires_at > v_now)
            and (r.deadline_at is null or r.deadline_at > v_now) and (p_workflows is null or r.workflow = any (p_workflows))
            and r.run_id <> all (v_aside)
          order by r.order_at, r.run_id limit room.n)
        union all
        (select r.run_id, r.order_at, r.key_limit from tidebase.runs r
          where r.queue = p_queue and r.status = 'queued' and r.concurrency_key = keys.concurrency_key and r.priority < 0
            and r.order_at > v_now and r.order_at <= v_now + interval '100 minutes'
            and r.run_at <= v_now and (r.expires_at is null or r.expires_at > v_now)
            and (r.deadline_at is null or r.deadline_at > v_now) and (p_workflows is null or r.workflow = any (p_workflows))
            and r.run_id <> all (v_aside)
          order by r.order_at, r.run_id limit room.n)
        order by order_at, run_id limit room.n) ready) c
     where c.key_limit is null or coalesce(busy.n, 0) + c.nth <= c.key_limit
  ), keyless as materialized (   -- the key in front keeps both on an index that leads with it
    (select r.run_id, r.order_at from tidebase.runs r
      where v_keyed and r.queue = p_queue and r.status = 'queued' and r.concurrency_key is null and r.order_at <= v_now
        and r.run_at <= v_now and (r.expires_at is null or r.expires_at > v_now)
        and (r.deadline_at is null or r.deadline_at > v_now) and (p_workflows is null or r.workflow = any (p_workflows))
        and r.run_id <> all (v_aside)
      order by r.concurrency_key, r.order_at, r.run_id limit v_room)
    union all
    (select r.run_id, r.order_at from tidebase.runs r
      where v_keyed and r.queue = p_queue and r.status = 'queued' and r.concurrency_key is null and r.priority < 0
        and r.order_at > v_now and r.order_at <= v_now + interval '100 minutes'
        and r.run_at <= v_now and (r.expires_at is null or r.expires_at > v_now)
        and (r.deadline_at is null or r.deadline_at > v_now) and (p_workflows is null or r.workflow = any (p_workflows))
        and r.run_id <> all (v_aside)
      order by r.concurrency_key, r.order_at, r.run_id limit v_room)
  ), free as materialized (
    -- A queue without keys: claimers do not wait for one another. A run with a limit of its own is left to whoever reads
    -- the queue's row after that says so.
    select r.run_id, r.order_at from tidebase.runs r
     where not v_keyed and r.key_limit is null and r.queue = p_queue and r.status = 'queued'
       and r.order_at <= v_now and r.run_at <= v_now
       and (r.expires_at is null or r.expires_at > v_now) and (r.deadline_at is null or r.deadline_at > v_now)
       and (p_workflows is null or r.workflow = any (p_workflows))
       and r.run_id <> all (v_aside)
     order by r.order_at, r.run_id limit v_room for no key update skip locked
  ), low as materialized (
    select r.run_id, r.order_at from tidebase.runs r
     where not v_keyed and r.key_limit is null and r.queue = p_queue and r.status = 'queued' and r.priority < 0
       and r.order_at > v_now and r.order_at <= v_now + interval '100 minutes' and r.run_at <= v_now
       and (r.expires_at is null or r.expires_at > v_now) and (r.deadline_at is null or r.deadline_at > v_now)
       and (p_workflows is null or r.workflow = any (p_workflows))
       and r.run_id <> all (v_aside)
     order by r.order_at, r.run_id limit greatest(0, v_room - (select count(*) from free)) for no key update skip locked
  ), ready as (
    select run_id, order_at from keyed union all select run_id, order_at from keyless union all select run_id, order_at from free
    union all select run_id, order_at from low
     order by order_at, run_id limit v_room
  ), picked as materialized (
    select r.run_id from tidebase.runs r
     where r.run_id = any (array(select ready.run_id from ready)) and r.status = 'queued'
       and (p_only is null or r.run_id = any (p_only))
     order by r.run_id for no key update skip locked
  ), granted as (
    update tidebase.runs r
       set status = 'running', epoch = r.epoch + 1, grant_id = p_grant_id, lease_ms = p_lease_ms, last_seq = r.last_seq + 1,
           lease_expires_at = tidebase.now() + p_lease_ms * interval '1 ms', pushed = p_pushed,
           expires_at = case when p_pushed then r.expires_at end
      from picked where r.run_id = picked.run_id and r.run_id = any (array(select run_id from picked)) and r.status = 'queued'
       and p_grant_id is not null
    returning r.run_id, r.epoch, r.last_seq, r.workflow, r.attempts, r.step_count, r.lease_ms, r.order_at
  ), rated as (
    update tidebase.queues set rate_window = q.rate_window, rate_used = q.rate_used + (select count(*) from granted)
     where queue = p_queue and q.rate_per_minute is not null and exists (select from granted)
  )
  (select g.run_id, g.epoch, g.last_seq, true, g.workflow, g.attempts, g.step_count, g.lease_ms, p.input, p.input_meta
    from granted g left join tidebase.payloads p on p.run_id = g.run_id order by g.order_at, g.run_id)
  union all
  select run_id, null, null, null, null, null, null, null, null, null from picked where p_grant_id is null;
end $$;

create or replace view tidebase.run_view as
  select 'run_' || r.run_id as run_id, r.workflow, r.status, r.failure_class, r.attempts, r.epoch, r.step_count, r.last_seq,
    r.tags, r.idempotency_key, r.created_at, r.ended_at, r.lease_expires_at, h.version as code_version,
    p.input, p.input_meta, p.metadata, p.result, p.result_meta, p.error, p.error_message,
    r.queue, r.priority, r.run_at, r.deadline_at, r.max_attempts, r.concurrency_key, r.dedupe_key,
    'run_' || r.parent_run_id as parent_run_id, p.cancel_reason, p.cancelled_by
    from tidebase.runs r left join tidebase.payloads p using (run_id) left join tidebase.holders h using (run_id);
