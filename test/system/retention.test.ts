import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { beforeAll, expect, onTestFinished, test } from "vitest";
import { ada, newGrant, useDatabase } from "../../core/test/support/database.ts";
import { rowsOf } from "../../core/test/support/owned.ts";
import { untilPrinted } from "../support/process.ts";

const db = useDatabase();
const { call, pool } = db;
const root = fileURLToPath(new URL("../../", import.meta.url));
const seed = Number(process.env["TIDEBASE_SEED"] ?? Date.now() % 2 ** 31);

const query = async (text: string, values: unknown[] = []) => (await pool.query(text, values)).rows;
const uuidOf = (id: string) => id.slice(id.indexOf("_") + 1);

interface Lease {
  readonly runId: string;
  readonly epoch: number;
  readonly grantId: string;
}

beforeAll(async () => {
  const url = "https://93.184.215.14/";
  await call("webhooks.create", { name: "hook", url, events: ["run.failed"] });
});

/** A failed run of a queue or none, with a step, an open gate and a dead message. */
async function failed(more: object = {}): Promise<Lease> {
  const { runId } = await call("runs.create", { workflow: "w", ...more });
  const grantId = newGrant();
  const { epoch } = await call("runs.begin", { runId, grantId });
  return await fail({ runId: String(runId), epoch: Number(epoch), grantId });
}

async function fail(lease: Lease): Promise<Lease> {
  const step = { ...lease, name: "s", contract: { sideEffects: ["mail"] } };
  await call("steps.fail", { items: [{ ...step, error: { message: "x" }, message: "x" }] });
  await db.gate(lease);
  await call("runs.fail", { ...lease, error: { message: "x" }, retryable: false });
  await query(
    "update tidebase.deliveries set status = 'dead', ended_at = tidebase.now() where run_id = $1",
    [uuidOf(lease.runId)],
  );
  await db.advance("31 days");
  return lease;
}

async function failedInQueue(): Promise<Lease> {
  const queue = `q-${newGrant()}`;
  const item = { workflow: "w", queue, maxAttempts: 1 };
  await call("runs.enqueue", { items: [item] });
  const grantId = newGrant();
  const { runs } = await call("queues.claim", { queue, grantId });
  const [{ runId, epoch } = { runId: "", epoch: 0 }] = runs as Lease[];
  return { ...(await fail({ runId, epoch, grantId })), queue } as Lease;
}

/** Somebody who works on the run that retention is about to delete. */
interface Rival {
  readonly name: string;
  make(): Promise<Lease>;
  act(subject: Lease & { gateId: string; digest: string; deliveryId: string }): Promise<unknown>;
  /** What they are told when the run is gone; a record of their own where they need no run. */
  readonly late: string | object;
  /** They keep the run from being deleted. */
  readonly saves: boolean;
  /** They look without a lock, and wait for nobody. */
  readonly reads?: boolean;
}

