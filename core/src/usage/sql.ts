import type { JsonText } from "../json-text.ts";
import { held, lease, type Refused, refused, seen } from "../leases/fence.ts";
import type { Lease } from "../leases/schema.ts";
import { batch, type Fragment, fragment, items, statement } from "../statement.ts";

interface Said {
  kind: string;
  provider?: string | undefined;
  model?: string | undefined;
  label?: string | undefined;
  quantity?: string | undefined;
  unit?: string | undefined;
  inputTokens?: number | undefined;
  outputTokens?: number | undefined;
  totalTokens?: number | undefined;
  costUsd?: string | undefined;
  metadata?: JsonText | undefined;
}

interface Recorded {
  runId: string;
  seq: number;
  at: string;
  kind: string;
  provider: string | null;
  model: string | null;
  label: string | null;
  quantity: string | null;
  unit: string | null;
  inputTokens: number | null;
  outputTokens: number | null;
  totalTokens: number | null;
  costUsd: string | null;
  metadata: JsonText | null;
}

const SAID = fragment`kind, provider, model, label, quantity, unit, input_tokens, output_tokens, total_tokens, cost_usd, metadata`;

const SHOWN = fragment`u.run_id, u.seq, u.at, u.kind, u.provider, u.model, u.label, trim_scale(u.quantity)::text as quantity, u.unit,
    u.input_tokens, u.output_tokens, u.total_tokens, trim_scale(u.cost_usd)::text as cost_usd, u.metadata`;

/**
 * One row, one event. A fork replays what its source had recorded outside of steps by the moment it departs from: that
 * is known too, as far as the source still exists. What a step records belongs to its attempt, and a step that runs again
 * in a fork spends again.
 */
export const record = batch<
  Lease & Said & { writeKey?: string | undefined },
  Recorded & { i: number; outcome: Refused | "written" | "recorded" | "again" }
>("usage.record")`
  with recursive ${items({ ...lease, kind: "text", provider: "text", model: "text", label: "text", quantity: "numeric", unit: "text", input_tokens: "bigint", output_tokens: "bigint", total_tokens: "bigint", cost_usd: "numeric", metadata: "text", write_key: "text" })},
  ${seen}, ${held}, place as (
    select i, run_id, 9007199254740991 as at_seq, write_key from item
    union all
    select place.i, r.forked_from_run_id, r.forked_at_seq, write_key from place cross join lateral (
        select forked_from_run_id, forked_at_seq from tidebase.runs where run_id = place.run_id limit 1) r
     where r.forked_at_seq > 0 and not starts_with(write_key, 'step:') and coalesce((
       select type not like '%.copied'   -- else it departed amid what its source had copied: not all of that counts
         from tidebase.events where (run_id, seq) = (place.run_id, place.at_seq + 1)), true)
  ), known as materialized (
    select distinct on (place.i) place.i, u.* from place cross join lateral (
        select run_id, seq, at, ${SAID} from tidebase.usage
         where (run_id, write_key) = (place.run_id, place.write_key) and seq <= place.at_seq limit 1) u
     order by place.i, u.at
  ), admitted as materialized (
    select held.*, row_number() over (partition by held.run_id, held.write_key order by held.i) as copy from held join seen using (i)
     where held.fenced and (held.write_key is null or held.last_seq = seen.seen_seq)
       and not exists (select from known where known.i = held.i)
  ), numbered as materialized (
    select admitted.*, tidebase.now() as at, last_seq + row_number() over (partition by run_id order by i) as seq
      from admitted where write_key is null or copy = 1
  ), written as (
    insert into tidebase.usage (run_id, seq, at, write_key, ${SAID}) select run_id, seq, at, write_key, ${SAID} from numbered
  ), counted as (
    update tidebase.runs r set last_seq = n.seq, lease_expires_at = n.at + r.lease_ms * interval '1 ms'
      from (select run_id, max(seq) as seq, max(at) as at from numbered group by run_id) n
     where r.run_id = n.run_id and r.run_id = any (array(select run_id from numbered))
  ), logged as (
    insert into tidebase.events (run_id, seq, type, at, data)
    select run_id, seq, 'usage.recorded', at, jsonb_strip_nulls(jsonb_build_object('kind', kind, 'provider', provider,
        'model', model, 'label', label, 'tokens', total_tokens, 'costUsd', trim_scale(cost_usd)::text)) from numbered
  )
  select item.i, ${SHOWN}, case ${refused}
      when numbered.i is not null then 'written'
      when known.i is not null then 'recorded'
      else 'again' end as outcome
    from item left join held using (i) left join numbered using (i) left join known using (i) left join (
      select i, run_id, seq, at, ${SAID} from numbered
      union all
      select i, run_id, seq, at, ${SAID} from known
    ) u using (i)
   order by item.i`;

/** Oldest first, as many as fit into about 4 MB of metadata, one at least. `more`: there are others after the last. */
export const list = statement<
  { runId: string; afterSeq: number; limit: number },
  Recorded & { more: boolean }
>("usage.list")`
  with page as materialized (
    select * from tidebase.usage where run_id = $run_id::uuid and seq > $after_seq::bigint order by seq limit $limit::int + 1
  ), sized as (
    select page.*, row_number() over preceding as nth, sum(octet_length(metadata)) over preceding as bytes
      from page window preceding as (order by seq rows unbounded preceding)
  ), shown as materialized (
    select * from sized where nth <= $limit::int and (nth = 1 or coalesce(bytes, 0) < 4000000)
  )
  select ${SHOWN}, (select count(*) from page) > (select count(*) from shown) as more from shown u order by seq`;

