import type { Lease } from "../leases/schema.ts";
import { statement } from "../statement.ts";

/** Once, for whoever held the run when it was cancelled; a repeated request finds its own. No row when the run is unknown. */
export const begin = statement<
  Lease & { graceMs: number },
  { leftMs: number | null; outcome: "begun" | "run_not_cancelled" | "lease_lost" | "cleanup_over" }
>("cleanups.begin")`
  with held as materialized (
    select run_id, status, (epoch, grant_id) = ($epoch::bigint, $grant_id::uuid) is true as granted,
      ended_at + lease_ms * interval '1 ms' > tidebase.now() as in_time
      from tidebase.runs where run_id = $run_id::uuid for no key update
  ), begun as (
    insert into tidebase.cleanups (run_id, begun_at, expires_at)
    select run_id, tidebase.now(), tidebase.now() + $grace_ms::int * interval '1 ms' from held
     where status = 'cancelled' and granted and in_time
    on conflict do nothing returning run_id, expires_at
  ), counted as (
    update tidebase.runs r set last_seq = r.last_seq + 1 from begun where r.run_id = $run_id::uuid
    returning r.run_id, r.last_seq
  ), logged as (
    insert into tidebase.events (run_id, seq, type, at)
    select run_id, last_seq, 'cleanup.begun', tidebase.now() from counted
  )
  select ceil(extract(epoch from coalesce(begun.expires_at, c.expires_at) - tidebase.now()) * 1000)::float8 as left_ms, case
      when held.status <> 'cancelled' then 'run_not_cancelled'
      when not held.granted then 'lease_lost'
      when begun.run_id is not null or c.ended_at is null and c.expires_at > tidebase.now() then 'begun'
      else 'cleanup_over' end as outcome
    from held left join begun using (run_id)
    left join lateral (select expires_at, ended_at from tidebase.cleanups where run_id = $run_id::uuid limit 1) c on true`;

/** How the clean-up ended; a repeated request changes nothing. No row when the run is unknown. */
export const end = statement<
  Lease & { message?: string | undefined },
  { outcome: "ended" | "lease_lost" | "cleanup_over" }
>("cleanups.end")`
  with held as materialized (
    select run_id, (epoch, grant_id) = ($epoch::bigint, $grant_id::uuid) is true as granted,
      case when erased_at is null then $message::text end as message   -- nothing is added to what was erased
      from tidebase.runs where run_id = $run_id::uuid for no key update
  ), ended as (
    update tidebase.cleanups c set ended_at = tidebase.now(), error = held.message from held
     where c.run_id = $run_id::uuid and held.granted and c.ended_at is null
    returning c.run_id, held.message
  ), counted as (
    update tidebase.runs r set last_seq = r.last_seq + 1 from ended where r.run_id = $run_id::uuid
    returning r.run_id, r.last_seq, ended.message
  ), logged as (
    insert into tidebase.events (run_id, seq, type, at, data)
    select run_id, last_seq, 'cleanup.ended', tidebase.now(), jsonb_strip_nulls(jsonb_build_object('message', message))
      from counted
  )
  select case when not held.granted then 'lease_lost'
      when ended.run_id is not null or c.run_id is not null then 'ended' else 'cleanup_over' end as outcome
    from held left join ended using (run_id)
    left join lateral (select run_id from tidebase.cleanups where run_id = $run_id::uuid and ended_at is not null limit 1) c on true`;