const rivals: Rival[] = [
  {
    name: "recover",
    make: failed,
    act: ({ runId }) => call("runs.recover", { runId, dryRun: false }),
    late: "run_not_found",
    saves: true,
  },
  {
    name: "begin",
    make: failed,
    act: ({ runId }) => call("runs.begin", { runId, grantId: newGrant() }),
    late: "run_not_found",
    saves: true,
  },
  {
    name: "begin and a child",
    make: failed,
    act: async ({ runId }) => {
      const grantId = newGrant();
      const { epoch } = await call("runs.begin", { runId, grantId });
      const children = [{ name: "c", workflow: "w" }];
      await call("children.create", { runId, grantId, epoch, children });
      await db.complete({ runId, grantId, epoch });
    },
    late: "run_not_found",
    saves: true,
  },
  {
    name: "review",
    make: failed,
    act: ({ runId }) =>
      call("steps.review", { runId, name: "s", decision: "retry", reason: "x", dryRun: false }),
    late: "run_not_found",
    saves: false,
  },
  {
    name: "signal",
    make: failed,
    act: ({ runId }) => call("signals.send", { runId, name: "s" }),
    late: "run_not_found",
    saves: false,
  },
  {
    name: "redrive and claim",
    make: failedInQueue,
    act: async (subject) => {
      const queue = Reflect.get(subject, "queue");
      await call("queues.redrive", { queue, dryRun: false, failureClass: "manual_review" });
      const { runs } = await call("queues.claim", { queue, grantId: newGrant() });
      return { claimed: (runs as []).length };
    },
    late: { claimed: 0 },
    saves: true,
  },
  {
    name: "redelivery",
    make: failed,
    act: ({ deliveryId }) => call("deliveries.redeliver", { deliveryId }),
    late: "delivery_not_found",
    saves: true,
  },
  {
    name: "a gate's decision",
    make: failed,
    act: ({ gateId, digest }) =>
      call("gates.resolve", { gateId, digest, decision: "approved" }, ada),
    late: "gate_not_found",
    saves: false,
  },
  {
    name: "a gate's code",
    make: failed,
    act: ({ gateId }) => call("gates.code", { gateId, decision: "approved" }, ada),
    late: "gate_not_found",
    saves: false,
  },
  {
    name: "cancel",
    make: failed,
    act: ({ runId }) => call("runs.cancel", { runId }),
    late: "run_not_found",
    saves: true,
  },
  {
    name: "create with the same key",
    make: () => failed({ idempotencyKey: newGrant() }),
    act: async ({ runId }) => {
      const rows = await query("select idempotency_key from tidebase.runs where run_id = $1", [
        uuidOf(runId),
      ]);
      const [{ idempotency_key: idempotencyKey }] = rows;
      const { created } = await call("runs.create", { workflow: "w", idempotencyKey });
      return { created };
    },
    late: { created: true },
    saves: false,
  },
  {
    name: "fork",
    make: failed,
    act: async ({ runId }) => {
      const plan = await call("runs.fork", { runId, dryRun: false });
      return { created: plan["created"] };
    },
    late: { created: true }, // it had read its source before
    saves: false,
    reads: true,
  },
];

async function subjectOf(lease: Lease) {
  const id = uuidOf(lease.runId);
  const [gate] = await query("select gate_id, digest from tidebase.gates where run_id = $1", [id]);
  const [message] = await query("select delivery_id from tidebase.deliveries where run_id = $1", [
    id,
  ]);
  return {
    ...lease,
    gateId: `gate_${gate.gate_id}`,
    digest: String(gate.digest),
    deliveryId: `delivery_${message.delivery_id}`,
  };
}

const FORGET = "select outcome from tidebase.forget(array[$1::uuid])";
const answerOf = (promise: Promise<unknown>) =>
  promise.catch((error: { code: string }) => error.code);

async function transaction() {
  const client = await pool.connect();
  onTestFinished(() => client.release(true));
  await client.query("begin");
  return client;
}

const NOBODY = "00000000-0000-7000-8000-000000000000";

/** Whoever walks the tree of this root waits until the returned function is called. */
async function pauseAt(id: string): Promise<() => Promise<void>> {
  await query("alter function tidebase.tree(uuid) rename to real_tree");
  await query(`create function tidebase.tree(root uuid) returns setof uuid language plpgsql as $$ begin
    if root = '${id}' then perform pg_advisory_xact_lock(4711); end if;
    return query select tidebase.real_tree(root); end $$`);
  onTestFinished(async () => {
    await query("drop function tidebase.tree(uuid)");
    await query("alter function tidebase.real_tree(uuid) rename to tree");
  });
  const client = await transaction();
  await client.query("select pg_advisory_xact_lock(4711)");
  return async () => void (await client.query("commit"));
}

/** All of the run is there, or nothing. */
async function expectWhole(subject: { runId: string; gateId: string }): Promise<boolean> {
  const id = uuidOf(subject.runId);
  const [run] = await query("select last_seq::int as n from tidebase.runs where run_id = $1", [id]);
  const rows = await rowsOf(pool, [subject.runId, subject.gateId]);
  if (run === undefined) expect(rows).toEqual({});
  else
    expect(rows).toMatchObject({ "events.run_id": run.n, "payloads.run_id": 1, "steps.run_id": 1 });
  return run !== undefined;
}

test.each(rivals)(
  "$name after retention finds nothing, and leaves nothing behind",
  async (rival) => {
    const subject = await subjectOf(await rival.make());
    const client = await transaction();
    const { rows } = await client.query(FORGET, [uuidOf(subject.runId)]);
    expect(rows).toEqual([{ outcome: "deleted" }]);
    const answer = answerOf(rival.act(subject));
    if (rival.reads !== true) await db.blocked(1);
    else await answer;
    await client.query("commit");
    const told = await answer;
    if (typeof rival.late === "string") expect(told).toBe(rival.late);
    else expect(told).toMatchObject(rival.late);
    expect(await expectWhole(subject)).toBe(false);
  },
);

