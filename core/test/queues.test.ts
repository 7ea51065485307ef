import { randomUUID } from "node:crypto";
import { expect, test } from "vitest";
import { newGrant, useDatabase } from "./support/database.ts";

const { advance, begun, call, complete, pool } = useDatabase();

interface Enqueued {
  readonly runId: string;
  readonly outcome: string;
}

interface Granted {
  readonly runId: string;
  readonly epoch: number;
  readonly grantId: string;
  readonly attempts: number;
}

async function enqueueAll(items: object[]): Promise<Enqueued[]> {
  const queued = items.map((item) => ({ workflow: "report", input: { doc: 1 }, ...item }));
  return (await call("runs.enqueue", { items: queued }))["results"] as Enqueued[];
}

async function enqueue(item: object): Promise<Enqueued> {
  const [result] = await enqueueAll([item]);
  if (result === undefined) throw new Error("no result");
  return result;
}

async function claim(queue: string, more: object = {}): Promise<Granted[]> {
  const sent = { queue, grantId: newGrant(), limit: 100, ...more };
  const { runs } = await call("queues.claim", sent);
  return (runs as Granted[]).map((run) => ({ ...run, grantId: sent.grantId }));
}

const lease = ({ runId, epoch, grantId }: Granted) => ({ runId, epoch, grantId });
const failed = (run: Granted, more: object = {}) =>
  call("runs.fail", { ...lease(run), error: { message: "model overloaded" }, ...more });
const run = async (runId: string) =>
  (await call("runs.get", { runId }))["run"] as Record<string, unknown>;

test("runs without keys that are sent again are found beside new ones, and one is not made twice in a call", async () => {
  const [a, b, c, d] = Array.from({ length: 4 }, () => `run_${randomUUID()}`);
  const again = (...items: object[]) =>
    enqueueAll(items.map((item) => ({ queue: "again", ...item })));
  expect(await again({ runId: a }, { runId: b })).toMatchObject([
    { runId: a, outcome: "created", status: "queued" },
    { runId: b, outcome: "created" },
  ]);
  expect(await again({ runId: b }, { runId: c }, { runId: a, input: 2 })).toMatchObject([
    { runId: b, outcome: "existing" },
    { runId: c, outcome: "created" },
    { runId: a, outcome: "idempotency_conflict", differs: ["input"] },
  ]);
  expect(await again({ runId: d }, { runId: d })).toMatchObject([
    { runId: d, outcome: "created" },
    { runId: d, outcome: "existing" },
  ]);
  const { rows } = await pool.query(
    "select count(*)::int as n from tidebase.events where type = 'run.queued' and run_id = any ($1)",
    [[a, b, c, d].map((runId) => runId?.slice(4))],
  );
  expect(rows).toEqual([{ n: 4 }]);
});

test("an enqueued run is claimed once, with its input, and only by claim", async () => {
  const { runId } = await enqueue({ queue: "once" });
  const begin = call("runs.begin", { runId, grantId: newGrant() });
  await expect(begin).rejects.toMatchObject({ code: "run_in_queue" });
  const [grant, extra] = await claim("once");
  expect(grant).toMatchObject({ runId, epoch: 1, input: { doc: 1 }, journal: [], attempts: 0 });
  expect(extra).toBeUndefined();
  expect(await claim("once")).toEqual([]);
});

test("a claim that is sent again finds its own grants and takes no more", async () => {
  await enqueueAll([{ queue: "again" }, { queue: "again" }]);
  const grantId = newGrant();
  const claimed = await claim("again", { grantId, limit: 1 });
  expect(await claim("again", { grantId, limit: 1 })).toEqual(claimed);
});

test("a run that is claimed again gets the journal of its finished steps", async () => {
  const { runId } = await enqueue({ queue: "journal" });
  const [first] = await claim("journal");
  if (first === undefined) throw new Error("nothing claimed");
  const step = { ...lease(first), name: "plan", key: "", attempt: 1, output: "kept" };
  await call("steps.complete", { items: [step] });
  await call("runs.release", lease(first));
  const [second] = await claim("journal");
  expect(second).toMatchObject({ runId, epoch: 2, journal: [{ name: "plan", output: "kept" }] });
});

