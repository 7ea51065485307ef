import { randomUUID } from "node:crypto";
import type pg from "pg";
import { afterAll, expect, onTestFinished, test } from "vitest";
import { openDatabase } from "../src/database.ts";
import { openCore } from "../src/index.ts";
import { lostWorkers } from "../src/leases/lost-workers.ts";
import { pushes } from "../src/queues/push.ts";
import { type AnySweep, openSweeps } from "../src/reconciler.ts";
import { orphanedChildren } from "../src/runs/cascade.ts";
import { unclaimedRuns } from "../src/runs/overdue.ts";
import { dueSchedules } from "../src/schedules/due.ts";
import { supersededRuns } from "../src/schedules/superseded.ts";
import { local, newGrant, operationNamed, useDatabase } from "./support/database.ts";

const db = useDatabase();
const { advance, blocked, call, pool } = db;
const direct = openDatabase({ databaseUrl: db.url });
afterAll(() => direct.close());

interface Granted {
  readonly runId: string;
  readonly epoch: number;
  readonly grantId: string;
}
const newQueue = () => `q-${randomUUID()}`;
async function enqueue(...items: object[]): Promise<{ runId: string; outcome: string }[]> {
  const queued = items.map((item) => ({ workflow: "w", ...item }));
  return (await call("runs.enqueue", { items: queued }))["results"] as never;
}
async function claim(queue: string, more: object = {}): Promise<Granted[]> {
  const sent = { queue, grantId: newGrant(), limit: 100, ...more };
  const { runs } = await call("queues.claim", sent);
  return (runs as Granted[]).map(({ runId, epoch }) => ({ runId, epoch, grantId: sent.grantId }));
}
const error = { message: "no" };
const fail = (run: Granted | undefined, more: object = {}) =>
  call("runs.fail", { ...run, error, ...more });
const run = async (runId: string) =>
  (await call("runs.get", { runId }))["run"] as Record<string, unknown>;
const row = async (runId: string) =>
  (await pool.query("select * from tidebase.runs where run_id = $1", [runId.slice(4)])).rows[0];
const sqlEnqueue = (more: string, values: unknown[] = []) =>
  pool.query(`select run_id, outcome from tidebase.enqueue('w', ${more})`, values);
/** One round of a sweep, as the reconciler does it. */
async function sweep(one: object): Promise<void> {
  const opened = openSweeps(direct, [one as AnySweep], () => {});
  for (const probe of opened.probes) probe.told({ isReached: true, isDue: true, error: null });
  await expect.poll(() => opened.status()[0]?.lastRunAt, { interval: 2 }).not.toBeNull();
  await opened.stop();
}
/** A transaction of its own. */
async function transaction(): Promise<pg.PoolClient> {
  const client = await pool.connect();
  await client.query("begin");
  onTestFinished(async () => {
    await client.query("rollback");
    client.release();
  });
  return client;
}
async function webhookQueue(queue: string): Promise<void> {
  const { name } = await db.channel("push");
  await call("queues.update", { queue, webhook: name });
}
/** Runs that `spoil` names cannot change their status. */
async function poison(sqlState: string): Promise<(runId: string) => Promise<void>> {
  const name = `poison_${randomUUID().replaceAll("-", "")}`;
  await pool.query(`create table ${name} (id uuid);
    create function ${name}() returns trigger language plpgsql as $$ begin
      if exists (select from ${name} where id = old.run_id) then raise exception 'poisoned' using errcode = '${sqlState}'; end if;
      return new; end $$;
    create trigger ${name} before update on tidebase.runs for each row
      when (old.status is distinct from new.status) execute function ${name}();`);
  onTestFinished(
    async () => void (await pool.query(`drop table ${name}; drop function ${name} cascade`)),
  );
  return async (runId) =>
    void (await pool.query(`insert into ${name} values ($1)`, [runId.slice(4)]));
}

test("the window of a rate begins with its first claim, not with a look that found nothing", async () => {
  const queue = newQueue();
  await call("queues.update", { queue, ratePerMinute: 2 });
  expect(await claim(queue)).toEqual([]);
  await advance("59 seconds");
  await enqueue({ queue }, { queue }, { queue }, { queue });
  expect(await claim(queue)).toHaveLength(2);
  await advance("2 seconds"); // three seconds into a window that has had its two
  expect(await claim(queue)).toHaveLength(0);
});

