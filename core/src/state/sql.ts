import type { JsonText } from "../json-text.ts";
import { held, lease, type Refused, refused, seen } from "../leases/fence.ts";
import type { Lease } from "../leases/schema.ts";
import { batch, items, statement } from "../statement.ts";

type Remarks = {
  label?: string | undefined;
  reason?: string | undefined;
  importance?: string | undefined;
  target?: { type: string; id: string } | undefined;
  writeKey?: string | undefined;
};

/** One version row and one counter; the keyframe is a cache written later by whoever folds. */
export const write = batch<
  Lease &
    Remarks & {
      stream: string;
      kind: string;
      body: JsonText;
      createdBy: string;
      expectVersion?: number | undefined;
    },
  {
    i: number;
    version: number | null;
    latest: number;
    outcome: Refused | "written" | "recorded" | "version_conflict" | "again";
  }
>("state.write")`
  with ${items({ ...lease, stream: "text", kind: "text", body: "text", expect_version: "bigint", write_key: "text", label: "text", reason: "text", importance: "text", target: "text", created_by: "text" })},
  ${seen}, ${held}, known as materialized (
    select item.i, v.version from item cross join lateral (
      select version from tidebase.versions
       where (run_id, stream, write_key) = (item.run_id, item.stream, item.write_key) limit 1
    ) v
  ), bumped as (
    insert into tidebase.streams as s (run_id, stream, version)
    select run_id, stream, 1 from held join seen using (i)
     where held.fenced and held.last_seq = seen.seen_seq and not exists (select from known where known.i = held.i)
       and (coalesce(expect_version, 0) = 0 or (
         select true from tidebase.streams s where (s.run_id, s.stream) = (held.run_id, held.stream)))
    on conflict (run_id, stream) do update set version = s.version + 1
     where s.version = coalesce((select h.expect_version from held h
       where (h.run_id, h.stream) = (s.run_id, s.stream)), s.version)
    returning s.run_id, s.stream, s.version
  ), appended as (
    insert into tidebase.versions (run_id, stream, version, kind, body, write_key, reason, importance, created_by, created_at)
    select run_id, stream, version, kind, body, write_key, reason, coalesce(importance, 'normal'), created_by, tidebase.now()
      from bumped join held using (run_id, stream)
  ), labeled as (
    insert into tidebase.labels (run_id, stream, version, label, reason, importance, target_type, target_ref, created_at)
    select run_id, stream, version, label, reason, coalesce(importance, 'normal'), target::json ->> 'type',
      target::json ->> 'id', tidebase.now() from bumped join held using (run_id, stream) where label is not null
  ), numbered as materialized (
    select held.i, run_id, stream, version, kind, label, tidebase.now() as at,
      last_seq + row_number() over (partition by run_id order by held.i) as seq
      from bumped join held using (run_id, stream)
  ), counted as (
    update tidebase.runs r set last_seq = n.seq, lease_expires_at = n.at + r.lease_ms * interval '1 ms'
      from (select run_id, max(seq) as seq, max(at) as at from numbered group by run_id) n
     where r.run_id = n.run_id and r.run_id = any (array(select run_id from numbered))
  ), logged as (
    insert into tidebase.events (run_id, seq, type, at, data)
    select run_id, seq, case kind when 'set' then 'state.set' else 'state.patched' end, at,
      jsonb_strip_nulls(jsonb_build_object('stream', stream, 'version', version, 'label', label)) from numbered
  )
  select i, coalesce(numbered.version, known.version) as version,
    coalesce(numbered.version, s.version, 0) as latest, case ${refused}
      when numbered.i is not null then 'written'
      when known.i is not null then 'recorded'
      when held.last_seq <> seen.seen_seq then 'again'
      else 'version_conflict' end as outcome
    from item left join held using (i) left join seen using (i) left join known using (i) left join numbered using (i)
    left join lateral (
      select version from tidebase.streams where (run_id, stream) = (item.run_id, item.stream) limit 1
    ) s on true
   order by i`;

/** Names a version; the same label on the same version again changes nothing. */
export const label = batch<
  Lease & Remarks & { stream: string; version?: number | undefined },
  {
    i: number;
    version: number | null;
    latest: number;
    outcome: Refused | "labeled" | "recorded" | "version_not_found" | "again";
  }