test("a dedupe key has one active run; when that ends, the next is made", async () => {
  const first = await enqueue({ queue: "dedupe", dedupeKey: "acme" });
  const second = await enqueue({ queue: "dedupe", dedupeKey: "acme" });
  expect(second).toEqual({ ...first, status: "queued", outcome: "deduplicated" });
  const [grant] = await claim("dedupe");
  if (grant === undefined) throw new Error("nothing claimed");
  await complete(lease(grant));
  expect(await enqueue({ queue: "dedupe", dedupeKey: "acme" })).toMatchObject({
    outcome: "created",
  });
});

test("an idempotency key outlives the run, and another body under it is a conflict", async () => {
  const first = await enqueue({ queue: "idem", idempotencyKey: "order-1" });
  expect(await enqueue({ queue: "idem", idempotencyKey: "order-1" })).toMatchObject({
    runId: first.runId,
    outcome: "existing",
  });
  const other = await enqueue({ queue: "idem", idempotencyKey: "order-1", input: 2 });
  expect(other).toMatchObject({ runId: first.runId, outcome: "idempotency_conflict" });
  const twice = { queue: "idem", idempotencyKey: "order-2" };
  const [a, b] = await enqueueAll([twice, twice]);
  expect([a?.outcome, b?.outcome]).toEqual(["created", "existing"]);
});

test("of one batch the first item under an idempotency key makes its run, whatever dedupe keys the others have", async () => {
  const b1 = { queue: "first", idempotencyKey: "b1", input: 1 };
  const dd = { queue: "first", dedupeKey: "dd" };
  const results = await enqueueAll([b1, b1, { ...b1, input: 2 }, dd, dd, { ...dd, ...b1 }]);
  expect(results).toMatchObject([
    { outcome: "created" },
    { outcome: "existing" },
    { outcome: "idempotency_conflict", differs: ["input"] },
    { outcome: "created" },
    { outcome: "deduplicated" },
    { outcome: "idempotency_conflict", differs: ["dedupeKey"] },
  ]);
  expect(results[5]?.runId).toBe(results[0]?.runId);
});

test("a conflict says what differs, also between a run in a queue and one without", async () => {
  const key = { workflow: "report", idempotencyKey: "differs", input: { doc: 1 } };
  await enqueue({ ...key, queue: "a", dedupeKey: "d" });
  const other = { ...key, queue: "b", concurrencyKey: "c", tags: ["x"] };
  const differs = ["tags", "queue", "dedupeKey", "concurrencyKey"];
  const { differs: told } = (await enqueue(other)) as { differs?: string[] };
  expect(told?.sort()).toEqual(differs.sort());
  const create = call("runs.create", { ...key, webhooks: [] });
  await expect(create).rejects.toMatchObject({
    code: "idempotency_conflict",
    data: { differs: ["queue", "dedupeKey"] },
  });
});

test("what an idempotency key does not stand for may change: the run stays as it was", async () => {
  const key = { queue: "placement", idempotencyKey: "same" };
  const { runId } = await enqueue({ ...key, priority: 1 });
  for (const placed of [
    { priority: 9, delayMs: 60_000, ttlMs: 1000, deadlineMs: 1000 },
    { runAt: "2030-01-01T00:00:00Z", maxAttempts: 9, backoff: { minMs: 1 } },
  ])
    expect(await enqueue({ ...key, ...placed })).toMatchObject({ runId, outcome: "existing" });
  expect(await run(runId)).toMatchObject({ priority: 1, maxAttempts: 3, deadlineAt: null });
  const active = await enqueue({ queue: "placement", dedupeKey: "active" });
  const late = { queue: "placement", dedupeKey: "active", idempotencyKey: "unrecorded" };
  expect(await enqueue(late)).toMatchObject({ runId: active.runId, outcome: "deduplicated" });
  expect(await run(active.runId)).toMatchObject({ idempotencyKey: null });
});

test("a batch of a thousand is one commit with an outcome for each", async () => {
  const items = Array.from({ length: 1000 }, (_, n) => ({
    queue: "many",
    dedupeKey: `k${n % 900}`,
  }));
  const results = await enqueueAll(items);
  expect(results.filter(({ outcome }) => outcome === "created")).toHaveLength(900);
  expect(results.filter(({ outcome }) => outcome === "deduplicated")).toHaveLength(100);
  const { rows } = await pool.query(
    "select count(distinct xmin::text)::int as n from tidebase.runs where queue = 'many'",
  );
  expect(rows).toEqual([{ n: 1 }]);
});

