-- What a trigger or a helper does for each row is done only where there is something to do, and a claim executes only the
-- statement that its queue needs (ADR 19).

-- A function in SQL whose body the planner cannot inline starts an executor for each row; an expression of plpgsql does not.
create or replace function tidebase.order_at(run_at timestamptz, priority smallint) returns timestamptz
  language plpgsql immutable as $$
begin
  return run_at - priority * interval '1 minute';
end $$;

-- Most stores have no webhook: the look for one is all that an event costs there.
create or replace function tidebase.fill_outbox() returns trigger language plpgsql as $$
begin
  perform from tidebase.webhooks where disabled_at is null limit 1;
  if not found then return null; end if;
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

-- What the end of a run does to others, by one trigger: the condition of each trigger is read anew for every statement
-- that changes a status.
create function tidebase.run_ended() returns trigger language plpgsql as $$
begin
  if new.status <> 'failed' then
    perform from tidebase.gates where run_id = new.run_id and decided_at is null limit 1;
    if found then
      update tidebase.gates set status = 'closed', decided_at = tidebase.now()
       where run_id = new.run_id and decided_at is null;
    end if;
  end if;
  if new.status = 'cancelled' then
    insert into tidebase.cascades (run_id, at)
    select new.run_id, tidebase.now()
     where exists (select from tidebase.runs where parent_run_id = new.run_id and not detached
       and status not in ('completed', 'cancelled'))
    on conflict do nothing;
  end if;
  if new.parent_run_id is not null then perform tidebase.tell_parent(new); end if;
  return null;
end $$;

drop trigger runs_close_gates on tidebase.runs;
drop trigger runs_cascade on tidebase.runs;
drop trigger runs_tell_parent on tidebase.runs;
drop function tidebase.close_gates();
drop function tidebase.cascade();
drop function tidebase.tell_parent();

-- Tells the parent of the ended run, and wakes it when its join is satisfied. A statement of a function sees what was
-- committed while the parent's row was waited for, so the last end of a join is never missed.
create function tidebase.tell_parent(ended tidebase.runs) returns void language plpgsql as $$
declare
  edge tidebase.children;
  parent record;
  is_open boolean;
  woken_by text;
begin
  select * into edge from tidebase.children where child_run_id = ended.run_id;
  select status, waits, last_seq, queue into parent from tidebase.runs where run_id = ended.parent_run_id for no key update;
  if edge.name is null or parent.status is null or parent.status in ('completed', 'cancelled') then return; end if;
  if parent.status = 'waiting' then
    is_open := tidebase.join_is_open(ended.parent_run_id, edge.name);
    select wait into woken_by from unnest(parent.waits) wait
     where wait = 'child_' || ended.run_id
        or wait = 'all_' || edge.name and not is_open
        or wait = 'any_' || edge.name and (ended.status = 'completed' or not is_open)
     limit 1;
  end if;
  update tidebase.runs r set last_seq = r.last_seq + 1 + (woken_by is not null)::int,
      status = case when woken_by is null then r.status when r.queue is null then 'pending' else 'queued' end,
      run_at = case when woken_by is null or r.queue is null then r.run_at else tidebase.now() end,
      waits = case when woken_by is null then r.waits end, wake_at = case when woken_by is null then r.wake_at end
   where r.run_id = ended.parent_run_id;
  insert into tidebase.events (run_id, seq, type, at, data)
  values (ended.parent_run_id, parent.last_seq + 1, 'child.ended', tidebase.now(), jsonb_build_object(
    'name', edge.name, 'key', edge.key, 'childRunId', 'run_' || ended.run_id, 'status', ended.status));
  if woken_by is not null then
    insert into tidebase.events (run_id, seq, type, at, data)
    values (ended.parent_run_id, parent.last_seq + 2, 'run.woken', tidebase.now(), jsonb_build_object('by', woken_by));
  end if;
end $$;

create trigger runs_ended after update of status on tidebase.runs for each row
  when (new.status in ('completed', 'cancelled', 'failed') and old.status <> new.status) execute function tidebase.run_ended();

-- Runs without a key have no entry, at their making and at every change of their status.
alter table tidebase.runs drop constraint runs_workflow_idempotency_key_unique;
create unique index runs_idempotency_key on tidebase.runs (workflow, idempotency_key) where idempotency_key is not null;