test.each(rivals)(
  "$name while retention has looked, and not yet locked, is not lost",
  async (rival) => {
    const subject = await subjectOf(await rival.make());
    const go = await pauseAt(NOBODY);
    const both = "select run_id, outcome from tidebase.forget(array[$1, $2]::uuid[])";
    const forgetting = query(both, [uuidOf(subject.runId), NOBODY]); // looks at the one, and waits before the other
    await db.blocked(1);
    const answer = await answerOf(rival.act(subject));
    await go();
    const outcome = (await forgetting).find((row) => row.run_id === uuidOf(subject.runId))?.outcome;
    expect(typeof answer).not.toBe("string");
    expect(outcome).toBe(rival.saves ? "moved" : "deleted");
    expect(await expectWhole(subject)).toBe(rival.saves);
  },
);

test.each(rivals)("$name that holds the run is not waited for", async (rival) => {
  const subject = await subjectOf(await rival.make());
  const release = await db.hold(subject.runId);
  expect(await query(FORGET, [uuidOf(subject.runId)])).toEqual([{ outcome: "moved" }]);
  await release();
  const answer = await answerOf(rival.act(subject));
  expect(typeof answer).not.toBe("string");
  const [{ outcome }] = await query(FORGET, [uuidOf(subject.runId)]);
  expect(outcome).toBe(rival.saves ? "kept" : "deleted");
  expect(await expectWhole(subject)).toBe(rival.saves);
});

test("a message that is revived while its run's rows are locked keeps them", async () => {
  const subject = await subjectOf(await failed());
  const client = await transaction();
  const revive =
    "update tidebase.deliveries set status = 'pending', ended_at = null where run_id = $1";
  await client.query(revive, [uuidOf(subject.runId)]);
  const forgetting = query(FORGET, [uuidOf(subject.runId)]);
  await db.blocked(1);
  await client.query("commit");
  expect(await forgetting).toEqual([{ outcome: "moved" }]);
  expect(await expectWhole(subject)).toBe(true);
});

/** Runs past the limit, with steps and events; every fifth has three children. */
async function fill(count: number): Promise<void> {
  await query(
    `with made as (
      insert into tidebase.runs (run_id, workflow, status, last_seq, max_steps, body_hash, created_at, ended_at)
      select tidebase.new_run_id(), 'old', 'completed', 6, 10, '', tidebase.now() - interval '60 days', tidebase.now() - interval '50 days' - n * interval '1 s'
        from generate_series(1, $1) n returning run_id
    ), children as (
      insert into tidebase.runs (run_id, workflow, status, last_seq, max_steps, body_hash, created_at, ended_at, parent_run_id)
      select tidebase.new_run_id(), 'old', 'completed', 6, 10, '', tidebase.now() - interval '60 days', tidebase.now() - interval '51 days', run_id
        from (select run_id, row_number() over () as n from made) m cross join generate_series(1, 3) where n % 5 = 0
      returning run_id, parent_run_id
    ), linked as (
      insert into tidebase.children (parent_run_id, name, key, child_run_id, ordinal)
      select parent_run_id, 'c', run_id::text, run_id, 1 from children
    ), run as (
      select run_id from made union all select run_id from children
    ), paid as (
      insert into tidebase.payloads (run_id, input) select run_id, repeat('1', 500) from run
    ), stepped as (
      insert into tidebase.steps (run_id, name, key, status, on_unknown, epoch, attempt, output)
      select run_id, 's', n::text, 'completed', 'failed', 1, 1, '1' from run cross join generate_series(1, 4) n
    )
    insert into tidebase.events (run_id, seq, type, at) select run_id, n, 'step.completed', now() from run cross join generate_series(1, 6) n`,
    [count],
  );
}

const left = async () =>
  Number((await query("select count(*) as n from tidebase.runs where workflow = 'old'"))[0].n);