test("a rate does not stand still for an hour because the clock was an hour ahead", async () => {
  const queue = newQueue();
  await call("queues.update", { queue, ratePerMinute: 1 });
  await enqueue({ queue }, { queue });
  await advance("1 hour");
  expect(await claim(queue)).toHaveLength(1);
  await advance("-1 hour");
  await advance("61 seconds");
  expect(await claim(queue)).toHaveLength(1);
});

test("a failure is recorded whatever the backoff that the run was given", async () => {
  const queue = newQueue();
  const year = 31_622_400_000;
  const backoff = { minMs: year, maxMs: year };
  await enqueue(...Array.from({ length: 10 }, () => ({ queue, backoff })));
  for (const granted of await claim(queue))
    expect(await fail(granted)).toMatchObject({ outcome: "failed", status: "queued", attempts: 1 });
});

test("a user's open transaction that enqueued under a dedupe key holds up no other operation", async () => {
  const queue = newQueue();
  const core = openCore({ databaseUrl: db.url, sweeps: false, poolMax: 3 });
  onTestFinished(() => core.close());
  const user = await transaction();
  await user.query("select tidebase.enqueue('w', queue => $1, dedupe_key => 'k')", [queue]);
  const items = [{ workflow: "w", queue, dedupeKey: "k" }];
  const waiting = Array.from({ length: 3 }, () =>
    core.execute(operationNamed("runs.enqueue"), { items }, local).catch(() => {}),
  );
  await blocked(3);
  await core.execute(operationNamed("runs.list"), {}, local);
  await user.query("rollback");
  await Promise.all(waiting);
}, 5000);

test("a claim that waited for the queue's row honours the limit of keys that was set meanwhile", async () => {
  const queue = newQueue();
  await call("queues.update", { queue, concurrency: 10 });
  await enqueue(...["k", "k", "k"].map((concurrencyKey) => ({ queue, concurrencyKey })));
  const operator = await transaction();
  await operator.query("update tidebase.queues set key_concurrency = 1 where queue = $1", [queue]);
  const claimed = claim(queue);
  await blocked(1);
  await operator.query("commit");
  expect(await claimed).toHaveLength(1);
});

test("a child's keyLimit holds whatever other runs of its key stand before it", async () => {
  const queue = newQueue();
  const parent = await db.begun();
  await enqueue({ queue, concurrencyKey: "k" });
  const limited = { workflow: "w", name: "part", queue, concurrencyKey: "k", keyLimit: 1 };
  const children = ["a", "b", "c"].map((key) => ({ ...limited, key }));
  const { results } = await call("children.create", { ...parent, children });
  const ids = (results as Granted[]).map(({ runId }) => runId);
  const claimed = (await claim(queue)).map(({ runId }) => runId);
  expect(claimed.filter((runId) => ids.includes(runId)).length).toBeLessThanOrEqual(1);
});

test("a claim sent again while the first is still waiting answers with all that its grant holds", async () => {
  const queue = newQueue();
  await call("queues.update", { queue, concurrency: 10 });
  await enqueue({ queue }, { queue });
  const grantId = newGrant();
  const operator = await transaction();
  await operator.query("select from tidebase.queues where queue = $1 for update", [queue]);
  const first = claim(queue, { grantId, limit: 1 });
  await blocked(1);
  const second = claim(queue, { grantId, limit: 1 });
  await blocked(2);
  await operator.query("commit");
  const answers = await Promise.all([first, second]);
  expect(await claim(queue, { grantId, limit: 1 })).toHaveLength(1);
  expect(answers[1]).toEqual(answers[0]);
});

