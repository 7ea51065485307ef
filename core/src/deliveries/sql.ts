import type { JsonText } from "../json-text.ts";
import { notQuarantined, setAside } from "../quarantine-sql.ts";
import type { Run } from "../runs/schema.ts";
import { fragment, statement } from "../statement.ts";

interface Page {
  status?: string | undefined;
  webhookId?: string | undefined;
  runId?: string | undefined;
  beforeAt?: string | undefined;
  beforeId?: string | undefined;
  limit: number;
}

interface Listed {
  deliveryId: string;
  webhookId: string;
  webhook: string;
  runId: string;
  seq: number;
  type: string;
  status: "pending" | "delivered" | "dead";
  attempts: number;
  dueAt: string;
  createdAt: string;
  expiresAt: string;
  endedAt: string | null;
  lastStatus: number | null;
  lastError: string | null;
  position: string;
}

const before = fragment`(created_at, delivery_id) < (coalesce($before_at::timestamptz, 'infinity'),
          coalesce($before_id::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))`;

const newest = fragment`order by d.created_at desc, d.delivery_id desc`;

const shown = fragment`select d.delivery_id, d.webhook_id, w.name as webhook, d.run_id, d.seq, d.type, d.status, d.attempts, d.due_at,
    d.created_at, d.expires_at, d.ended_at, d.last_status, d.last_error,
    (d.created_at at time zone 'UTC')::text || 'Z' as position
    from page d cross join lateral (select name from tidebase.webhooks where webhook_id = d.webhook_id limit 1) w ${newest}`;

/** Newest first; one row more than the page tells that there is another. */
export const list = statement<Page, Listed>("deliveries.list")`
  with page as materialized (
    select d.* from tidebase.webhooks w cross join unnest(case when $status::text is null
        then '{pending,delivered,dead}'::text[] else array[$status::text] end) s (status)
      cross join lateral (
        select * from tidebase.deliveries where webhook_id = w.webhook_id and status = s.status and ${before}
         order by created_at desc, delivery_id desc limit $limit::int) d
     where $webhook_id::uuid is null or w.webhook_id = $webhook_id::uuid
     ${newest} limit $limit::int
  ) ${shown}`;

/** The same, of one run. */
export const listOfRun = statement<Page, Listed>("deliveries.list_of_run")`
  with page as materialized (
    select d.* from (select * from tidebase.deliveries where run_id = $run_id::uuid offset 0) d
     where ($status::text is null or d.status = $status::text) and ($webhook_id::uuid is null or d.webhook_id = $webhook_id::uuid)
       and ${before} ${newest} limit $limit::int
  ) ${shown}`;

/** Makes a dead delivery due now, with a new day before it. No row when it is unknown. */
export const redeliver = statement<
  { deliveryId: string },
  { outcome: "pending" | "delivery_not_dead" }
>("deliveries.redeliver")`
  with held as materialized (
    select delivery_id, status from tidebase.deliveries where delivery_id = $delivery_id::uuid for no key update
  ), revived as (
    update tidebase.deliveries d set status = 'pending', attempts = 0, due_at = tidebase.now(), ended_at = null,
        expires_at = tidebase.now() + interval '24 hours'
      from held where d.delivery_id = $delivery_id::uuid and held.status = 'dead'
  )
  select case when status = 'dead' then 'pending' else 'delivery_not_dead' end as outcome from held`;

/** Makes up to a thousand dead deliveries of a webhook due now. No row when the webhook is unknown. */
export const redeliverAll = statement<
  { webhookId: string },
  { redelivered: number; left: boolean }
>("deliveries.redeliver_all")`
  with dead as materialized (
    select delivery_id from tidebase.deliveries where webhook_id = $webhook_id::uuid and status = 'dead'
     order by ended_at limit 1000 for no key update skip locked
  ), revived as (
    update tidebase.deliveries d set status = 'pending', attempts = 0, due_at = tidebase.now(), ended_at = null,
        expires_at = tidebase.now() + interval '24 hours'
      from dead where d.delivery_id = dead.delivery_id and d.delivery_id = any (array(select delivery_id from dead))
    returning d.delivery_id
  )
  select (select count(*) from revived) as redelivered, (select count(*) = 1000 from dead) as left
    from tidebase.webhooks where webhook_id = $webhook_id::uuid`;

