-- Lists go by a status first: an index that leads with it serves the live and the ended alike, so that of each run only few
-- entries change when it ends, and a status that few runs have is found among a million of others. A list of all statuses
-- merges eight short walks. What leads with `created_at` alone is needed no more.
create index runs_status_created on tidebase.runs (status, created_at, run_id);
create index runs_workflow_status_created on tidebase.runs (workflow, status, created_at, run_id);
create index runs_status_queue_created on tidebase.runs (status, queue, created_at, run_id) where queue is not null;
drop index tidebase.runs_created;
drop index tidebase.runs_live;
drop index tidebase.runs_workflow_created;
drop index tidebase.runs_queue_live;

-- The latest failures, among whatever else ended since: only a failure writes to it.
create index runs_failed on tidebase.runs (ended_at) where status = 'failed';

create index deliveries_listed on tidebase.deliveries (webhook_id, status, created_at, delivery_id);
drop index tidebase.deliveries_created;
