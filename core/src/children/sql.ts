import type { z } from "zod";
import type { JsonText } from "../json-text.ts";
import type { Refused } from "../leases/fence.ts";
import type { Lease } from "../leases/schema.ts";
import { statement } from "../statement.ts";
import type { Child, CreatedChild } from "./schema.ts";

type Created = z.output<typeof CreatedChild>;

/**
 * Makes the queues honour the limits that runs bring along, before such a run exists. Only where that is not yet so: a
 * fan-out after the first takes no lock on its queue.
 */
export const limitKeys = statement<Lease & { queues: readonly string[] }, object>(
  "children.limit_keys",
)`
  insert into tidebase.queues (queue, key_limits)
  select distinct wanted.queue, true from unnest($queues::text[]) wanted (queue)
   where exists (select from tidebase.runs
       where run_id = $run_id::uuid and (epoch, grant_id, status) = ($epoch::bigint, $grant_id::uuid, 'running'))
     and (select q.key_limits from tidebase.queues q where q.queue = wanted.queue limit 1) is not true
   order by wanted.queue
  on conflict (queue) do update set key_limits = true`;

/**
 * Creates what is missing: a row for each item, in their order. Whoever creates a child takes an event number of its
 * parent, so edges that are looked up in the snapshot are all there are, unless the run has moved: then `again`.
 */
export const create = statement<
  Lease & {
    names: readonly string[];
    keys: readonly string[];
    workflows: readonly string[];
    bodyHashes: readonly string[];
    inputs: readonly (string | null)[];
    inputMetas: readonly (string | null)[];
    metadatas: readonly (string | null)[];
    tagLists: readonly string[];
    queues: readonly (string | null)[];
    priorities: readonly (number | null)[];
    delays: readonly (number | null)[];
    deadlines: readonly (number | null)[];
    attempts: readonly (number | null)[];
    concurrencyKeys: readonly (string | null)[];
    keyLimits: readonly (number | null)[];
    detached: readonly boolean[];
    fanoutSizes: readonly (number | null)[];
    maxSteps: number;
    actor: string;
    childrenMax: number;
    levelsMax: number;
  },
  | Created
  | { outcome: Exclude<Refused, "run_not_found"> | "run_too_wide" | "run_too_deep" | "again" }