/** An attempt that this process has taken on, with all that the message is made of. */
export interface Claim {
  readonly deliveryId: string;
  readonly webhookId: string;
  /** The run has begun meanwhile: settled as delivered, nothing is to be sent. */
  readonly moot: boolean;
  readonly type: string;
  readonly attempts: number;
  /** The database's own clock, without the offset of tests: receivers compare it with theirs. */
  readonly sentAt: string;
  readonly name: string;
  readonly url: string;
  readonly secret: string;
  readonly previousSecret: string | null;
  readonly decides: boolean;
  readonly runId: string;
  readonly seq: number;
  readonly workflow: string | null;
  readonly status: Run["status"] | null;
  readonly event: string | null;
  readonly at: string;
  readonly data: JsonText | null;
  readonly gate: JsonText | null;
}

/** The due deliveries that a claim takes. */
const chosen = fragment`with open as materialized (
    select w.webhook_id, w.name, w.url, w.secret, w.decides, coalesce(busy.n, 0) as busy,
      case when w.previous_until > tidebase.now() then w.previous_secret end as previous_secret,
      case when w.failures >= 5 then 1 else $each::int end - coalesce(busy.n, 0) as free
      from tidebase.webhooks w
      left join unnest($webhook_ids::uuid[], $sending::int[]) as busy (webhook_id, n) using (webhook_id)
     where w.disabled_at is null and coalesce(w.closed_until <= tidebase.now(), true)
  ), due as materialized (
    select open.*, d.* from open cross join lateral (
      select delivery_id, run_id, seq, type, epoch, due_at, created_at from tidebase.deliveries
       where webhook_id = open.webhook_id and status = 'pending' and due_at <= tidebase.now()
         and delivery_id <> all (${setAside("deliveries")})
       order by due_at limit greatest(open.free, 0) for no key update skip locked
    ) d
  ), chosen as materialized (
    select due.* from due order by busy + row_number() over (partition by webhook_id order by due_at), due_at
     limit $limit::int
  )`;

interface Wanted {
  readonly webhookIds: readonly string[];
  readonly sending: readonly number[];
  readonly each: number;
  readonly limit: number;
}

/** The deliveries that a claim would take now: nobody takes them. */
export const toClaim = statement<Wanted, { runId: string; deliveryId: string }>(
  "deliveries.to_claim",
)`
  ${chosen} select run_id, delivery_id from chosen`;

/**
 * Takes due deliveries: of each webhook its oldest, first of those that keep this process least busy, so that no
 * backlog stands before another's. A claim lasts a minute; whoever dies meanwhile is followed by another process.
 * `sending` is how many this process is sending to each of `webhookIds`, `each` how many it may; of `deliveryIds`
 * alone where they are given.
 */
export const claim = statement<
  Wanted & { readonly deliveryIds?: readonly string[] | undefined },
  Claim
>("deliveries.claim")`
  ${chosen}, taken as materialized (
    select due.*, r.workflow, r.status,
      coalesce(due.type = 'run.invoke' and (r.epoch > due.epoch or r.status in ('completed', 'cancelled')
        or (r.status = 'running' or r.queue is not null) and not r.pushed), false) as moot
      from chosen due
      left join lateral (select epoch, workflow, status, queue, pushed from tidebase.runs where run_id = due.run_id limit 1) r on true
     where $delivery_ids::uuid[] is null or due.delivery_id = any ($delivery_ids::uuid[])
  ), claimed as (
    update tidebase.deliveries d set attempts = d.attempts + (not taken.moot)::int,
        status = case when taken.moot then 'delivered' else 'pending' end,
        ended_at = case when taken.moot then tidebase.now() end,
        due_at = case when taken.moot then d.due_at else tidebase.now() + interval '1 minute' end
      from taken where d.delivery_id = taken.delivery_id
        and d.delivery_id = any (array(select delivery_id from taken))
    returning d.delivery_id, d.attempts
  )
  select taken.delivery_id, taken.webhook_id, taken.moot, taken.type, claimed.attempts, clock_timestamp() as sent_at,
    taken.name, taken.url, taken.secret, taken.previous_secret, taken.decides, taken.run_id, taken.seq, taken.workflow,
    taken.status, e.type as event, coalesce(e.at, taken.created_at) as at, e.data, g.gate
    from taken join claimed using (delivery_id)
    left join lateral (
      select type, at, data from tidebase.events where (run_id, seq) = (taken.run_id, taken.seq) limit 1
    ) e on true
    left join lateral (
      select jsonb_build_object('gateId', 'gate_' || gate_id, 'name', name, 'key', key, 'status', status,
          'prompt', prompt, 'risk', risk, 'required', required, 'digest', digest) as gate
        from tidebase.gates where run_id = taken.run_id and e.type like 'gate.%'
         and 'gate_' || gate_id = e.data ->> 'gateId' limit 1
    ) g on true`;