test("tidebase.enqueue makes a run in the caller's own transaction, or none", async () => {
  const client = await pool.connect();
  const sql = `select * from tidebase.enqueue('report', input => '{"b": 1, "a": 2}', queue => 'sql', dedupe_key => $1)`;
  await client.query("begin");
  await client.query(sql, ["rolled-back"]);
  await client.query("rollback");
  await client.query("begin");
  const { rows } = await client.query(sql, ["kept"]);
  expect(await claim("sql")).toEqual([]);
  await client.query("commit");
  client.release();
  const [grant, extra] = await claim("sql");
  expect(grant).toMatchObject({ runId: rows[0].run_id, input: { b: 1, a: 2 } });
  expect(extra).toBeUndefined();
});

test("a delay, a ttl and a priority decide when and in what order runs are claimed", async () => {
  const late = await enqueue({ queue: "order", delayMs: 60_000 });
  const low = await enqueue({ queue: "order", priority: -5 });
  const high = await enqueue({ queue: "order", priority: 5 });
  const gone = await enqueue({ queue: "order", priority: 90, ttlMs: 1000 });
  await advance("2 seconds");
  const first = await claim("order");
  expect(first.map(({ runId }) => runId)).toEqual([high.runId, low.runId]);
  await advance("1 minute");
  expect((await claim("order")).map(({ runId }) => runId)).toEqual([late.runId]);
  expect(await run(gone.runId)).toMatchObject({ status: "queued" }); // the sweep cancels it
});

test("priority is age: a low run that has waited long enough comes first", async () => {
  const old = await enqueue({ queue: "aging", priority: -2 });
  await advance("10 minutes");
  const fresh = await enqueue({ queue: "aging", priority: 7 });
  expect((await claim("aging")).map(({ runId }) => runId)).toEqual([old.runId, fresh.runId]);
});

test("a failed run goes back after its backoff until its attempts are spent, then is a dead letter", async () => {
  const backoff = { minMs: 10_000, factor: 2, maxMs: 15_000 };
  const { runId } = await enqueue({ queue: "retry", maxAttempts: 3, backoff });
  for (const [attempts, mostMs] of [
    [1, 10_000],
    [2, 15_000],
  ] as const) {
    const [grant] = await claim("retry");
    if (grant === undefined) throw new Error("nothing claimed");
    const ended = await failed(grant);
    expect(ended).toMatchObject({ status: "queued", failureClass: null, attempts });
    expect(ended["retryInMs"]).toBeLessThanOrEqual(mostMs);
    expect(await failed(grant)).toMatchObject({ outcome: "failed", status: "queued", attempts });
    await advance("15 seconds");
  }
  const [last] = await claim("retry");
  if (last === undefined) throw new Error("nothing claimed");
  expect(await failed(last)).toMatchObject({ status: "failed", failureClass: "max_attempts" });
  expect(await claim("retry")).toEqual([]);
  const dry = await call("queues.redrive", { queue: "retry" });
  expect(dry).toMatchObject({ dryRun: true, matching: 1, redriven: 0 });
  expect(await call("queues.redrive", { queue: "retry", dryRun: false })).toMatchObject({
    redriven: 1,
    skipped: [],
  });
  expect(await claim("retry")).toMatchObject([{ runId, attempts: 0 }]);
});

test("a failure that says it is not retryable, or a step that may not run again, ends the attempts", async () => {
  await enqueueAll([{ queue: "fatal" }, { queue: "fatal" }]);
  const [fatal, stuck] = await claim("fatal");
  if (fatal === undefined || stuck === undefined) throw new Error("nothing claimed");
  expect(await failed(fatal, { retryable: false })).toMatchObject({
    status: "failed",
    failureClass: "workflow_error",
  });
  const step = {
    ...lease(stuck),
    name: "pay",
    key: "",
    attempt: 1,
    contract: { sideEffects: ["stripe"] },
  };
  await call("steps.begin", { items: [step] });
  expect(await failed(stuck)).toMatchObject({ status: "failed", failureClass: "manual_review" });
  expect(await call("queues.redrive", { queue: "fatal" })).toMatchObject({ matching: 1 });
});

