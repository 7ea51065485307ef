import pg from "pg";

/** Tables whose indexes are made anew behind their rows, with what the rows are. In the order of their size. */
const TABLES = {
  events: `(run_id, seq, type, at, data)
    select run_id, seq, case seq when 1 then case when queue is null then 'run.created' else 'run.queued' end when 2 then 'run.begun'
        when last_seq then last_type when last_seq - case when spends then 1 end then 'usage.recorded' else type end,
      created_at + seq * interval '2 s', case seq when 1 then jsonb_build_object('workflow', workflow, 'actor', 'local') else data end
      from past cross join lateral (select * from pg_temp.shape where seq <= last_seq offset 0) s`,
  steps: `(run_id, name, key, status, on_unknown, epoch, attempt, reason, output, error, begun_at, ended_at)
    select run_id, 'step-' || s, '1', case when broken then 'failed' else 'completed' end, 'failed_retryable', 1, 1,
      case when broken then 'error' end, case when not broken then '{"ok":true,"n":' || n || '}' end,
      case when broken then '{"name":"Error","message":"' || error_message || '"}' end,
      created_at + s * interval '4 s', created_at + s * interval '4 s' + interval '2 s'
      from past cross join generate_series(1, 3) s cross join lateral (select status = 'failed' and s = 3 as broken) b
     where last_seq > 1`,
  payloads: `(run_id, input, result, error, error_message, cancel_reason, cancelled_by)
    select run_id, '{"customer":' || n % 5000 || ',"question":"What is new?"}',
      case when status = 'completed' then '{"answer":"Nothing much."}' end,
      '{"name":"Error","message":"' || error_message || '"}', error_message,
      case when status = 'cancelled' then 'requested' end, case when status = 'cancelled' then 'local' end
      from past`,
  holders: `(run_id, epoch, machine, holder, version)
    select run_id, 1, 'elsewhere', '{"hostname":"elsewhere","pid":1}', 'v' || n / 100000 from past where last_seq > 1`,
  runs: `(run_id, workflow, status, epoch, grant_id, lease_expires_at, last_seq, step_count, max_steps, attempts, failure_class,
      idempotency_key, body_hash, tags, created_at, ended_at, waits, queue, priority, run_at, max_attempts, concurrency_key,
      dedupe_key, deadline_at, schedule_id, parent_run_id, forked_from_run_id, forked_at_seq)
    select run_id, workflow, status, (last_seq > 1)::int, case when last_seq > 1 then run_id end,
      case when status = 'running' then now() + interval '1 hour' end, last_seq, case when last_seq > 1 then 3 else 0 end,
      10000, (status = 'failed')::int, failure_class, case when n % 5 = 0 then 'order-' || n end, md5(n::text), tags, created_at,
      case when status in ('completed', 'cancelled', 'failed') then created_at + last_seq * interval '2 s' end,
      case when status = 'waiting' then array['gate_' || run_id] end, queue, case when n % 50 = 0 then 10 else 0 end,
      case when queue is not null then created_at end, case when queue is not null then 3 end,
      case when queue is not null and n % 3 = 0 then 'tenant-' || n % 200 end,
      case when queue is not null and n % 7 = 0 then 'dedupe-' || n end,
      case when n % 100 = 3 then now() + interval '3 days' end,
      case when n % 1000 = 4 then pg_temp.schedule_of(n % 20) end, parent_run_id, forked_from_run_id,
      case when forked_from_run_id is not null then 4 end
      from past`,
  usage: `(run_id, seq, at, kind, provider, model, input_tokens, output_tokens, total_tokens, cost_usd)
    select run_id, last_seq - 1, created_at + (last_seq - 1) * interval '2 s', 'llm', 'provider-' || n % 3, 'model-' || n % 12,
      1000 + n % 700, n % 300, 1000 + n % 700 + n % 300, (1000 + n % 700) * 0.000003
      from past where spends and last_seq > 3`,
  gates: `(gate_id, run_id, name, key, revision, digest, status, prompt, risk, required, approvals, opened_at, opened_by,
      decided_at, decided_by, via, assurance)
    select run_id, run_id, 'send', '1', 1, md5(n::text), case when open then 'open' else 'approved' end, 'Send the report?',
      'normal', 'code', 1, created_at + interval '9 s', 'local', case when not open then created_at + interval '20 s' end,
      case when not open then 'ada' end, case when not open then 'tty' end, case when not open then 'code' end
      from past cross join lateral (select status = 'waiting' as open) o
     where status = 'waiting' or status = 'completed' and n % 100 = 1`,
  deliveries: `(delivery_id, webhook_id, run_id, seq, type, status, attempts, due_at, created_at, expires_at, ended_at, last_status)
    select run_id, pg_temp.webhook_of(n % 3), run_id, last_seq, last_type, case when n % 1000 = 2 then 'dead' else 'delivered' end, 1,
      ended, ended, ended + interval '24 hours', ended + interval '1 s', case when n % 1000 = 2 then 500 else 200 end
      from past cross join lateral (select created_at + last_seq * interval '2 s' as ended) e
     where status in ('completed', 'failed') and n % 5 = 2`,
  children: `(parent_run_id, name, key, child_run_id, ordinal)
    select parent_run_id, 'part', n::text, run_id, n % 40 from past where parent_run_id is not null`,
  streams:
    "(run_id, stream, version) select run_id, 'main', 2 from past where n % 10 = 5 and last_seq > 3",
  versions: `(run_id, stream, version, kind, body, importance, created_by, created_at)
    select run_id, 'main', v, 'set', '{"step":' || v || '}', 'normal', 'worker', created_at + v * interval '3 s'
      from past cross join generate_series(1, 2) v where n % 10 = 5 and last_seq > 3`,
};

