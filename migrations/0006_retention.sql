-- How long a store keeps what has ended: a property of the store, not of a process that happens to open it. The sweep takes
-- page after page behind the cursor (`after_at`, `after_id`) and rests until `next_at` at the end.
create table tidebase.retention (
  id int primary key check (id = 1),
  days int not null check (days between 0 and 36500),
  next_at timestamptz not null,
  after_at timestamptz,
  after_id uuid
);
-- Ten minutes in which whoever upgrades may still set another number.
insert into tidebase.retention (id, days, next_at) values (1, 30, tidebase.now() + interval '10 minutes');

-- Pages of what has ended go by both.
drop index tidebase.runs_ended;
create index runs_ended on tidebase.runs (ended_at, run_id) where ended_at is not null;

-- Its content was removed, its skeleton stays.
alter table tidebase.runs add column erased_at timestamptz;

-- The run and all that descend from it.
create function tidebase.tree(root uuid) returns setof uuid language sql stable as $$
  with recursive below as (
    select run_id from tidebase.runs where run_id = root
    union
    select child.run_id from below cross join lateral (
      select run_id from tidebase.runs where parent_run_id = below.run_id offset 0) child   -- else planned as a join of all runs
  )
  select run_id from below
$$;

-- Whether the whole tree of the root may go. An open gate is still asked about unless its run has failed; a label that is not
-- transient says that the state is to be kept, for as long as there is any.
create function tidebase.may_forget(root uuid, members uuid[], before timestamptz) returns boolean language sql stable as $$
  select (select count(*) from tidebase.runs where run_id = any (members) and ended_at < before
       and status in ('completed', 'cancelled', 'failed')) = cardinality(members)
     and not exists (select from tidebase.runs r cross join lateral (
       select from tidebase.runs where run_id = r.parent_run_id limit 1) parent where r.run_id = root)
     and not exists (select from tidebase.gates g cross join lateral (
       select from tidebase.runs where run_id = g.run_id and status <> 'failed' limit 1) r
       where g.run_id = any (members) and g.decided_at is null)
     and not exists (select from tidebase.deliveries where run_id = any (members) and status = 'pending')
     and not exists (select from tidebase.labels l cross join lateral (
       select from tidebase.runs where run_id = l.run_id and erased_at is null limit 1) r
       where l.run_id = any (members) and l.importance <> 'transient')
$$;

-- Deletes whole trees with all they own, as many as one transaction should: the rest is `later`. What does not look as if it
-- may go is `kept` without a lock; what is locked by somebody, or may not go any more once it is locked, has `moved`. Every
-- statement sees what was committed while the one before it waited.
create function tidebase.forget(roots uuid[]) returns table (run_id uuid, outcome text, runs int) language plpgsql as $$
#variable_conflict use_column
declare
  v_before timestamptz;
  v_root uuid;
  v_tree uuid[];
  v_weight bigint;
  v_sum bigint := 0;
  v_members uuid[] := '{}';
  v_roots uuid[] := '{}';   -- of each member
  v_torn uuid[];
  v_gates uuid[];
