-- A fork is a run of its own. What it was made of is copied into it; these only tell where it departed from another run's
-- log, which may be gone by now.
alter table tidebase.runs
  add column forked_from_run_id uuid,
  add column forked_at_seq bigint;

create index runs_forks on tidebase.runs (forked_from_run_id, created_at, run_id) where forked_from_run_id is not null;

create or replace view tidebase.run_view as
  select 'run_' || r.run_id as run_id, r.workflow, r.status, r.failure_class, r.attempts, r.epoch, r.step_count, r.last_seq,
    r.tags, r.idempotency_key, r.created_at, r.ended_at, r.lease_expires_at, h.version as code_version,
    p.input, p.input_meta, p.metadata, p.result, p.result_meta, p.error, p.error_message,
    r.queue, r.priority, r.run_at, r.deadline_at, r.max_attempts, r.concurrency_key, r.dedupe_key,
    'run_' || r.parent_run_id as parent_run_id, p.cancel_reason, p.cancelled_by,
    'run_' || r.forked_from_run_id as forked_from_run_id, r.forked_at_seq
    from tidebase.runs r left join tidebase.payloads p using (run_id) left join tidebase.holders h using (run_id);