/** What stands beside the runs: small tables, some rows each. */
const AROUND = [
  `insert into tidebase.webhooks (webhook_id, name, url, secret, events, every_run, invokes, decides, created_at)
   select pg_temp.webhook_of(n), 'filled-' || n, 'https://hook.example/' || n, 'whsec_AAAA', '{}', false, false, false, now()
     from generate_series(0, 2) n`,
  `insert into tidebase.schedules (schedule_id, name, workflow, queue, cron, timezone, catch_up, overlap, priority, max_attempts,
     revision, next_fire_at, created_at)
   select pg_temp.schedule_of(n), 'filled-' || n, 'workflow-' || n, 'queue-' || n, '0 3 * * *', 'UTC', 'latest', 'allow', 0, 3, 1,
     now() + interval '2 days', now() - interval '30 days' from generate_series(0, 19) n`,
  `insert into tidebase.schedule_fires (schedule_id, fire_at, kind, outcome, until, count, at)
   select pg_temp.schedule_of(n), at, 'cron', 'fired', at, 1, at from generate_series(0, 19) n
     cross join generate_series(now() - interval '25 days', now() - interval '1 hour', interval '1 hour') at`,
  `insert into tidebase.queues (queue, concurrency) select 'queue-' || n, 50 from generate_series(0, 9) n on conflict do nothing`,
  `insert into tidebase.audit (at, actor, via, operation, outcome)
   select now() - n * interval '1 minute', 'local', 'local', 'runs.cancel', 'done' from generate_series(1, 20000) n`,
];

/** What a worker's events are, by their number. */
const SHAPE = `create temp table shape as
  select seq, case when seq % 2 = 1 then 'step.begun' else 'step.completed' end as type,
    jsonb_build_object('name', 'step-' || (seq - 1) / 2, 'key', '1') as data from generate_series(1, EVENTS) seq`;

/** Ids that several tables agree on, by a number. */
const FUNCTIONS = `
  create function pg_temp.schedule_of(n bigint) returns uuid language sql stable as
    $$ select ('00000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid $$;
  create function pg_temp.webhook_of(n bigint) returns uuid language sql stable as
    $$ select ('00000000-0000-4000-9000-' || lpad(to_hex(n), 12, '0'))::uuid $$;
  create function pg_temp.run_of(n bigint, at timestamptz) returns uuid language sql stable as
    $$ select (lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') || '7' || substr(md5(n::text), 1, 3) || '8'
      || substr(md5(n::text), 4, 15))::uuid $$`;

/**
 * The runs to be, by a number `n`: the newest has the highest. Of a hundred about 95 are completed, 2 failed and 2 cancelled;
 * the newest hundredth has what still waits in queues, for a gate or for nobody. `at_of` is when the n-th was made.
 */
const PAST = `create unlogged table PLACE as
  with made as (
    select n, hashint8(n) & 1023 as dice, now() - interval '1 minute' - (RUNS - n) * (DAYS * 86400.0 / RUNS) * interval '1 s' as created_at
      from generate_series(1, RUNS) n
  ), named as (
    select *, pg_temp.run_of(n, created_at) as run_id, case
        when n > RUNS * 0.99 and dice < 500 then case dice % 4 when 0 then 'waiting' when 1 then 'pending' else 'queued' end
        when n > RUNS * 0.999 and dice < 700 then 'running'
        when dice % 50 = 7 then 'failed' when dice % 50 = 9 then 'cancelled'
        when dice = 1000 then 'interrupted' else 'completed' end as status
      from made
  )
  select n, run_id, created_at, status, case when n in (11, 12, 13) then 'rare' else 'workflow-' || (40 * power(dice / 1024.0, 3))::int end as workflow,
    case when n in (11, 12, 13) then 'rare' when status = 'queued' or dice / 8 % 5 < 2 then 'queue-' || (50 * power(dice / 1024.0, 2))::int end as queue,
    case when n in (11, 12, 13) then array['rare'] when dice % 4 = 0 then array['prod', 'customer-' || n % 5000]
      when dice % 16 = 1 then array['customer-' || n % 5000] else '{}' end as tags,
    case when status in ('pending', 'queued') then 1 when status = 'running' then greatest(2, EVENTS - 2) else EVENTS end as last_seq,
    case status when 'waiting' then 'run.suspended' when 'running' then 'step.completed' else 'run.' || status end as last_type,
    case when status = 'failed' then (array['step_failed', 'workflow_error', 'max_attempts', 'worker_lost'])[1 + n % 4] end as failure_class,
    case when n = 11 then 'The needle in the haystack'
      when status = 'failed' then 'Request ' || n || ' failed: ' || (array['connection reset by peer', 'rate limit exceeded', 'timeout after 30 s'])[1 + n % 3] end as error_message,
    n % 2 = 0 as spends,
    case when n % 40 in (1, 2) and n > 40 then pg_temp.run_of(n - n % 40, now() - interval '1 minute' - (RUNS - n + n % 40) * (DAYS * 86400.0 / RUNS) * interval '1 s') end as parent_run_id,
    case when n % 500 = 6 and n > 500 then pg_temp.run_of(n - 100, now() - interval '1 minute' - (RUNS - n + 100) * (DAYS * 86400.0 / RUNS) * interval '1 s') end as forked_from_run_id
    from named`;

