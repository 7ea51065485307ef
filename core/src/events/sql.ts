import type { JsonText } from "../json-text.ts";
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

/** The latest event number of each run that somebody follows. */
export const heads = statement<{ runIds: readonly string[] }, { runId: string; lastSeq: number }>(
  "events.heads",
)`
  select run_id, last_seq from tidebase.runs where run_id = any ($run_ids::uuid[])`;

/** Tells other processes which runs have new events; a hint, sent after the commit. */
export const notify = statement<{ channel: string; message: string }, { sent: string }>(
  "events.notify",
)`
  select pg_notify($channel::text, $message::text)::text || set_config('synchronous_commit', 'off', true) as sent`;