test("a run that was pushed and never begun still expires by its ttl", async () => {
  const queue = newQueue();
  await webhookQueue(queue);
  const [{ runId } = { runId: "" }] = await enqueue({ queue, ttlMs: 90_000 });
  await sweep(pushes);
  expect(await row(runId)).toMatchObject({ status: "running", pushed: true });
  await advance("61 seconds");
  await sweep(lostWorkers(0));
  expect(await row(runId)).toMatchObject({ status: "queued", attempts: 0 });
  await advance("60 seconds");
  await sweep(unclaimedRuns);
  expect(await run(runId)).toMatchObject({ status: "cancelled", cancelReason: "expired" });
});

test("a hundred full queues that push do not keep the next one from pushing", async () => {
  const { name } = await db.channel("push");
  const tag = randomUUID();
  const full = Array.from({ length: 100 }, (_, n) => `a-${n}-${tag}`);
  for (const queue of full) await call("queues.update", { queue, webhook: name, concurrency: 1 });
  await enqueue(...full.flatMap((queue) => [{ queue }, { queue }]));
  await sweep(pushes);
  const last = `z-${tag}`;
  await call("queues.update", { queue: last, webhook: name });
  const [{ runId } = { runId: "" }] = await enqueue({ queue: last });
  for (let round = 0; round < 10; round++) await sweep(pushes);
  const { status } = await row(runId);
  await pool.query("update tidebase.queues set webhook_id = null");
  expect(status).toBe("running");
});

test("a queue whose run Postgres refuses to push keeps no other queue from pushing", async () => {
  const spoil = await poison("23514");
  const tag = randomUUID();
  const [bad, good] = [`a-${tag}`, `b-${tag}`];
  for (const queue of [bad, good]) await webhookQueue(queue);
  const [poisoned, well] = await enqueue({ queue: bad }, { queue: good });
  await spoil(String(poisoned?.runId));
  for (let round = 0; round < 6; round++) await sweep(pushes);
  const { status } = await row(String(well?.runId));
  await pool.query("update tidebase.queues set webhook_id = null");
  expect(status).toBe("running");
});

test.each(["P0001", "23514"])(
  "a child that cannot be cancelled (%s) keeps no sibling running, and is not forgotten",
  async (sqlState) => {
    const spoil = await poison(sqlState);
    const parent = await db.begun();
    const children = ["a", "b"].map((key) => ({ workflow: "w", name: "part", key }));
    const { results } = await call("children.create", { ...parent, children });
    const [first, second] = (results as Granted[]).map(({ runId }) => runId).sort();
    await spoil(String(first));
    await call("runs.cancel", { runId: parent.runId }).catch(() => {});
    for (let round = 0; round < 3; round++) await sweep(orphanedChildren);
    expect(await row(String(second))).toMatchObject({ status: "cancelled" });
    const left = await pool.query(
      `select run_id from tidebase.cascades where run_id = $1
       union select run_id from tidebase.quarantine where sweep = 'orphaned_children' and run_id in ($1, $2)`,
      [parent.runId.slice(4), first?.slice(4)],
    );
    expect(left.rows).not.toEqual([]);
  },
);

test("redriving page by page reaches what lies behind a dead letter whose dedupe key is taken", async () => {
  const queue = newQueue();
  await enqueue({ queue, dedupeKey: "k", maxAttempts: 1 });
  await fail((await claim(queue))[0]);
  const [other] = await enqueue({ queue, maxAttempts: 1 });
  await fail((await claim(queue))[0]);
  await enqueue({ queue, dedupeKey: "k" });
  for (let page = 0; page < 5; page++) {
    const { more } = await call("queues.redrive", { queue, dryRun: false, limit: 1 });
    if (more === false) break;
  }
  expect(await run(String(other?.runId))).toMatchObject({ status: "queued" });
});

test("a run that was enqueued to run since ever leaves the queue readable", async () => {
  const queue = newQueue();
  await sqlEnqueue("queue => $1, run_at => '-infinity'", [queue]).catch(() => {});
  await call("queues.get", { queue });
  await call("queues.list", {});
});

test.each(["infinity", "-infinity", "0044-03-15 BC", "290000-01-01"])(
  "a run that was enqueued for %s is refused, or can be looked at",
  async (at) => {
    const queue = newQueue();
    const made = await sqlEnqueue("queue => $1, run_at => $2", [queue, at]).catch(() => undefined);
    if (made !== undefined) expect(await run(made.rows[0].run_id)).toMatchObject({ queue });
  },
);