>("state.label")`
  with ${items({ ...lease, stream: "text", version: "bigint", write_key: "text", label: "text", reason: "text", importance: "text", target: "text" })},
  ${seen}, ${held}, known as materialized (
    select item.i, l.version from item cross join lateral (
      select version from tidebase.labels
       where (run_id, stream) = (item.run_id, item.stream) and item.write_key = any (write_keys) limit 1
    ) l
  ), aimed as materialized (
    select held.*, s.version as latest, coalesce(held.version, s.version) as at_version
      from held join seen using (i) cross join lateral (
        select version from tidebase.streams where (run_id, stream) = (held.run_id, held.stream) limit 1
      ) s
     where held.fenced and held.last_seq = seen.seen_seq and coalesce(held.version, s.version) <= s.version
       and not exists (select from known where known.i = held.i)
  ), written as (
    insert into tidebase.labels as l
      (run_id, stream, version, label, reason, importance, target_type, target_ref, write_keys, created_at)
    select run_id, stream, at_version, label, reason, coalesce(importance, 'checkpoint'), target::json ->> 'type',
      target::json ->> 'id', array_remove(array[write_key], null), tidebase.now() from aimed
    on conflict (run_id, stream, version, label) do update set write_keys = l.write_keys || excluded.write_keys
    returning l.run_id, l.stream, l.version, l.label, l.xmax = 0 as fresh
  ), numbered as materialized (
    select aimed.i, run_id, stream, w.version, label, tidebase.now() as at,
      last_seq + row_number() over (partition by run_id order by aimed.i) as seq
      from written w join aimed using (run_id, stream, label) where w.fresh and w.version = aimed.at_version
  ), counted as (
    update tidebase.runs r set last_seq = n.seq, lease_expires_at = n.at + r.lease_ms * interval '1 ms'
      from (select run_id, max(seq) as seq, max(at) as at from numbered group by run_id) n
     where r.run_id = n.run_id and r.run_id = any (array(select run_id from numbered))
  ), logged as (
    insert into tidebase.events (run_id, seq, type, at, data)
    select run_id, seq, 'state.labeled', at, jsonb_build_object('stream', stream, 'version', version, 'label', label)
      from numbered
  )
  select i, coalesce(numbered.version, known.version, aimed.at_version) as version, coalesce(s.version, 0) as latest,
    case ${refused}
      when numbered.i is not null then 'labeled'
      when known.i is not null or aimed.i is not null then 'recorded'
      when held.last_seq <> seen.seen_seq then 'again'
      else 'version_not_found' end as outcome
    from item left join held using (i) left join seen using (i) left join known using (i) left join aimed using (i)
    left join numbered using (i)
    left join lateral (
      select version from tidebase.streams where (run_id, stream) = (item.run_id, item.stream) limit 1
    ) s on true
   order by i`;

/**
 * What is needed to fold a version: the nearest document at or before it (a `set` or a keyframe) and the
 * patches after that. One row a version, oldest first; no row when the version does not exist.
 */
export const history = statement<
  { runId: string; stream: string; version: number | undefined },
  { version: number; latest: number; whole: boolean; body: JsonText; createdAt: string }
>("state.history")`
  with head as materialized (
    select version as latest, coalesce($version::bigint, version) as wanted from tidebase.streams
     where run_id = $run_id::uuid and stream = $stream::text and coalesce($version::bigint, version) <= version
  ), whole as materialized (
    (select v.version, v.body from head join tidebase.versions v on v.run_id = $run_id::uuid and v.stream = $stream::text
      where v.version <= head.wanted and v.kind = 'set' order by v.version desc limit 1)
    union all
    (select k.version, k.body from head join tidebase.keyframes k on k.run_id = $run_id::uuid and k.stream = $stream::text
      where k.version <= head.wanted order by k.version desc limit 1)
  ), base as materialized (
    select version, body from whole order by version desc limit 1
  )
  select v.version, head.latest, v.version = base.version as whole,
    case when v.version = base.version then base.body else v.body end as body, v.created_at
    from head left join base on true
    join tidebase.versions v on v.run_id = $run_id::uuid and v.stream = $stream::text
     and v.version between coalesce(base.version, 1) and head.wanted
   order by v.version`;

/** A cache entry; whoever comes second finds it there. */
export const keepKeyframe = statement<
  { runId: string; stream: string; version: number; body: JsonText },
  { version: number }
>("state.keyframe")`
  insert into tidebase.keyframes (run_id, stream, version, body)
  select run_id, $stream::text, $version::bigint, $body::text from tidebase.runs
   where run_id = $run_id::uuid and erased_at is null for key share   -- nobody deletes or erases it meanwhile
  on conflict do nothing returning version`;

/** Newest first, without documents; at most `limit`. */
export const versions = statement<
  { runId: string; stream: string; before?: number | undefined; labeled: boolean; limit: number },
  {
    version: number;
    kind: "set" | "patch";
    bytes: number;
    labels: JsonText;
    reason: string | null;
    importance: "transient" | "normal" | "checkpoint" | "milestone";
    createdBy: string;
    createdAt: string;
  }
>("state.versions")`
  select v.version, v.kind, octet_length(v.body) as bytes, v.reason, v.importance, v.created_by, v.created_at, (
      select coalesce(json_agg(json_strip_nulls(json_build_object('label', l.label, 'reason', l.reason,
          'importance', l.importance, 'target', case when l.target_type is not null then
            json_build_object('type', l.target_type, 'id', l.target_ref) end)) order by l.created_at), '[]')
        from tidebase.labels l where (l.run_id, l.stream, l.version) = (v.run_id, v.stream, v.version))::text as labels
    from tidebase.versions v
   where v.run_id = $run_id::uuid and v.stream = $stream::text
     and v.version < coalesce($before::bigint, 9223372036854775807)
     and (not $labeled::boolean or exists (
       select from tidebase.labels l where (l.run_id, l.stream, l.version) = (v.run_id, v.stream, v.version)))
   order by v.version desc limit $limit::int`;

/** By name; at most 1,000. */
export const streams = statement<{ runId: string }, { stream: string; version: number }>(
  "state.streams",
)`
  select stream, version from tidebase.streams where run_id = $run_id::uuid order by stream limit 1000`;