-- One round trip, two snapshots: a queue with limits is claimed by one transaction at a time, and the statement after the
-- lock on its row counts what is committed by then. (As one statement the count is stale and the limit breaks.) Queues
-- without limits take no such lock. A repeated call finds its own live grants. Without a grant it tells whom it would take,
-- and takes nobody; `p_only` are those of them that it may take. The statement that takes them names no status: that would
-- let the planner walk an index of what is queued in place of the key, whatever it knows of the table.
create or replace function tidebase.claim(
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
  v_ready uuid[];
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
  if v_keyed then
    v_ready := tidebase.ready_by_key(p_queue, v_room, q.key_concurrency, p_workflows, v_aside);
  else
    v_ready := tidebase.ready(p_queue, v_room, p_workflows, v_aside);
  end if;
  if p_only is not null then
    v_ready := array(select id from unnest(v_ready) with ordinality as ready (id, n) where id = any (p_only) order by n);
  end if;
  if p_grant_id is null then
    return query select id, null::bigint, null::bigint, null::boolean, null, null::int, null::int, null::int, null, null
      from unnest(v_ready) id;
    return;
  end if;
  if coalesce(cardinality(v_ready), 0) = 0 then return; end if;
  v_now := tidebase.now();
  return query
  with granted as (
    update tidebase.runs r
       set status = 'running', epoch = r.epoch + 1, grant_id = p_grant_id, lease_ms = p_lease_ms, last_seq = r.last_seq + 1,
           lease_expires_at = v_now + p_lease_ms * interval '1 ms', pushed = p_pushed,
           expires_at = case when p_pushed then r.expires_at end
     where r.run_id = any (v_ready)
    returning r.run_id, r.epoch, r.last_seq, r.workflow, r.attempts, r.step_count, r.lease_ms, r.order_at
  )
  select g.run_id, g.epoch, g.last_seq, true, g.workflow, g.attempts, g.step_count, g.lease_ms, p.input, p.input_meta
    from granted g left join lateral (
      select input, input_meta from tidebase.payloads where run_id = g.run_id limit 1) p on true
   order by g.order_at, g.run_id;
  if q.rate_per_minute is not null then
    update tidebase.queues set rate_window = q.rate_window, rate_used = q.rate_used + cardinality(v_ready)
     where queue = p_queue;
  end if;
end $$;

-- What a queue without keys would give now, locked: claimers do not wait for one another. A run with a limit of its own is
-- left to whoever reads the queue's row after that says so.
create function tidebase.ready(p_queue text, p_room int, p_workflows text[], p_aside uuid[])
returns uuid[] language plpgsql as $$
declare
  v_now timestamptz := tidebase.now();
  v_ready uuid[];
begin
  v_ready := array(
    select r.run_id from tidebase.runs r
     where r.key_limit is null and r.queue = p_queue and r.status = 'queued'
       and r.order_at <= v_now and r.run_at <= v_now
       and (r.expires_at is null or r.expires_at > v_now) and (r.deadline_at is null or r.deadline_at > v_now)
       and (p_workflows is null or r.workflow = any (p_workflows))
       and r.run_id <> all (p_aside)
     order by r.order_at, r.run_id limit p_room for no key update skip locked);
  if cardinality(v_ready) = p_room then return v_ready; end if;
  return v_ready || array(   -- below a priority of zero: ordered behind the instant from which they may run
    select r.run_id from tidebase.runs r
     where r.key_limit is null and r.queue = p_queue and r.status = 'queued' and r.priority < 0
       and r.order_at > v_now and r.order_at <= v_now + interval '100 minutes' and r.run_at <= v_now
       and (r.expires_at is null or r.expires_at > v_now) and (r.deadline_at is null or r.deadline_at > v_now)
       and (p_workflows is null or r.workflow = any (p_workflows))
       and r.run_id <> all (p_aside)
     order by r.order_at, r.run_id limit p_room - cardinality(v_ready) for no key update skip locked);
end $$;

-- The same of a queue with limits for keys, whose row the caller has locked.
create function tidebase.ready_by_key(p_queue text, p_room int, p_key_concurrency int, p_workflows text[], p_aside uuid[])
returns uuid[] language plpgsql as $$
declare
  v_now timestamptz := tidebase.now();
  v_ready uuid[];
begin
  v_ready := array(
    with recursive busy as materialized (
      select concurrency_key, count(*) as n from tidebase.runs r
       where r.queue = p_queue and r.status = 'running' and concurrency_key is not null group by 1
    ), keys as (   -- walks the distinct keys of the queue, one index probe each
      (select concurrency_key from tidebase.runs r
        where r.queue = p_queue and r.status = 'queued' and concurrency_key is not null
        order by concurrency_key limit 1)
      union all
      select next.concurrency_key from keys cross join lateral (
        select r.concurrency_key from tidebase.runs r
         where r.queue = p_queue and r.status = 'queued' and r.concurrency_key > keys.concurrency_key
         order by r.concurrency_key limit 1) next
    ), keyed as materialized (   -- a run that brings its own limit for its key is held to that as well
      select c.run_id, c.order_at from keys left join busy using (concurrency_key) cross join lateral (
        select greatest(0, least(p_room, coalesce(p_key_concurrency - coalesce(busy.n, 0), p_room))) as n
      ) room cross join lateral (
        select run_id, order_at, key_limit, row_number() over (order by order_at, run_id) as nth from (
          (select r.run_id, r.order_at, r.key_limit from tidebase.runs r
            where r.queue = p_queue and r.status = 'queued' and r.concurrency_key = keys.concurrency_key and r.order_at <= v_now
              and r.run_at <= v_now and (r.expires_at is null or r.expires_at > v_now)
              and (r.deadline_at is null or r.deadline_at > v_now) and (p_workflows is null or r.workflow = any (p_workflows))
              and r.run_id <> all (p_aside)
            order by r.order_at, r.run_id limit room.n)
          union all
          (select r.run_id, r.order_at, r.key_limit from tidebase.runs r
            where r.queue = p_queue and r.status = 'queued' and r.concurrency_key = keys.concurrency_key and r.priority < 0
              and r.order_at > v_now and r.order_at <= v_now + interval '100 minutes'
              and r.run_at <= v_now and (r.expires_at is null or r.expires_at > v_now)
              and (r.deadline_at is null or r.deadline_at > v_now) and (p_workflows is null or r.workflow = any (p_workflows))
              and r.run_id <> all (p_aside)
            order by r.order_at, r.run_id limit room.n)
          order by order_at, run_id limit room.n) ready) c
       where c.key_limit is null or coalesce(busy.n, 0) + c.nth <= c.key_limit
    ), keyless as materialized (   -- the key in front keeps both on an index that leads with it
      (select r.run_id, r.order_at from tidebase.runs r
        where r.queue = p_queue and r.status = 'queued' and r.concurrency_key is null and r.order_at <= v_now
          and r.run_at <= v_now and (r.expires_at is null or r.expires_at > v_now)
          and (r.deadline_at is null or r.deadline_at > v_now) and (p_workflows is null or r.workflow = any (p_workflows))
          and r.run_id <> all (p_aside)
        order by r.concurrency_key, r.order_at, r.run_id limit p_room)
      union all
      (select r.run_id, r.order_at from tidebase.runs r
        where r.queue = p_queue and r.status = 'queued' and r.concurrency_key is null and r.priority < 0
          and r.order_at > v_now and r.order_at <= v_now + interval '100 minutes'
          and r.run_at <= v_now and (r.expires_at is null or r.expires_at > v_now)
          and (r.deadline_at is null or r.deadline_at > v_now) and (p_workflows is null or r.workflow = any (p_workflows))
          and r.run_id <> all (p_aside)
        order by r.concurrency_key, r.order_at, r.run_id limit p_room)
    )
    select run_id from (select * from keyed union all select * from keyless) either
     order by order_at, run_id limit p_room);
  return array(
    select held.run_id from unnest(v_ready) with ordinality as ready (run_id, n) cross join lateral (
      select r.run_id, r.status from tidebase.runs r where r.run_id = ready.run_id for no key update skip locked) held
     where held.status = 'queued' order by ready.n);
end $$;

-- Makes runs, or finds those that have their id, idempotency key or (while they are active) dedupe key. Every statement
-- in here has a snapshot of its own: who loses to a row that ends before it is looked at simply tries again. Sorted, so
-- that two overlapping batches wait for each other in one order; of those of one idempotency key the first comes first.
create or replace function tidebase.make_runs(new_runs tidebase.new_run[])
returns table (i int, run_id uuid, status text, outcome text) language plpgsql as $$
#variable_conflict use_column
declare
  v_left int[];   -- null: all of them
  v_again int[];
  one record;
begin
  loop
    v_again := '{}';
    perform tidebase.cancel_late(t.queue, t.dedupe_key) from (
      select distinct queue, dedupe_key from unnest(new_runs) where dedupe_key is not null order by queue, dedupe_key) t;
    for one in
      with item as materialized (
        select t.*, coalesce(t.run_id, tidebase.new_run_id()) as new_run_id, (select tidebase.now()) as at
          from unnest(new_runs) with ordinality as t
         where v_left is null or t.ordinality = any (v_left)
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
      ), since as materialized (   -- after every key that was waited for
        select tidebase.now() as at from (select count(*) from made) all_made
      ), logged as (
        insert into tidebase.events (run_id, seq, type, at, data)
        select made.run_id, 1, case when made.queue is null then 'run.created' else 'run.queued' end, since.at,
          jsonb_strip_nulls(jsonb_build_object('workflow', made.workflow, 'queue', made.queue, 'actor', item.actor))
          from made join item on item.new_run_id = made.run_id cross join since
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
    exit when cardinality(v_again) = 0;
    v_left := v_again;
  end loop;
end $$;
