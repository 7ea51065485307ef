import { fragment } from "../statement.ts";

/** The columns of RunSummary; `r`, `p` and `e` are runs, payloads and the run's last event. */
export const summary = fragment`r.run_id, r.workflow, r.status, r.failure_class, r.attempts, r.tags, r.last_seq, r.queue, r.parent_run_id,
    r.created_at, coalesce(e.at, r.created_at) as updated_at, r.lease_expires_at,
    coalesce(r.status = 'running' and r.lease_expires_at <= tidebase.now(), false) as lease_over,
    p.error_message, case when r.forked_from_run_id is not null then
      jsonb_build_object('runId', 'run_' || r.forked_from_run_id, 'atSeq', r.forked_at_seq) end as forked_from`;

/** `p` and `e` of the run `r`, each by its key: a join might read the payloads and events of all runs there ever were. */
export const around = fragment`left join lateral (select * from tidebase.payloads where run_id = r.run_id limit 1) p on true
    left join lateral (select at from tidebase.events where (run_id, seq) = (r.run_id, r.last_seq) limit 1) e on true`;
