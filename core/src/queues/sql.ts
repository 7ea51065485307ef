import type { JsonText } from "../json-text.ts";
import { earlierKeys } from "../leases/fence.ts";
import type { Holder } from "../leases/holder.ts";
import { type Claims, setAside } from "../quarantine-sql.ts";
import { type Fragment, fragment, statement } from "../statement.ts";
import type { Queue } from "./schema.ts";

/**
 * Claims up to `limit` runs, of `runIds` alone where they are given; a repeated call finds its own live grants.
 * `holders` and the event are written here, once for each new grant, and the worker's visit at most every ten seconds: it
 * is looked for first, since `on conflict` would lock its row for every claim.
 */
export const claim = statement<
  {
    queue: string;
    grantId: string;
    limit: number;
    leaseMs: number;
    workflows?: readonly string[] | undefined;
    workerId?: string | undefined;
    version?: string | undefined;
    machine?: string | undefined;
    holder?: Holder | undefined;
    principal?: string | undefined;
    runIds?: readonly string[] | undefined;
  },
  {
    runId: string;
    epoch: number;
    leaseMs: number;
    attempts: number;
    workflow: string;
    previousVersion: string | null;
    stepCount: number;
    input: JsonText | null;
    inputMeta: JsonText | null;
  }
>("queues.claim")`
  with seen as (
    insert into tidebase.workers as w (worker_id, queue, holder, version, seen_at)
    select $worker_id::uuid, $queue::text, $holder::text, $version::text, tidebase.now() where $worker_id::uuid is not null
       and (select true from tidebase.workers known where (known.queue, known.worker_id) = ($queue::text, $worker_id::uuid)
         and known.seen_at >= (select tidebase.now()) - interval '10 seconds') is null
    on conflict (queue, worker_id) do update set holder = excluded.holder, version = excluded.version, seen_at = excluded.seen_at
    returning worker_id
  ), forgotten as (
    delete from tidebase.workers w using seen where w.queue = $queue::text and w.seen_at < (select tidebase.now()) - interval '1 day'
  ), claimed as materialized (
    select * from tidebase.claim($queue::text, $grant_id::uuid, $limit::int, $lease_ms::int, $workflows::text[], false, $run_ids::uuid[])
  ), noted as (
    insert into tidebase.holders as h (run_id, epoch, machine, holder, version, principal)
    select run_id, epoch, $machine::text, $holder::text, $version::text, $principal::text from claimed where fresh
    on conflict (run_id) do update set epoch = excluded.epoch, machine = excluded.machine, holder = excluded.holder,
      previous_version = h.version, version = excluded.version, principal = excluded.principal, ${earlierKeys}
    returning h.run_id, h.previous_version
  ), logged as (
    insert into tidebase.events (run_id, seq, type, at, data)
    select run_id, seq, 'run.begun', (select tidebase.now()), jsonb_strip_nulls(jsonb_build_object(
      'epoch', epoch, 'queue', $queue::text, 'version', $version::text, 'machine', $machine::text)) from claimed where fresh
  )
  select c.run_id, c.epoch, c.lease_ms, c.attempts, c.workflow,
    case when c.fresh then noted.previous_version else h.previous_version end as previous_version,
    c.step_count, c.input, c.input_meta
    from claimed c left join noted using (run_id)
    left join lateral (select previous_version from tidebase.holders where run_id = c.run_id limit 1) h on not c.fresh`;

/** The runs that a claim would take now: nobody takes them. */
export const toClaim = statement<
  { queue: string; limit: number; workflows?: readonly string[] | undefined; pushed: boolean },
  { runId: string }
>("queues.to_claim")`
  select run_id from tidebase.claim($queue::text, null, $limit::int, null, $workflows::text[], $pushed::boolean)`;

/**
 * Whether the queue `w.queue`, with its row `q` if it has one, would give a run to who asks now; as
 * tidebase.claim() decides, but for the limits of keys: those are counted by who claims. No `exists`, and ordered: so
 * the planner goes by the queue's own index, whatever it knows of the table.
 */