/**
 * Fills a migrated, otherwise unused store with `runs` runs of the last `days` days and `eventsPerRun` events each (fewer where
 * a run has not begun). Plain SQL on two connections: triggers off, the indexes that are no constraints made anew behind the rows,
 * each table in a transaction of its own; analyzed and vacuumed at the end. Answers with what somebody may look for in it.
 */
export async function fill(
  databaseUrl,
  { runs = 1_000_000, eventsPerRun = 10, days = 25, told = () => {} } = {},
) {
  const place = `tidebase.fill_${process.pid}`;
  const clients = await Promise.all([0, 1].map(() => connect(databaseUrl, eventsPerRun)));
  const [first, second] = clients;
  try {
    const text = PAST.replaceAll("PLACE", place)
      .replaceAll("RUNS", runs)
      .replaceAll("DAYS", days)
      .replaceAll("EVENTS", eventsPerRun);
    await timed(told, "the runs to be", () => first.query(text));
    await first.query(`analyze ${place}`);
    for (const statement of AROUND) await first.query(statement);
    const left = Object.keys(TABLES);
    await Promise.all(
      clients.map(async (client) => {
        for (let table = left.shift(); table !== undefined; table = left.shift()) {
          const name = table;
          await timed(told, name, () => fillTable(client, name, place));
        }
      }),
    );
    const { rows } = await second.query(NAMED.replaceAll("PLACE", place));
    await first.query(`drop table ${place}`);
    return rows[0];
  } finally {
    await Promise.all(clients.map((client) => client.end()));
  }
}

/** Runs by which lists and reads may be asked: one of each kind. */
const NAMED = `select
  (select 'run_' || run_id from PLACE where n = (select max(n) / 2 from PLACE)) as "runId",
  (select 'run_' || parent_run_id from PLACE where parent_run_id is not null order by n desc limit 1) as "parentRunId",
  (select 'run_' || forked_from_run_id from PLACE where forked_from_run_id is not null order by n limit 1) as "forkedFrom",
  (select 'run_' || run_id from PLACE where status = 'failed' order by n desc limit 1) as "failedRunId",
  (select 'run_' || run_id from PLACE where status = 'running' order by n desc limit 1) as "runningRunId",
  (select 'gate_' || run_id from PLACE where status = 'waiting' order by n desc limit 1) as "gateId",
  (select 'order-' || n from PLACE where n % 5 = 0 order by n limit 1) as "idempotencyKey"`;

async function connect(databaseUrl, eventsPerRun) {
  const client = new pg.Client(databaseUrl);
  await client.connect();
  await client.query(
    "set synchronous_commit = off; set maintenance_work_mem = '512MB'; set work_mem = '64MB'",
  );
  await client.query(FUNCTIONS);
  await client.query(SHAPE.replaceAll("EVENTS", eventsPerRun));
  return client;
}

async function fillTable(client, table, place) {
  await client.query("begin");
  await withoutTriggers(client, table, async () => {
    const { rows } = await client.query(
      `select i.indexrelid::regclass::text as name, pg_get_indexdef(i.indexrelid) as definition from pg_index i
        where i.indrelid = $1::regclass and not exists (select from pg_constraint c where c.conindid = i.indexrelid)`,
      [`tidebase.${table}`],
    );
    for (const { name } of rows) await client.query(`drop index ${name}`);
    await client.query(`insert into tidebase.${table} ${TABLES[table].replaceAll("past", place)}`);
    for (const { definition } of rows) await client.query(definition);
  });
  await client.query("commit");
  await client.query(`vacuum (analyze) tidebase.${table}`);
}

/** Who may not say so for the session says it for the table, which he owns. */
async function withoutTriggers(client, table, work) {
  await client.query("savepoint quiet");
  const quiet = await client.query("set local session_replication_role = replica").then(
    () => true,
    () => false,
  );
  if (!quiet) {
    await client.query("rollback to quiet");
    await client.query(`alter table tidebase.${table} disable trigger user`);
  }
  await work();
  if (!quiet) await client.query(`alter table tidebase.${table} enable trigger user`);
}

async function timed(told, what, work) {
  const since = performance.now();
  await work();
  told(`${what}: ${((performance.now() - since) / 1000).toFixed(1)} s`);
}