>("children.create")`
  with recursive seen as materialized (
    select last_seq from tidebase.runs where run_id = $run_id::uuid
  ), held as materialized (
    select last_seq, status, (epoch, grant_id, status) = ($epoch::bigint, $grant_id::uuid, 'running') is true as fenced
      from tidebase.runs where run_id = $run_id::uuid for no key update
  ), above as (
    select parent_run_id, 1 as level from tidebase.runs where run_id = $run_id::uuid
    union all
    select r.parent_run_id, above.level + 1 from above cross join lateral (
        select parent_run_id from tidebase.runs where run_id = above.parent_run_id limit 1) r
     where above.level < $levels_max::int
  ), item as materialized (
    select *, row_number() over (partition by name, key order by i) as copy
      from unnest($names::text[], $keys::text[], $workflows::text[], $body_hashes::text[], $inputs::text[], $input_metas::text[],
        $metadatas::text[], $tag_lists::text[], $queues::text[], $priorities::int[], $delays::bigint[], $deadlines::bigint[],
        $attempts::int[], $concurrency_keys::text[], $key_limits::int[], $detached::boolean[], $fanout_sizes::int[])
      with ordinality as t (name, key, workflow, body_hash, input, input_meta, metadata, tags, queue, priority, delay_ms,
        deadline_ms, max_attempts, concurrency_key, key_limit, detached, fanout_size, i)
  ), known as materialized (
    select item.name, item.key, c.child_run_id, r.workflow, r.body_hash, r.status from item
      cross join lateral (select child_run_id from tidebase.children
         where (parent_run_id, name, key) = ($run_id::uuid, item.name, item.key) limit 1) c
      cross join lateral (select workflow, body_hash, status from tidebase.runs where run_id = c.child_run_id limit 1) r
     where item.copy = 1
  ), missing as materialized (
    select item.*, row_number() over (order by i) as nth from item left join known using (name, key)
     where item.copy = 1 and known.child_run_id is null
  ), families as (
    select name, count(*) filter (where known.child_run_id is null) as lacking, max(fanout_size) as size
      from item left join known using (name, key) where item.copy = 1 group by name
  ), wanted as materialized (   -- with those of a fan-out that later calls would create
    select sum(greatest(lacking, size - (
        select count(*) from tidebase.children where parent_run_id = $run_id::uuid and name = families.name))) as n from families
  ), judged as materialized (
    select held.*, size.n, case
        when held.status = 'cancelled' then 'run_cancelled'
        when not held.fenced then 'lease_lost'
        when held.last_seq <> seen.last_seq then 'again'
        when size.n + (select n from wanted) > $children_max::int then 'run_too_wide'
        when exists (select from missing) and (select max(level) from above) >= $levels_max::int then 'run_too_deep'
      end as refusal
      from held cross join seen
      cross join (select count(*) as n from tidebase.children where parent_run_id = $run_id::uuid) size
  ), made as materialized (
    select m.i as nth, m.run_id, m.status from tidebase.make_runs(array(
      select row(null, workflow, queue, input, input_meta, metadata,
        array(select tag from jsonb_array_elements_text(tags::jsonb) tag), null, null, body_hash, null, priority, null, delay_ms,
        null, deadline_ms, max_attempts, null, null, null, concurrency_key, key_limit, null, $run_id::uuid, detached,
        $max_steps::int, $actor::text)::tidebase.new_run
        from missing, judged where judged.refusal is null order by nth)) m
  ), linked as (
    insert into tidebase.children (parent_run_id, name, key, child_run_id, ordinal)
    select $run_id::uuid, name, key, run_id, n + nth from missing join made using (nth) cross join judged
    returning name, key, child_run_id
  ), counted as (
    update tidebase.runs r
       set last_seq = r.last_seq + (select count(*) from made), lease_expires_at = tidebase.now() + r.lease_ms * interval '1 ms'
     where r.run_id = $run_id::uuid and exists (select from made)
  ), logged as (
    insert into tidebase.events (run_id, seq, type, at, data)
    select $run_id::uuid, judged.last_seq + nth, 'child.created', tidebase.now(),
      jsonb_build_object('name', name, 'key', key, 'childRunId', 'run_' || run_id)
      from missing join made using (nth) cross join judged
  )
  select coalesce(known.child_run_id, linked.child_run_id) as run_id,
    coalesce(known.status, made.status) as status, case
      when judged.refusal is not null then judged.refusal
      when item.copy = 1 and linked.child_run_id is not null then 'created'
      when coalesce(known.workflow, missing.workflow) = item.workflow
        and coalesce(known.body_hash, missing.body_hash) = item.body_hash then 'existing'
      else 'child_mismatch' end as outcome
    from judged cross join item left join known using (name, key)
    left join missing using (name, key) left join made using (nth) left join linked using (name, key)
   order by item.i`;

/** By name and key, as many as fit into about 4 MB of results, one at least. `more`: there are others after the last. */
export const list = statement<
  {
    runId: string;
    name?: string | undefined;
    afterName: string;
    afterKey: string;
    limit: number;
    withResult: boolean;
  },
  Child & Record<"result" | "resultMeta" | "error", JsonText | null> & { more: boolean }
>("children.list")`
  with page as materialized (
    select name, key, ordinal, child_run_id from tidebase.children
     where parent_run_id = $run_id::uuid and (name, key) > ($after_name::text, $after_key::text)
       and ($name::text is null or name = $name::text)
     order by name, key limit $limit::int + 1
  ), sized as (
    select page.*, row_number() over preceding as nth, sum(coalesce(bytes, 0)) over preceding - coalesce(bytes, 0) as bytes_before
      from page left join lateral (
        select coalesce(octet_length(result), 0) + coalesce(octet_length(result_meta), 0) + coalesce(octet_length(error), 0) as bytes
          from tidebase.payloads where $with_result::boolean and run_id = page.child_run_id limit 1) p on true
    window preceding as (order by name, key rows unbounded preceding)
  ), shown as materialized (
    select * from sized where nth <= $limit::int and bytes_before < 4000000
  )
  select s.name, s.key, s.ordinal, s.child_run_id as run_id, r.workflow, r.status, r.status in ('completed', 'cancelled', 'failed') as ended,
    r.failure_class, p.error_message, case when $with_result::boolean then p.result end as result,
    case when $with_result::boolean then p.result_meta end as result_meta, case when $with_result::boolean then p.error end as error,
    (select count(*) from page) > (select count(*) from shown) as more
    from shown s cross join lateral (select workflow, status, failure_class from tidebase.runs where run_id = s.child_run_id limit 1) r
    left join lateral (
      select error_message, result, result_meta, error from tidebase.payloads where run_id = s.child_run_id limit 1) p on true
   order by s.name, s.key`;