interface Which {
  by?: string | undefined;
  workflow?: string | undefined;
  since?: string | undefined;
  sinceMs?: number | undefined;
  until?: string | undefined;
  untilMs?: number | undefined;
  limit: number;
}

interface Totals {
  since: string | null;
  until: string | null;
  total: JsonText;
  groups: JsonText;
  more: boolean;
}

/** By the store's clock, and asked once: a bound that were computed again for each row would cost more than the row. */
const span = fragment`span as materialized (
    select coalesce($since::timestamptz, tidebase.now() - $since_ms::bigint * interval '1 ms') as since,
      coalesce($until::timestamptz, tidebase.now() - $until_ms::bigint * interval '1 ms') as until
  )`;

const within = fragment`at >= coalesce(span.since, '-infinity') and at < coalesce(span.until, 'infinity')`;

const group = fragment`case $by::text when 'day' then to_char(u.at at time zone 'UTC', 'YYYY-MM-DD')
        when 'model' then u.model when 'provider' then u.provider when 'kind' then u.kind when 'label' then u.label`;

/** Where workflows are asked for, the run of each record is looked up. `case`: the planner takes an `or` for a rare thing, and sorts. */
const withWorkflow = fragment`select u.*, (${group} when 'workflow' then r.workflow end) collate "C" as grp
      from found u left join lateral (select workflow from tidebase.runs where run_id = u.run_id limit 1) r on true
     where case when $workflow::text is null then true else r.workflow = $workflow::text end`;

const withoutWorkflow = fragment`select u.*, (${group} end) collate "C" as grp from found u`;

/** Sums are made by group and unit in one pass over the entries, and added up from there: exactly. */
const summed = (entries: Fragment) => fragment`entry as (${entries}), per_group as materialized (
    select grp, unit, count(*) as records, count(*) - count(cost_usd) as without_cost, sum(cost_usd) as cost_usd,
      sum(input_tokens) as input_tokens, sum(output_tokens) as output_tokens, sum(total_tokens) as total_tokens,
      sum(quantity) as quantity, count(quantity) as measured from entry group by grp, unit
  ), per_unit as materialized (
    select false as whole, * from per_group where $by::text is not null
    union all
    select true, null, unit, sum(records), sum(without_cost), sum(cost_usd), sum(input_tokens), sum(output_tokens),
      sum(total_tokens), sum(quantity), sum(measured) from per_group group by unit
  ), placed as (
    select *, row_number() over (partition by whole, grp order by quantity is null, measured desc, unit) as place from per_unit
  ), sums as materialized (
    select whole, grp, sum(cost_usd) as cost, sum(total_tokens) as tokens, sum(records) as records,
      jsonb_build_object('records', sum(records), 'withoutCost', sum(without_cost),
        'costUsd', trim_scale(coalesce(sum(cost_usd), 0))::text, 'inputTokens', coalesce(sum(input_tokens), 0),
        'outputTokens', coalesce(sum(output_tokens), 0), 'totalTokens', coalesce(sum(total_tokens), 0),
        'quantities', coalesce(jsonb_agg(jsonb_build_object('unit', unit, 'quantity', trim_scale(quantity)::text) order by place)
          filter (where quantity is not null and place <= 20), '[]'), 'moreUnits', count(quantity) > 20) as sums
      from placed group by whole, grp
  ), ranked as materialized (
    select grp, sums, row_number() over (order by case when $by::text = 'day' then grp end desc, cost desc nulls last,
        tokens desc nulls last, records desc, grp) as rank from sums where not whole and $by::text is not null
  )
  select span.since, span.until, coalesce((select sums from sums where whole), '{"records": 0, "withoutCost": 0, "costUsd": "0",
      "inputTokens": 0, "outputTokens": 0, "totalTokens": 0, "quantities": [], "moreUnits": false}') as total,
    coalesce((select jsonb_agg(jsonb_build_object('group', grp) || sums order by rank) from ranked where rank <= $limit::int),
      '[]') as groups, (select count(*) from ranked) > $limit::int as more`;

const inRange = fragment`${span}, found as (
    select u.* from span cross join lateral (select * from tidebase.usage where ${within} offset 0) u
  )`;

/** Of all runs, by the index of times: it costs what was recorded in that time. Knows nothing of workflows. */
export const totalsOfStore = statement<Omit<Which, "workflow">, Totals>("usage.totals_of_store")`
  with ${inRange}, ${summed(withoutWorkflow)} from span`;

/** The same by workflow, or of one. */
export const totalsOfWorkflows = statement<Which, Totals>("usage.totals_of_workflows")`
  with ${inRange}, ${summed(withWorkflow)} from span`;

/** Of a run, or of it and all its descendants. */
export const totalsOfRuns = statement<
  Which & { runId: string; tree: boolean },
  Totals & { found: boolean }
>("usage.totals_of_runs")`
  with recursive tree as (
    select run_id from tidebase.runs where run_id = $run_id::uuid
    union all
    select r.run_id from tree cross join lateral (
        select run_id from tidebase.runs where parent_run_id = tree.run_id offset 0) r
     where $tree::boolean
  ), ${span}, found as (
    select u.* from span cross join tree cross join lateral (
      select * from tidebase.usage where run_id = tree.run_id and ${within} offset 0) u
  ), ${summed(withWorkflow)}, exists (select from tree) as found from span`;