test("redrive leaves alone what meanwhile has an active run of its dedupe key", async () => {
  const dead = await enqueue({ queue: "taken", dedupeKey: "k", maxAttempts: 1 });
  const [grant] = await claim("taken");
  if (grant === undefined) throw new Error("nothing claimed");
  await failed(grant);
  const active = await enqueue({ queue: "taken", dedupeKey: "k" });
  const redriven = await call("queues.redrive", { queue: "taken", dryRun: false });
  expect(redriven).toMatchObject({
    redriven: 0,
    skipped: [{ runId: dead.runId, code: "dedupe_conflict", activeRunId: active.runId }],
  });
  const recover = call("runs.recover", { runId: dead.runId, dryRun: false });
  await expect(recover).rejects.toMatchObject({ code: "dedupe_conflict" });
});

test("a queue's limits: slots, slots of a key, claims a minute", async () => {
  await call("queues.update", { queue: "slots", concurrency: 2 });
  await enqueueAll([{ queue: "slots" }, { queue: "slots" }, { queue: "slots" }]);
  const held = await claim("slots");
  expect(held).toHaveLength(2);
  await complete(lease(held[0] as Granted));
  expect(await claim("slots")).toHaveLength(1);

  await call("queues.update", { queue: "keys", keyConcurrency: 1 });
  const keys = ["a", "a", "b"].map((concurrencyKey) => ({ queue: "keys", concurrencyKey }));
  await enqueueAll([...keys, { queue: "keys" }, { queue: "keys" }]);
  expect(await claim("keys")).toHaveLength(4);
  expect(await claim("keys")).toHaveLength(0);

  await call("queues.update", { queue: "rate", ratePerMinute: 2 });
  await enqueueAll([{ queue: "rate" }, { queue: "rate" }, { queue: "rate" }]);
  expect(await claim("rate")).toHaveLength(2);
  await advance("59 seconds");
  expect(await claim("rate")).toHaveLength(0);
  await advance("2 seconds");
  expect(await claim("rate")).toHaveLength(1);
});

test("a suspended run holds no slot, and is queued again when it wakes", async () => {
  await call("queues.update", { queue: "sleepy", concurrency: 1 });
  const sleeper = await enqueue({ queue: "sleepy" });
  await enqueue({ queue: "sleepy" });
  const [first] = await claim("sleepy");
  if (first === undefined) throw new Error("nothing claimed");
  await call("runs.suspend", { ...lease(first), waits: { signals: ["go"] } });
  const [second] = await claim("sleepy");
  if (second === undefined) throw new Error("nothing claimed");
  await call("signals.send", { runId: sleeper.runId, name: "go", payload: 1 });
  expect(await run(sleeper.runId)).toMatchObject({ status: "queued", attempts: 0 });
  expect(await claim("sleepy")).toEqual([]);
  await complete(lease(second));
  expect(await claim("sleepy")).toMatchObject([{ runId: sleeper.runId, epoch: 2, attempts: 0 }]);
});

test("nothing is claimed from a paused queue, and no workflow the worker does not know", async () => {
  await enqueueAll([{ queue: "mixed" }, { queue: "mixed", workflow: "other" }]);
  await call("queues.update", { queue: "mixed", paused: true });
  expect(await claim("mixed")).toEqual([]);
  const { queue } = await call("queues.get", { queue: "mixed" });
  expect(queue).toMatchObject({ ready: 2, pausedBy: "local" });
  await call("queues.update", { queue: "mixed", paused: false });
  expect(await claim("mixed", { workflows: ["other"] })).toMatchObject([{ workflow: "other" }]);
  expect(await call("queues.get", { queue: "mixed" })).toMatchObject({
    queue: { ready: 1, running: 1, pausedAt: null },
  });
});

test("queues are listed by name, page by page, with their limits kept when others change", async () => {
  await call("queues.update", { queue: "zeta", concurrency: 3, ratePerMinute: 9 });
  await call("queues.update", { queue: "zeta", concurrency: null });
  const found: unknown[] = [];
  let after = "";
  for (;;) {
    const page = await call("queues.list", { after, limit: 3 });
    found.push(...(page["queues"] as unknown[]));
    if (page["nextAfter"] === null) break;
    after = String(page["nextAfter"]);
  }
  const names = found.map((queue) => (queue as { queue: string }).queue);
  expect(names).toEqual([...names].sort());
  expect(new Set(names).size).toBe(names.length);
  expect(found.at(-1)).toMatchObject({ queue: "zeta", concurrency: null, ratePerMinute: 9 });
});

test("a run without a queue is never claimed", async () => {
  const direct = await begun();
  await call("runs.release", direct);
  expect(await claim("default")).toEqual([]);
});