const claimableBy = (way: Claims): Fragment => fragment`q.paused_at is null
       and (q.concurrency is null or q.concurrency > (
         select count(*) from (
           select from tidebase.runs r where r.queue = w.queue collate "C" and r.status = 'running'
            order by r.queue, r.concurrency_key limit q.concurrency) busy))
       and (q.rate_per_minute is null or q.rate_used < q.rate_per_minute
         or q.rate_window <= (select tidebase.now()) - interval '1 minute' or q.rate_window > (select tidebase.now()))
       and coalesce((
         select r.run_id from tidebase.runs r
          where r.queue = w.queue collate "C" and r.status = 'queued'
            and r.order_at <= (select tidebase.now()) and r.run_at <= (select tidebase.now())
            and (r.expires_at is null or r.expires_at > (select tidebase.now()))
            and (r.deadline_at is null or r.deadline_at > (select tidebase.now()))
            and r.run_id <> all (${setAside(way)})
          order by r.order_at, r.run_id limit 1), (
         select r.run_id from tidebase.runs r
          where r.queue = w.queue collate "C" and r.status = 'queued' and r.priority < 0
            and r.order_at > (select tidebase.now()) and r.order_at <= (select tidebase.now()) + interval '100 minutes'
            and r.run_at <= (select tidebase.now())
            and (r.expires_at is null or r.expires_at > (select tidebase.now()))
            and (r.deadline_at is null or r.deadline_at > (select tidebase.now()))
            and r.run_id <> all (${setAside(way)})
          order by r.order_at, r.run_id limit 1)) is not null`;

/** As workers ask. */
export const claimable = claimableBy("claims");

/** Queues `q` with work for their webhooks `h`, which may be sent to. */
export const pushable = fragment`tidebase.queues q join tidebase.webhooks h using (webhook_id)
      cross join lateral (select q.queue) w
     where h.disabled_at is null and coalesce(h.closed_until <= (select tidebase.now()), true)
       and ${claimableBy("pushes")}`;

/** Names of queues by a walk over the index: one probe for each, of each status that is not final. */
const names = fragment`recursive live as (
    select s.status, (select r.queue from tidebase.runs r where r.status = s.status and r.queue is not null order by r.queue limit 1)
      as queue from unnest('{pending,queued,running,waiting,interrupted,failed}'::text[]) s (status)
    union all
    select live.status, (select r.queue from tidebase.runs r where r.status = live.status and r.queue > live.queue
      order by r.queue limit 1) from live where live.queue is not null
  ), named as (
    select queue from live where queue is not null
    union select queue from tidebase.queues
    union select queue from tidebase.workers where seen_at > tidebase.now() - interval '1 minute'
  )`;

const counted = (status: Fragment) =>
  fragment`(select count(*) from tidebase.runs r where r.status = ${status} and r.queue = named.queue)`;

const facts = fragment`named.queue, q.paused_at, q.paused_by, q.concurrency, q.key_concurrency, q.rate_per_minute,
    w.name as webhook, n.ready, n.delayed, ${counted(fragment`'running'`)} as running, ${counted(fragment`'waiting'`)} as waiting,
    ${counted(fragment`'failed'`)} as failed, n.oldest_ready_ms,
    (select count(*) from tidebase.workers w where w.queue = named.queue and w.seen_at > tidebase.now() - interval '1 minute')
      as workers`;

const around = fragment`left join tidebase.queues q on q.queue = named.queue
    left join tidebase.webhooks w on w.webhook_id = q.webhook_id
    cross join lateral (
      select count(*) filter (where run_at <= clock.now) as ready, count(*) filter (where run_at > clock.now) as delayed,
        ceil(extract(epoch from max(clock.now) - min(run_at) filter (where run_at <= clock.now)) * 1000)::float8 as oldest_ready_ms
        from (select tidebase.now() as now offset 0) clock
          join tidebase.runs r on r.status = 'queued' and r.queue = named.queue
    ) n`;

/** By name, after the one given. */
export const list = statement<{ after: string; limit: number }, Queue>("queues.list")`
  with ${names} select ${facts} from named ${around}
   where named.queue > $after::text collate "C" order by named.queue limit $limit::int`;

/** Always a row: a queue nobody has used yet is an empty one. */
export const get = statement<{ queue: string }, Queue>("queues.get")`
  select ${facts} from (select $queue::text collate "C" as queue) named ${around}`;

/** Those that asked for work within a minute, the latest first; at most a hundred. */
export const workers = statement<
  { queue: string },
  { workerId: string; holder: JsonText | null; version: string | null; seenAt: string }
>("queues.workers")`
  select worker_id, holder, version, seen_at from tidebase.workers
   where queue = $queue::text and seen_at > tidebase.now() - interval '1 minute' order by seen_at desc limit 100`;

/** Changes what is given; `null` takes a limit away. No row when the webhook is unknown. */
export const update = statement<
  {
    queue: string;
    actor: string;
    paused?: boolean | undefined;
    setConcurrency: boolean;
    concurrency?: number | null | undefined;
    setKeyConcurrency: boolean;
    keyConcurrency?: number | null | undefined;
    setRatePerMinute: boolean;
    ratePerMinute?: number | null | undefined;
    setWebhook: boolean;
    webhook?: string | null | undefined;
  },
  { queue: string }
