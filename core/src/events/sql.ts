import type { JsonText } from "../json-text.ts";
import { claimable } from "../queues/sql.ts";
import { statement } from "../statement.ts";

/** No row when the run is unknown. */
export const list = statement<
  { runId: string; afterSeq: number; limit: number; types?: readonly string[] | undefined },
  { events: JsonText; lastSeq: number; nextAfterSeq: number | null }
>("events.list")`
  with page as materialized (
    select seq, type, at, data from tidebase.events
     where run_id = $run_id::uuid and seq > $after_seq::bigint
       and ($types::text[] is null or type = any ($types::text[]))
     order by seq limit $limit::int
  )
  select r.last_seq,
    (select case when count(*) = $limit::int and max(seq) < r.last_seq then max(seq) end from page) as next_after_seq,
    (select coalesce(json_agg(json_build_object('seq', seq, 'type', type,
        'at', to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'), 'data', data) order by seq), '[]')
       from page)::text as events
    from tidebase.runs r where r.run_id = $run_id::uuid`;

/**
 * Tells other processes which runs, and which parents of theirs, have new events, and which queues have work by that:
 * a run that is queued, or one whose end made room where there is a limit. A hint, sent after the commit; what it does
 * not name for its length is `*`. Answers with what the caller cannot know.
 */
export const notify = statement<
  { channel: string; sender: string; runIds: readonly string[]; isAll: boolean },
  { sent: string; parentRunIds: readonly string[]; queues: readonly string[] }
>("events.notify")`
  with changed as materialized (
    select run_id, parent_run_id, status, queue, run_at from tidebase.runs where run_id = any ($run_ids::uuid[])
  ), parent as materialized (
    select p.* from (select distinct parent_run_id from changed where parent_run_id is not null) c cross join lateral (
      select run_id, status, queue, run_at from tidebase.runs where run_id = c.parent_run_id limit 1) p
  ), concerned as (
    select queue, status, run_at from changed where queue is not null
    union all
    select queue, status, run_at from parent where queue is not null
  ), ready as materialized (
    select queue from concerned where status = 'queued' and run_at <= (select tidebase.now())
    union
    select w.queue from (select distinct queue from concerned where status not in ('queued', 'running')) w
      cross join lateral (select * from tidebase.queues where queue = w.queue limit 1) q
     where coalesce(q.concurrency, q.key_concurrency, q.key_limits::int) <> 0 and ${claimable}
  ), told as (
    select string_agg(key, ',') as keys from (
      select 'run_' || id as key from unnest($run_ids::uuid[]) id
      union
      select 'run_' || run_id from parent
      union
      select 'queue:' || queue from ready) named
  )
  select pg_notify($channel::text, $sender::text || ',' || case
        when $is_all::boolean or octet_length(keys) > 7900 then '*' else keys end)::text
      || set_config('synchronous_commit', 'off', true) as sent,
    array(select run_id from parent) as parent_run_ids, array(select queue::text from ready) as queues
    from told`;