/**
 * Records what came of an attempt, under the run's lock where it may need an event: the run, the delivery, the
 * webhook, in this order. After five failures in a row nothing is sent for 30 s, 60 s … at most ten minutes; what
 * fails while nothing should be sent is not counted. No row when the attempt is another's by now.
 */
export const settle = statement<
  {
    deliveryId: string;
    runId: string;
    attempts: number;
    verdict: "delivered" | "asked" | "failed";
    gone: boolean;
    pauseMs: number;
    httpStatus?: number | undefined;
    reason?: string | undefined;
  },
  { status: "pending" | "delivered" | "dead" }
>("deliveries.settle")`
  with held as materialized (
    select run_id from tidebase.runs where run_id = $run_id::uuid and $verdict::text <> 'delivered' for no key update
  ), settled as (
    update tidebase.deliveries d
       set status = next.status, ended_at = case when next.status <> 'pending' then tidebase.now() end,
           due_at = case when next.status = 'pending' then next.due_at else d.due_at end,
           last_status = $http_status::int,
           last_error = coalesce($reason::text, case when $verdict::text = 'asked' and next.status = 'dead' then 'run_not_begun' end)
      from (
        select delivery_id, tidebase.now() + $pause_ms::bigint * interval '1 ms' as due_at, case
            when $verdict::text = 'delivered' then 'delivered'
            when $gone::boolean or tidebase.now() + $pause_ms::bigint * interval '1 ms' > expires_at then 'dead'
            else 'pending' end as status
          from tidebase.deliveries left join held using (run_id) where delivery_id = $delivery_id::uuid
      ) next
     where d.delivery_id = $delivery_id::uuid and d.status = 'pending' and d.attempts = $attempts::int
    returning d.delivery_id, d.webhook_id, d.run_id, d.seq, d.type, d.status
  ), judged as (
    update tidebase.webhooks w
       set failures = case when $verdict::text = 'failed' then w.failures + 1 else 0 end,
           closed_until = case when $verdict::text = 'failed' and w.failures >= 4
             then tidebase.now() + least(600, 30 * 2 ^ least(w.failures - 4, 5)) * interval '1 s' end,
           disabled_at = case when $gone::boolean then coalesce(w.disabled_at, tidebase.now()) else w.disabled_at end,
           disabled_reason = case when $gone::boolean then coalesce(w.disabled_reason, 'gone') else w.disabled_reason end
      from settled where w.webhook_id = settled.webhook_id
       and case when $verdict::text = 'failed' then $gone::boolean or coalesce(w.closed_until <= tidebase.now(), true)
             else w.failures > 0 end
    returning w.webhook_id
  ), counted as (
    update tidebase.runs r set last_seq = r.last_seq + 1 from settled
     where r.run_id = $run_id::uuid and settled.status = 'dead'
    returning r.run_id, r.last_seq
  ), logged as (
    insert into tidebase.events (run_id, seq, type, at, data)
    select c.run_id, c.last_seq, 'delivery.failed', tidebase.now(), jsonb_strip_nulls(jsonb_build_object('webhook', (
        select name from tidebase.webhooks where webhook_id = settled.webhook_id
      ), 'type', settled.type, 'seq', settled.seq, 'status', $http_status::int))
      from counted c cross join settled
  )
  select status from settled`;

/** What disabled webhooks did not get in time. */
export const stale = statement<
  { limit: number },
  { deliveryId: string; runId: string; attempts: number }
>("deliveries.stale")`
  select d.delivery_id, d.run_id, d.attempts
    from tidebase.webhooks w cross join lateral (
      select delivery_id, run_id, attempts from tidebase.deliveries
       where webhook_id = w.webhook_id and status = 'pending' and expires_at <= tidebase.now() limit $limit::int
    ) d join tidebase.runs r using (run_id)
   where w.disabled_at is not null and ${notQuarantined("stale_deliveries")} limit $limit::int`;

/** What the pulse looks for: a delivery that `claim` would take. */
export const dueDeliveries = {
  name: "deliveries",
  due: fragment`exists (
      select from tidebase.webhooks w cross join lateral (
          select from tidebase.deliveries
           where webhook_id = w.webhook_id and status = 'pending' and due_at <= (select tidebase.now())
             and delivery_id <> all (${setAside("deliveries")}) limit 1) d
       where w.disabled_at is null and coalesce(w.closed_until <= (select tidebase.now()), true))`,
};
