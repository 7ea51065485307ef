import { type Fragment, fragment, statement } from "../statement.ts";
import { around, summary } from "./columns-sql.ts";
import type { RunSummary, Status } from "./schema.ts";

/** What a list may be narrowed by, and where its page begins. */
export interface Wanted {
  readonly status: readonly (typeof Status.options)[number][];
  readonly workflow?: string | undefined;
  readonly queue?: string | undefined;
  readonly parentRunId?: string | undefined;
  readonly forkedFromRunId?: string | undefined;
  readonly tag?: string | undefined;
  readonly failureClass?: string | undefined;
  readonly idempotencyKey?: string | undefined;
  readonly search?: string | undefined;
  readonly since?: string | undefined;
  readonly until?: string | undefined;
  readonly beforeAt?: string | undefined;
  readonly beforeId?: string | undefined;
  readonly limit: number;
}

type Found = RunSummary & { position: string };

/** Where a walk has stopped before its end; always a row, without a run when it found none. */
interface Stopped {
  readonly stoppedAt: string | null;
  readonly stoppedRunId: string | null;
}

/** A run that a walk has found; in every row, where the walk stopped. */
type Walked = (Found & Stopped) | ({ runId: null } & Stopped);

/** One upper bound, where a walk begins: beside another one it would begin at the newest run and read down to `until`. */
const page = fragment`(r.created_at, r.run_id) < (least($before_at::timestamptz, $until::timestamptz, 'infinity'),
          case when $until::timestamptz <= coalesce($before_at::timestamptz, 'infinity') then '00000000-0000-0000-0000-000000000000'
            else coalesce($before_id::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff') end)
       and r.created_at >= coalesce($since::timestamptz, '-infinity')`;

/** What no index of the list answers. */
const matches = fragment`($workflow::text is null or r.workflow = $workflow::text)
       and ($queue::text is null or r.queue = $queue::text)
       and ($tag::text is null or r.tags @> array[$tag::text])
       and ($failure_class::text is null or r.failure_class = $failure_class::text)
       and ($search::text is null or strpos(lower((
         select p.error_message from tidebase.payloads p where p.run_id = r.run_id)), lower($search::text)) > 0)`;

const position = fragment`(r.created_at at time zone 'UTC')::text || 'Z' as position`;

const newest = fragment`order by r.created_at desc, r.run_id desc`;

/**
 * Newest first: merges a walk of each status, and looks at `looks` runs at most. `limit` is one more than the page, which
 * tells that there is another.
 */
const walk = (name: string, narrowed: Fragment) => statement<Wanted & { looks: number }, Walked>(
  name,
)`
  with looked as materialized (
    select r.* from unnest($status::text[]) s (status) cross join lateral (
      select r.run_id, r.created_at from tidebase.runs r where r.status = s.status ${narrowed} and ${page}
       ${newest} limit $looks::int) r
     ${newest} limit $looks::int
  ), found as materialized (
    select r.run_id, r.created_at from looked l cross join lateral (select * from tidebase.runs where run_id = l.run_id limit 1) r
     where ${matches} ${newest} limit $limit::int
  ), stopped as materialized (
    select (created_at at time zone 'UTC')::text || 'Z' as stopped_at, run_id as stopped_run_id from looked
     where (select count(*) from looked) = $looks::int order by created_at, run_id limit 1
  )
  select ${summary}, ${position}, stopped.stopped_at, stopped.stopped_run_id
    from (select) as always left join stopped on true left join found on true
    left join lateral (select * from tidebase.runs where run_id = found.run_id limit 1) r on true ${around}
   ${newest}`;

/** Of all runs. */
export const list = walk("runs.list", fragment``);

/** Of the runs of a workflow. */
export const listOfWorkflow = walk(
  "runs.list_of_workflow",
  fragment`and r.workflow = $workflow::text`,
);

/** Of the runs of a queue; a workflow is then one of the matches. */
export const listOfQueue = walk("runs.list_of_queue", fragment`and r.queue = $queue::text`);

/** Newest first, of those runs alone that an index finds by what is asked for; `source` leaves its CTE `found` open. */
const among = (name: string, source: Fragment) => statement<Wanted, Found>(name)`
  with ${source} ${newest} limit $limit::int
  )
  select ${summary}, ${position}
    from found cross join lateral (select * from tidebase.runs where run_id = found.run_id limit 1) r ${around}
   ${newest}`;

const chosen = fragment`${matches} and r.status = any ($status::text[]) and ${page}
       and ($idempotency_key::text is null or r.idempotency_key = $idempotency_key::text)`;

/** As many as have the tag are read: for one that many runs have, walk before. */
export const listTagged = among(
  "runs.list_tagged",
  fragment`found as materialized (
    select r.run_id, r.created_at from (
        select * from tidebase.runs where tags <> '{}' and tags @> array[$tag::text] offset 0) r   -- else another index is read whole beside it
     where ${chosen}`,
);

/** Of the children of a run. */
export const listChildren = among(
  "runs.list_children",
  fragment`found as materialized (
    select r.run_id, r.created_at from (
        select * from tidebase.runs where parent_run_id = $parent_run_id::uuid offset 0) r
     where ${chosen}
       and ($forked_from_run_id::uuid is null or r.forked_from_run_id = $forked_from_run_id::uuid)`,
);

/** Of the forks and reruns of a run. */
export const listForks = among(
  "runs.list_forks",
  fragment`found as materialized (
    select r.run_id, r.created_at from (
        select * from tidebase.runs where forked_from_run_id = $forked_from_run_id::uuid offset 0) r
     where ${chosen}`,
);

/** The key is one run's in each workflow: without a workflow, every name of one is asked, by a walk from name to name. */
export const listOfKey = among(
  "runs.list_of_key",
  fragment`recursive named as (
    (select workflow from tidebase.runs where $workflow::text is null order by workflow limit 1)
    union all
    select (select r.workflow from tidebase.runs r where r.workflow > named.workflow order by r.workflow limit 1)
      from named where workflow is not null
  ), found as materialized (
    select r.run_id, r.created_at from (
        select workflow from named where workflow is not null union all select $workflow::text where $workflow::text is not null) w
      cross join lateral (
        select * from tidebase.runs where (workflow, idempotency_key) = (w.workflow, $idempotency_key::text) limit 1) r
     where ${chosen}
       and ($parent_run_id::uuid is null or r.parent_run_id = $parent_run_id::uuid)
       and ($forked_from_run_id::uuid is null or r.forked_from_run_id = $forked_from_run_id::uuid)`,
);