begin
  -- Shared: whoever sets another number waits for this transaction, and the next one reads it.
  select tidebase.now() - days * interval '1 day' into v_before from tidebase.retention where days > 0 for share;
  foreach v_root in array roots loop
    v_tree := array(select tidebase.tree(v_root));
    if cardinality(v_tree) = 0 then
      run_id := v_root; outcome := 'moved'; runs := 0; return next;
    elsif tidebase.may_forget(v_root, v_tree, v_before) is not true then
      run_id := v_root; outcome := 'kept'; runs := 0; return next;
    else
      select sum(last_seq) into v_weight from tidebase.runs r where r.run_id = any (v_tree);
      if v_members <> '{}' and (cardinality(v_members) + cardinality(v_tree) > 5000 or v_sum + v_weight > 100000) then
        run_id := v_root; outcome := 'later'; runs := 0; return next;
      else
        v_sum := v_sum + v_weight;
        v_members := v_members || v_tree;
        v_roots := v_roots || array_fill(v_root, array[cardinality(v_tree)]);
      end if;
    end if;
  end loop;
  if v_members = '{}' then return; end if;

  v_torn := array(
    select distinct m.root from unnest(v_members, v_roots) m (member, root)
     where m.member not in (
       select held.run_id from (
         select r.run_id from tidebase.runs r where r.run_id = any (v_members) order by r.run_id for update skip locked) held));
  -- An operator revives a dead delivery without the run's lock.
  perform from tidebase.deliveries d where d.run_id = any (v_members) order by d.delivery_id for update;
  foreach v_root in array array(select distinct r from unnest(v_roots) r) loop
    v_tree := array(select m.member from unnest(v_members, v_roots) m (member, root) where m.root = v_root);
    if v_root = any (v_torn) or exists (select from tidebase.tree(v_root) t where t <> all (v_tree))
       or tidebase.may_forget(v_root, v_tree, v_before) is not true then
      v_torn := v_torn || v_root;
      run_id := v_root; outcome := 'moved'; runs := 0; return next;
    else
      run_id := v_root; outcome := 'deleted'; runs := cardinality(v_tree); return next;
    end if;
  end loop;
  v_members := array(select m.member from unnest(v_members, v_roots) m (member, root) where m.root <> all (v_torn));
  if v_members = '{}' then return; end if;

  -- Gates first: whoever issues a proof holds the gate's row, so none comes after.
  with gone as (
    delete from tidebase.gates t where t.run_id = any (v_members) returning t.gate_id
  )
  select array_agg(gate_id) into v_gates from gone;
  delete from tidebase.gate_votes t where t.gate_id = any (v_gates);
  delete from tidebase.gate_proofs t where t.gate_id = any (v_gates);
  delete from tidebase.steps t where t.run_id = any (v_members);
  delete from tidebase.events t where t.run_id = any (v_members);
  delete from tidebase.usage t where t.run_id = any (v_members);
  delete from tidebase.streams t where t.run_id = any (v_members);
  delete from tidebase.versions t where t.run_id = any (v_members);
  delete from tidebase.keyframes t where t.run_id = any (v_members);
  delete from tidebase.labels t where t.run_id = any (v_members);
  delete from tidebase.timers t where t.run_id = any (v_members);
  delete from tidebase.signals t where t.run_id = any (v_members);
  delete from tidebase.deliveries t where t.run_id = any (v_members);
  delete from tidebase.run_webhooks t where t.run_id = any (v_members);
  delete from tidebase.children t where t.parent_run_id = any (v_members);
  delete from tidebase.children t where t.child_run_id = any (v_members);
  delete from tidebase.cleanups t where t.run_id = any (v_members);
  delete from tidebase.cascades t where t.run_id = any (v_members);
  delete from tidebase.superseded t where t.run_id = any (v_members);
  delete from tidebase.quarantine t where t.run_id = any (v_members);
  delete from tidebase.holders t where t.run_id = any (v_members);
  delete from tidebase.payloads t where t.run_id = any (v_members);
  delete from tidebase.runs t where t.run_id = any (v_members);
end $$;

-- A decision is for ever; what it was about may be erased with its run. Nothing else passes, and no other column with it.
create or replace function tidebase.refuse_decided() returns trigger language plpgsql as $$
declare
  content constant text[] := array['prompt', 'digest', 'data', 'answer_schema', 'capability', 'approvers', 'answer', 'answer_hash', 'note'];
begin
  if new.prompt = '' and new.digest = 'erased'
     and num_nonnulls(new.data, new.answer_schema, new.capability, new.approvers, new.answer, new.answer_hash, new.note) = 0
     and to_jsonb(new) - content = to_jsonb(old) - content
     and exists (select from tidebase.runs where run_id = old.run_id and erased_at is not null) then
    return new;
  end if;
  raise exception 'gate % is decided', old.gate_id using errcode = 'TB002';
end $$;

-- What the data of an erased run's event may still hold: ids, names, numbers, and words that are ours. All else was, or may
-- have been, somebody's text.
create function tidebase.skeleton(type text, data jsonb) returns jsonb language sql immutable as $$
  select jsonb_object_agg(key, value) from jsonb_each(data)
   where key in ('workflow', 'queue', 'actor', 'forkedFrom', 'keptSteps', 'edited', 'epoch', 'version', 'takeover', 'failureClass',
       'attempts', 'attempt', 'runAt', 'orphanedSteps', 'from', 'deadlineAt', 'name', 'key', 'retryInMs', 'becomes', 'decision',
       'stream', 'gateId', 'revision', 'risk', 'status', 'via', 'assurance', 'expiresAt', 'waits', 'wakeAt', 'by', 'childRunId',
       'sweep', 'webhook', 'type', 'seq', 'kind', 'provider', 'model', 'tokens', 'costUsd', 'tree')
      or key = 'label' and type like 'state.%'
      or key = 'reason' and value #>> '{}' in ('lease_over', 'holder_gone', 'shutdown', 'handed_back', 'retry', 'deadline', 'expired',
        'parent_cancelled', 'superseded', 'cancelled', 'error', 'timeout', 'unserializable_output', 'output_too_large')
$$;

-- Removes what the run was about and leaves its skeleton: ids, names, keys, tags, statuses, times, numbers. All of the tree or
-- none of it, and only what is final, below a parent that is: whoever may still run could read it. `again`: a child was made
-- while the locks were waited for. No row when the run is unknown.
create function tidebase.erase(root uuid, with_tree boolean, actor text, reason text)
returns table (outcome text, already boolean, erased_at timestamptz, run_ids uuid[], open_run_ids uuid[]) language plpgsql as $$
#variable_conflict use_column
declare
  v_tree uuid[] := array[root];
  v_fresh uuid[];
  v_now timestamptz;