test("the operation refuses an instant that it could not show again", async () => {
  const queue = newQueue();
  const at = "0001-01-01T00:00:00+14:00";
  const made = await enqueue({ queue, runAt: at }).catch(() => []);
  const [{ runId } = { runId: undefined }] = made;
  if (runId !== undefined) expect(await run(runId)).toMatchObject({ queue });
});

test.each(["", "two words", "a,b", "*", "..", "x".repeat(101)])(
  "tidebase.enqueue refuses the queue name %j, which no worker can ask for",
  async (queue) => {
    await expect(sqlEnqueue("queue => $1", [queue])).rejects.toThrow();
  },
);

test("tidebase.enqueue without a queue is refused, or goes to the default one", async () => {
  const made = await sqlEnqueue("queue => null, dedupe_key => 'k'").catch(() => undefined);
  if (made !== undefined)
    expect(await row(made.rows[0].run_id)).toMatchObject({ queue: "default" });
});

test("reviewing a step of a pushed run that nobody began costs no attempt", async () => {
  const queue = newQueue();
  const [{ runId } = { runId: "" }] = await enqueue({ queue, backoff: { minMs: 0, maxMs: 0 } });
  const [granted] = await claim(queue);
  const contract = { sideEffects: ["stripe"] };
  const step = { ...granted, name: "pay", key: "", attempt: 1, contract };
  await call("steps.begin", { items: [step] });
  await call("runs.release", { ...granted });
  await webhookQueue(queue);
  await sweep(pushes);
  expect(await row(runId)).toMatchObject({ status: "running", pushed: true, attempts: 0 });
  await advance("2 minutes"); // its lease is over, and no sweep has been there yet
  const review = { runId, name: "pay", decision: "retry", reason: "looked", dryRun: false };
  await call("steps.review", review);
  await pool.query("update tidebase.queues set webhook_id = null");
  expect(await row(runId)).toMatchObject({ status: "queued", attempts: 0 });
});

test("a dead letter of a schedule that somebody recovers is not cancelled by a fire from before", async () => {
  const name = `s-${randomUUID()}`;
  const queue = newQueue();
  const said = { workflow: "w", cron: "* * * * *", overlap: "cancel", maxAttempts: 1 };
  await call("schedules.put", { name, queue, ...said });
  await advance("1 minute");
  await sweep(dueSchedules(10_000));
  const [first] = await claim(queue);
  await fail(first);
  await advance("1 minute");
  await sweep(dueSchedules(10_000));
  await call("runs.recover", { runId: first?.runId, dryRun: false });
  await sweep(supersededRuns);
  await call("schedules.delete", { name });
  expect(await run(String(first?.runId))).toMatchObject({ status: "queued" });
});

test("a cap holds on a database whose transactions are repeatable read by default", async () => {
  const queue = newQueue();
  const database = new URL(db.url).pathname.slice(1);
  const set = (level: string) =>
    pool.query(`alter database ${database} set default_transaction_isolation = '${level}'`);
  await set("repeatable read");
  onTestFinished(async () => void (await set("read committed")));
  const core = openCore({ databaseUrl: db.url, sweeps: false });
  onTestFinished(() => core.close());
  await call("queues.update", { queue, concurrency: 1 });
  await enqueue({ queue }, { queue, workflow: "other" });
  const operator = await transaction();
  await operator.query("select from tidebase.queues where queue = $1 for update", [queue]);
  const take = (workflow: string) =>
    core.execute(
      operationNamed("queues.claim"),
      { queue, grantId: newGrant(), workflows: [workflow] },
      local,
    );
  const both = [take("w")];
  await blocked(1);
  both.push(take("other"));
  await blocked(2);
  await operator.query("commit");
  const claimed = (await Promise.all(both)) as { runs: unknown[] }[];
  expect(claimed.flatMap(({ runs }) => runs)).toHaveLength(1);
});