>("queues.update")`
  with target as materialized (
    select (select webhook_id from tidebase.webhooks where name = $webhook::text) as webhook_id
  )
  insert into tidebase.queues as q (queue, paused_at, paused_by, concurrency, key_concurrency, rate_per_minute, webhook_id)
  select $queue::text, case when $paused::boolean then tidebase.now() end, case when $paused::boolean then $actor::text end,
    $concurrency::int, $key_concurrency::int, $rate_per_minute::int, target.webhook_id
    from target where $webhook::text is null or target.webhook_id is not null
  on conflict (queue) do update set
    paused_at = case when $paused::boolean is null then q.paused_at when $paused::boolean then coalesce(q.paused_at, excluded.paused_at) end,
    paused_by = case when $paused::boolean is null then q.paused_by when $paused::boolean then coalesce(q.paused_by, excluded.paused_by) end,
    concurrency = case when $set_concurrency::boolean then excluded.concurrency else q.concurrency end,
    key_concurrency = case when $set_key_concurrency::boolean then excluded.key_concurrency else q.key_concurrency end,
    rate_per_minute = case when $set_rate_per_minute::boolean then excluded.rate_per_minute else q.rate_per_minute end,
    webhook_id = case when $set_webhook::boolean then excluded.webhook_id else q.webhook_id end
  returning q.queue`;

/**
 * Failed runs of the queue, and the instant that this was read at. The oldest first, those last whose dedupe key another
 * run has: so that whoever redrives page by page comes to an end.
 */
export const dead = statement<
  {
    queue: string;
    workflow?: string | undefined;
    failureClass?: string | undefined;
    search?: string | undefined;
    until?: string | undefined;
    limit: number;
  },
  { runId: string | null; activeRunId: string | null; until: string }
>("queues.dead")`
  with given as materialized (select coalesce($until::timestamptz, tidebase.now()) as until)
  select dead.run_id, dead.active_run_id, given.until from given left join lateral (
    select r.run_id, active.run_id as active_run_id from tidebase.runs r left join tidebase.payloads p using (run_id)
      left join lateral (
        select o.run_id from tidebase.runs o where r.dedupe_key is not null and (o.queue, o.dedupe_key) = (r.queue, r.dedupe_key)
           and o.status in ('queued', 'running', 'waiting', 'interrupted') limit 1) active on true
     where r.queue = $queue::text and r.status = 'failed' and r.ended_at <= given.until
       and ($workflow::text is null or r.workflow = $workflow::text)
       and (r.failure_class = $failure_class::text or $failure_class::text is null and r.failure_class <> 'manual_review')
       and ($search::text is null or strpos(lower(p.error_message), lower($search::text)) > 0)
     order by active.run_id is not null, r.ended_at, r.run_id limit $limit::int
  ) dead on true`;

/** Queues with work whose runs are sent to a webhook that can be sent to. */
export const pushing = statement<{ limit: number }, { queue: string }>("queues.pushing")`
  select q.queue from ${pushable} order by random() limit $limit::int`;

/**
 * Claims runs in the name of the messages that tell the endpoint to begin them. A message is void once its run's lease
 * has lapsed or was taken over; the run then waits in its queue again, and costs no attempt.
 */
export const push = statement<
  {
    queue: string;
    grantId: string;
    limit: number;
    leaseMs: number;
    runIds?: readonly string[] | undefined;
  },
  { runId: string }
>("queues.push")`
  with claimed as materialized (
    select * from tidebase.claim($queue::text, $grant_id::uuid, $limit::int, $lease_ms::int, null, true, $run_ids::uuid[])
  ), logged as (
    insert into tidebase.events (run_id, seq, type, at, data)
    select run_id, seq, 'run.pushed', tidebase.now(), jsonb_build_object('epoch', epoch, 'queue', $queue::text) from claimed
  ), posted as (
    insert into tidebase.deliveries (delivery_id, webhook_id, run_id, seq, type, epoch, status, due_at, created_at, expires_at)
    select gen_random_uuid(), q.webhook_id, c.run_id, c.seq, 'run.invoke', c.epoch, 'pending', tidebase.now(), tidebase.now(),
      tidebase.now() + interval '24 hours'
      from claimed c join tidebase.queues q on q.queue = $queue::text
    on conflict do nothing
  )
  select run_id from claimed`;