/** Of every run all rows are there, or none; and of every tree all runs. */
async function expectNothingHalf(): Promise<void> {
  const [torn] = await query(`select
    (select count(*)::int from tidebase.runs r where workflow = 'old' and (
      (select count(*) from tidebase.events where run_id = r.run_id) <> 6 or (select count(*) from tidebase.steps where run_id = r.run_id) <> 4
      or not exists (select from tidebase.payloads where run_id = r.run_id))) as runs,
    (select count(*)::int from tidebase.events e where type = 'step.completed' and not exists (select from tidebase.runs where run_id = e.run_id)) as events,
    (select count(*)::int from tidebase.steps s where not exists (select from tidebase.runs where run_id = s.run_id)) as steps,
    (select count(*)::int from tidebase.payloads p where not exists (select from tidebase.runs where run_id = p.run_id)) as payloads,
    (select count(*)::int from tidebase.children c where (select count(*) from tidebase.runs where run_id in (c.parent_run_id, c.child_run_id)) <> 2) as edges`);
  expect(torn).toEqual({ runs: 0, events: 0, steps: 0, payloads: 0, edges: 0 });
}

function startSweeper(): ChildProcess {
  const args = [
    "--import",
    "tsx",
    "--conditions=tidebase-source",
    "test/support/sweeper.ts",
    db.url,
  ];
  return spawn(process.execPath, args, { cwd: root, stdio: ["ignore", "pipe", "inherit"] });
}

async function kill(child: ChildProcess): Promise<void> {
  const closed = new Promise((resolve) => child.once("close", resolve));
  child.kill("SIGKILL");
  await closed;
}

const due = () => query("update tidebase.retention set next_at = tidebase.now()");

test(`two processes that sweep and die in the middle leave nothing half (seed ${seed})`, async () => {
  console.log(`seed ${seed}`);
  await fill(2000);
  let killed = 0;
  for (let before = await left(); before > 0; ) {
    const sweepers = [startSweeper(), startSweeper()];
    onTestFinished(() => void sweepers.map((child) => child.kill("SIGKILL")));
    await Promise.all(sweepers.map((child) => untilPrinted(child, /sweeping/)));
    await due();
    const share = before - (700 + ((seed + killed * 7919) % 400)); // then they die
    await expect
      .poll(() => due().then(left), { interval: 1, timeout: 60_000 })
      .toBeLessThanOrEqual(Math.max(0, share));
    await Promise.all(sweepers.map(kill));
    killed += 2;
    await expectNothingHalf();
    before = await left();
  }
  console.log(`${killed} processes were killed`);
  expect(killed).toBeGreaterThanOrEqual(4);
});

const percentile = (sorted: readonly number[], share: number) =>
  (sorted[Math.floor(sorted.length * share)] ?? 0).toFixed(1);

/** Milliseconds of each of the steps of a new run, until the work is done. */
async function stepsDuring(work: Promise<unknown>): Promise<number[]> {
  const lease = await db.begun();
  const took: number[] = [];
  let over = false;
  void work.finally(() => {
    over = true;
  });
  for (let n = 0; !over || n < 200; n++) {
    const from = performance.now();
    await call("steps.complete", { items: [{ ...lease, name: "s", key: String(n), output: n }] });
    took.push(performance.now() - from);
    if (n === 9000) break;
  }
  return took.sort((a, b) => a - b);
}

test("20,000 runs are deleted while a worker makes steps", async () => {
  await fill(12_500);
  expect(await left()).toBe(20_000);
  const quiet = await stepsDuring(Promise.resolve());
  const sweeper = startSweeper();
  onTestFinished(() => void sweeper.kill("SIGKILL"));
  await untilPrinted(sweeper, /sweeping/);
  const from = performance.now();
  await due();
  const work = expect.poll(left, { interval: 50, timeout: 120_000 }).toBe(0);
  const busy = await stepsDuring(Promise.resolve(work));
  const took = performance.now() - from;
  await work;
  const line = (name: string, of: number[]) =>
    `${name}: p50 ${percentile(of, 0.5)} ms, p99 ${percentile(of, 0.99)} ms, max ${of.at(-1)?.toFixed(1)} ms (${of.length} steps)`;
  console.log(
    `20,000 runs deleted in ${Math.round(took)} ms\n${line("quiet", quiet)}\n${line("meanwhile", busy)}`,
  );
  await kill(sweeper);
  await expectNothingHalf();
});