begin
  if with_tree then v_tree := array(select tidebase.tree(root)); end if;
  perform from tidebase.runs r where r.run_id = any (v_tree) order by r.run_id for update;
  if not exists (select from tidebase.runs r where r.run_id = root) then return; end if;
  run_ids := '{}';
  open_run_ids := array(
    select r.run_id from tidebase.runs r
     where r.status not in ('completed', 'cancelled')
       and (r.run_id = any (v_tree) or r.run_id = (select parent_run_id from tidebase.runs p where p.run_id = root))
     order by r.run_id limit 10);
  if open_run_ids <> '{}' then
    outcome := 'run_not_final'; return next; return;
  end if;
  if with_tree and exists (select from tidebase.tree(root) t where t <> all (v_tree)) then
    outcome := 'again'; return next; return;
  end if;
  v_fresh := array(select r.run_id from tidebase.runs r where r.run_id = any (v_tree) and r.erased_at is null order by r.run_id);
  v_now := tidebase.now();

  -- The hash of what it was made of would confirm a guess: from now on it is as if made in SQL, whose hash says nothing.
  update tidebase.runs t set erased_at = v_now, last_seq = t.last_seq + 1, body_hash = 'sql:erased' where t.run_id = any (v_fresh);
  update tidebase.payloads t set input = null, input_meta = null, metadata = null, result = null, result_meta = null, error = null,
    error_message = null, cancel_reason = null where t.run_id = any (v_fresh);
  update tidebase.holders t set machine = null, holder = null, resume_hint = null where t.run_id = any (v_fresh);
  update tidebase.steps t set reason = null, contract = null, input_hash = null, input = null, output_meta = null, error = null,
    output = case when t.status = 'completed' then 'null' end where t.run_id = any (v_fresh);
  update tidebase.events t set data = tidebase.skeleton(t.type, t.data) where t.run_id = any (v_fresh)
    and t.data is distinct from tidebase.skeleton(t.type, t.data);
  update tidebase.versions t set body = 'null', reason = null, write_key = null where t.run_id = any (v_fresh);
  delete from tidebase.keyframes t where t.run_id = any (v_fresh);
  update tidebase.labels t set reason = null, write_keys = '{}' where t.run_id = any (v_fresh);
  -- Whoever issues a proof of an open gate shares its row's key: none comes after.
  perform from tidebase.gates t where t.run_id = any (v_fresh) order by t.gate_id for update;
  update tidebase.gates t set prompt = '', digest = 'erased', data = null, answer_schema = null, capability = null, approvers = null,
    answer = null, answer_hash = null, note = null where t.run_id = any (v_fresh);
  update tidebase.gate_votes v set answer_hash = '', note = null from tidebase.gates g
   where g.run_id = any (v_fresh) and v.gate_id = g.gate_id;
  delete from tidebase.gate_proofs p using tidebase.gates g where g.run_id = any (v_fresh) and p.gate_id = g.gate_id;
  update tidebase.signals t set payload = 'null' where t.run_id = any (v_fresh);
  update tidebase.usage t set label = null, metadata = null, write_key = null where t.run_id = any (v_fresh);
  update tidebase.cleanups t set error = null where t.run_id = any (v_fresh);
  update tidebase.quarantine t set last_error = '' where t.run_id = any (v_fresh);
  -- Nothing that was to be told of it is told any more, but that it was erased.
  update tidebase.deliveries t set status = 'dead', ended_at = v_now, last_error = 'run_erased'
   where t.run_id = any (v_fresh) and t.status = 'pending';
  insert into tidebase.events (run_id, seq, type, at, data)
  select r.run_id, r.last_seq, 'run.erased', v_now, jsonb_strip_nulls(jsonb_build_object('actor', actor, 'reason', reason,
      'tree', case when with_tree then true end))
    from tidebase.runs r where r.run_id = any (v_fresh);

  outcome := 'erased';
  already := v_fresh = '{}';
  select r.erased_at into erased_at from tidebase.runs r where r.run_id = root;
  run_ids := v_fresh;
  open_run_ids := '{}';
  return next;
end $$;

create or replace view tidebase.run_view as
  select 'run_' || r.run_id as run_id, r.workflow, r.status, r.failure_class, r.attempts, r.epoch, r.step_count, r.last_seq,
    r.tags, r.idempotency_key, r.created_at, r.ended_at, r.lease_expires_at, h.version as code_version,
    p.input, p.input_meta, p.metadata, p.result, p.result_meta, p.error, p.error_message,
    r.queue, r.priority, r.run_at, r.deadline_at, r.max_attempts, r.concurrency_key, r.dedupe_key,
    'run_' || r.parent_run_id as parent_run_id, p.cancel_reason, p.cancelled_by,
    'run_' || r.forked_from_run_id as forked_from_run_id, r.forked_at_seq, r.erased_at
    from tidebase.runs r left join tidebase.payloads p using (run_id) left join tidebase.holders h using (run_id);