test("a failure that calls for a review is not retried, whatever the run's attempts", async () => {
  const queue = newQueue();
  await enqueue({ queue });
  const [granted] = await claim(queue);
  expect(await fail(granted, { failureClass: "manual_review" })).toMatchObject({
    status: "failed",
  });
});

test("an enqueue is not given a run that is too late to be claimed by its ttl", async () => {
  const queue = newQueue();
  const [old] = await enqueue({ queue, dedupeKey: "k", ttlMs: 1000 });
  await advance("2 seconds");
  const [given] = await enqueue({ queue, dedupeKey: "k" });
  await sweep(unclaimedRuns);
  expect(await run(String(old?.runId))).toMatchObject({ status: "cancelled" });
  expect(await run(String(given?.runId))).toMatchObject({ status: "queued" });
});

test("saying that a schedule's next fire cancels cancels nothing before that fire", async () => {
  const name = `s-${randomUUID()}`;
  const queue = newQueue();
  const said = { name, queue, workflow: "w", cron: "* * * * *" };
  await call("schedules.put", { ...said, overlap: "allow" });
  for (let fire = 0; fire < 2; fire++) {
    await advance("1 minute");
    await sweep(dueSchedules(10_000));
  }
  await call("schedules.put", { ...said, overlap: "cancel" });
  await sweep(supersededRuns);
  await call("schedules.delete", { name });
  expect(await claim(queue)).toHaveLength(2);
});

test.each(["tags => array[null]::text[]", "metadata => '[1]'", "deadline => '280000 years'"])(
  "what tidebase.enqueue takes as %s is refused, or a run as the API promises it",
  async (more) => {
    const made = await sqlEnqueue(`queue => $1, ${more}`, [newQueue()]).catch(() => undefined);
    const runId = made?.rows[0].run_id;
    if (runId === undefined) return;
    const shown = await run(runId).catch((thrown: Error) => thrown);
    await pool.query("delete from tidebase.runs where run_id = $1", [runId.slice(4)]); // lists show it too
    expect(shown).not.toBeInstanceOf(Error);
  },
);

/** Two dead letters of a queue; the first one ended first. */
async function deadLetters(queue: string) {
  const [first, second] = await enqueue({ queue, maxAttempts: 1 }, { queue, maxAttempts: 1 });
  for (const granted of await claim(queue)) await fail(granted);
  const ends =
    "update tidebase.runs set ended_at = ended_at - interval '1 second' where run_id = $1";
  await pool.query(ends, [first?.runId.slice(4)]);
  return [first, second];
}

test("a dead letter that cannot be queued keeps no other from being redriven", async () => {
  const spoil = await poison("P0001");
  const queue = newQueue();
  const [bad, good] = await deadLetters(queue);
  await spoil(String(bad?.runId));
  await call("queues.redrive", { queue, dryRun: false }).catch(() => {});
  expect(await run(String(good?.runId))).toMatchObject({ status: "queued" });
});

test("a dead letter that retention deletes while others are redriven is skipped, and not counted", async () => {
  const queue = newQueue();
  const [first, second] = await deadLetters(queue);
  const release = await db.hold(String(first?.runId));
  const redriving = call("queues.redrive", { queue, dryRun: false });
  await blocked(1);
  await pool.query("delete from tidebase.runs where run_id = $1", [second?.runId.slice(4)]);
  await release();
  expect(await redriving).toMatchObject({
    matching: 2,
    redriven: 1,
    skipped: [{ runId: second?.runId, code: "run_not_found" }],
  });
});

test("in a repeatable read transaction a dedupe key finds the run which that transaction made", async () => {
  const queue = newQueue();
  const [old] = await enqueue({ queue, dedupeKey: "k" });
  const user = await transaction();
  await user.query("set transaction isolation level repeatable read; select 1 from tidebase.runs");
  await call("runs.cancel", { runId: old?.runId });
  const text = "select * from tidebase.enqueue('w', queue => $1, dedupe_key => 'k')";
  const [made] = (await user.query(text, [queue])).rows;
  expect(made).toMatchObject({ outcome: "created" });
  const [again] = (await user.query(text, [queue])).rows;
  expect(again).toEqual({ run_id: made.run_id, outcome: "deduplicated" });
});
