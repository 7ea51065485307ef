import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { openDatabase } from "../src/database.ts";
import { JsonText } from "../src/json-text.ts";
import { quarantine } from "../src/quarantine-sql.ts";
import { fork } from "../src/runs/fork-sql.ts";
import { keepKeyframe } from "../src/state/sql.ts";
import { ada, newGrant, signedIn, useDatabase } from "./support/database.ts";
import { holding, texts } from "./support/owned.ts";

const db = useDatabase();
const database = openDatabase({ databaseUrl: db.url });
afterAll(() => database.close());
const { call } = db;

/** Stands for whatever somebody wrote about a customer. */
const C = "CANARY";
/** Names, keys and tags: they stay. */
const N = "SKELETON";

const erase = (runId: string, more: object = {}) => call("runs.erase", { runId, ...more });
const refusal = (promise: Promise<unknown>) =>
  promise.then(
    () => "nothing was refused",
    (error: { code: string }) => error.code,
  );
const uuidOf = (id: string) => id.slice(id.indexOf("_") + 1);

const holder = { host: C, bootId: C, pidNamespace: C, pid: 1, startTime: C };
const contract = {
  sideEffects: [C],
  idempotencyKey: C,
  checkpointInvariant: C,
  verifiedBy: C,
};
const failure = { name: C, message: C, stack: C };

async function begin(runId: string) {
  const lease = { runId, grantId: newGrant() };
  const hint = { command: [C], cwd: C };
  const begun = { ...lease, holder, version: N, resumeHint: hint };
  const { epoch } = await call("runs.begin", begun);
  return { ...lease, epoch: Number(epoch) };
}
type Lease = Awaited<ReturnType<typeof begin>>;

/** All that steps can say: one that failed and was reviewed, one that goes on failing, one that came well. */
async function steps(lease: Lease): Promise<void> {
  const step = { ...lease, inputHash: `v1:${C}`, input: { C }, contract };
  await call("steps.complete", {
    items: [{ ...step, name: `${N}-well`, key: N, output: { C }, outputMeta: { C } }],
  });
  await call("steps.fail", {
    items: [
      { ...step, name: `${N}-ill`, error: failure, message: C, contract: { sideEffects: [C] } },
    ],
  });
}

async function state(lease: Lease): Promise<void> {
  const write = { ...lease, stream: N, reason: C, label: N, target: { type: N, id: N } };
  await call("state.write", { ...write, kind: "set", value: { C }, writeKey: `v1:${C}` });
  for (let n = 0; n < 12; n++) {
    const value = { member: `${C.repeat(9)} ${n}` };
    await call("state.write", { ...lease, stream: N, kind: "patch", value });
  }
  await call("state.label", {
    ...lease,
    stream: N,
    label: `${N}-2`,
    reason: C,
    writeKey: `v1:${C}`,
  });
  await call("state.read", { runId: lease.runId, stream: N }); // leaves a keyframe
}

/** One gate that two approved, with a code and a form that nobody used besides; one that stays open. */
async function gates(lease: Lease): Promise<void> {
  const answerSchema = {
    type: "object",
    properties: { why: { type: "string", description: C } },
    required: ["why"],
  };
  const question = {
    ...{ prompt: C, data: { C }, answerSchema, approvals: 2, approvers: ["ada", N, C] },
    capability: { name: C, scopes: [C], reason: C },
  };
  const opened = await db.gate(lease, { name: N, key: N, ...question });
  const said = { ...opened, status: undefined };
  const { gateId, digest } = said;
  await call("gates.form", { gateId });
  const answer = { why: C };
  await call("gates.code", { gateId, decision: "approved", answer, note: C }, ada);
  const decision = { gateId, digest, decision: "approved", answer, note: C };
  await call("gates.resolve", decision, ada);
  await call("gates.resolve", decision, signedIn(N));
  await db.gate(lease, { name: `${N}-open`, ...question });
}

/** A run, a child that nothing else is written to, and everything that any operation writes about a run. */
async function eventful(end: "completed" | "cancelled"): Promise<string> {
  const source = await db.begun();
  await db.complete(source);
  const forked = await call("runs.fork", {
    ...{ runId: source.runId, dryRun: false, reason: C, input: { C }, inputMeta: { C } },
  });
  const runId = String(forked["runId"]);
  const { pool } = db;
  await pool.query("update tidebase.payloads set metadata = $2 where run_id = $1", [
    uuidOf(runId),
    JSON.stringify({ C }),
  ]);
  const first = await begin(runId);
  await steps(first);
  await call("runs.fail", { ...first, error: failure });
  await call("runs.recover", { runId, dryRun: false, reason: C });
  const review = { name: `${N}-ill`, decision: "failed", reason: C, dryRun: false };
  await call("steps.review", { runId, ...review });
  const lease = await begin(runId);
  await state(lease);
  await gates(lease);
  const record = { kind: N, label: C, metadata: { C }, totalTokens: 1, writeKey: C };
  await call("usage.record", { ...lease, ...record });
  await call("signals.send", { runId, name: N, key: N, payload: { C } });
  const child = { name: N, key: N, workflow: N, input: { C } };
  await call("children.create", { ...lease, children: [{ ...child, detached: true }] });
  await call("timers.set", { ...lease, name: N, key: N, ms: 5 });
  await database.maybe(quarantine, { sweep: "due_waits", runId, message: C });
  if (end === "completed") {
    await db.complete(lease, { result: { C }, resultMeta: { C } });
    return runId;
  }
  await call("runs.cancel", { runId, reason: C });
  await call("cleanups.begin", lease);
  await call("cleanups.end", { ...lease, error: C });
  return runId;
}

/** Ends the runs below, so that the tree can be erased. */
async function endBelow(runId: string): Promise<string[]> {
  const { children } = await call("children.list", { runId });
  const below = (children as { runId: string }[]).map((child) => child.runId);
  for (const child of below) await call("runs.cancel", { runId: child, reason: C });
  return below;
}

let done: string;
let cancelled: string;

beforeAll(async () => {
  const url = "https://93.184.215.14/";
  await call("webhooks.create", { name: "everything", url, events: ["run.*", "gate.*"] });
  [done, cancelled] = [await eventful("completed"), await eventful("cancelled")];
});

/**
 * Text columns that hold no content: names, keys, tags, ids, statuses, and words of ours. A column that is neither
 * among these nor filled above is a gap in this test; one that is filled must be empty after an erase.
 */
const SKELETON_COLUMNS = `
runs.workflow runs.status runs.failure_class runs.idempotency_key runs.tags runs.waits runs.queue runs.concurrency_key
runs.dedupe_key runs.priority runs.max_attempts payloads.cancelled_by holders.version holders.previous_version holders.principal
holders.earlier steps.name steps.key steps.status steps.reason steps.on_unknown events.type streams.stream versions.stream versions.kind
versions.importance versions.created_by keyframes.stream labels.stream labels.label labels.importance labels.target_type
labels.target_ref gates.name gates.key gates.status gates.risk gates.required gates.opened_by gates.principal gates.worker
gates.decided_by gates.via gates.assurance gate_votes.voter gate_votes.name gate_votes.via gate_votes.assurance gate_proofs.kind
gate_proofs.decision gate_proofs.secret_hash gate_proofs.issued_by gate_proofs.principal timers.name timers.key signals.name
signals.key signals.sent_by children.name children.key deliveries.type deliveries.status deliveries.last_error quarantine.sweep
usage.kind usage.provider usage.model usage.unit
`
  .trim()
  .split(/\s+/);
/** Hashes of content: they would confirm a guess. */
const HASHES =
  `runs.body_hash gates.digest gates.answer_hash gate_votes.answer_hash gate_proofs.answer_hash`.split(
    " ",
  );

test("an erased tree holds nothing of what its runs were about, in no column of the store", async () => {
  const { pool } = db;
  const filled = await holding(pool, C);
  const known = new Set([...filled, ...SKELETON_COLUMNS, ...HASHES]);
  expect((await texts(pool)).filter((column) => !known.has(column))).toEqual([]);
  const names = await holding(pool, N);
  const hashed = await holding(pool, "v1:");
  expect(hashed).toEqual(
    expect.arrayContaining(["runs.body_hash", "gates.digest", "gates.answer_hash"]),
  );
  for (const runId of [done, cancelled]) {
    const below = await endBelow(runId);
    const answer = await erase(runId, { tree: true, reason: "ticket 4711" });
    expect(answer).toMatchObject({ already: false, erased: 1 + below.length });
  }
  expect(await holding(pool, C)).toEqual([]);
  expect(await holding(pool, N)).toEqual(
    names.filter((name) => !["keyframes.stream", "gates.approvers"].includes(name)),
  );
  expect(await holding(pool, "ticket 4711")).toEqual(["events.data"]);
  const sources = `select count(*)::int as n from tidebase.runs where body_hash like 'v1:%' and erased_at is not null`;
  expect((await pool.query(sources)).rows).toEqual([{ n: 0 }]);
  expect((await holding(pool, "v1:")).filter((place) => place !== "runs.body_hash")).toEqual([]);
});

/** A completed run with a step, a result and a version of its state. */
async function completed(more: object = {}): Promise<Lease> {
  const { runId } = await call("runs.create", { workflow: "w", input: { C }, ...more });
  const lease = await begin(String(runId));
  await call("steps.complete", { items: [{ ...lease, name: "s", output: { C } }] });
  await call("state.write", { ...lease, kind: "set", value: { C } });
  await db.complete(lease, { result: { C } });
  return lease;
}

test("an erased run can be read everywhere, shows nulls and when it was erased", async () => {
  const runId = done;
  const found = await call("runs.get", { runId, include: ["input", "result"] });
  expect(found).toMatchObject({ input: null, result: null, resultMeta: null });
  expect(found["run"]).toMatchObject({
    erasedAt: expect.any(String),
    status: "completed",
    metadata: null,
  });
  expect(found["run"]).toMatchObject({ error: null, holder: null, resumeHint: null });
  expect(found["verdict"]).toMatchObject({ answer: "final" });
  const { steps: listed } = await call("steps.list", { runId });
  expect(listed).toHaveLength(2);
  const step = await call("steps.get", { runId, name: `${N}-well`, key: N });
  expect(step["step"]).toMatchObject({
    input: null,
    output: null,
    contract: null,
    inputHash: null,
  });
  const read = await call("state.read", { runId, stream: N });
  expect(read).toMatchObject({ version: 13, value: null });
  await call("state.diff", { runId, stream: N, from: 1, to: 13 });
  await call("state.versions", { runId, stream: N });
  const { gates: asked } = await call("gates.list", { runId, status: "any" });
  for (const { gateId } of asked as { gateId: string }[])
    expect((await call("gates.get", { gateId }))["gate"]).toMatchObject({
      prompt: "",
      answer: null,
      note: null,
    });
  expect(asked).toMatchObject([{ status: "approved" }, { status: "closed" }]);
  for (const name of [
    "runs.verdict",
    "state.streams",
    "children.list",
    "usage.list",
    "deliveries.list",
    "runs.list",
  ])
    await call(name, name === "runs.list" ? {} : { runId });
  const { events } = await call("events.list", { runId, limit: 200 });
  const last = (events as { type: string; data: object }[]).at(-1);
  expect(last).toMatchObject({
    type: "run.erased",
    data: { actor: "local", reason: "ticket 4711", tree: true },
  });
});

test("what would give its result, replay or fork it is refused; its key still finds it", async () => {
  const key = { workflow: "w", idempotencyKey: "k", input: { C } };
  const lease = await completed(key);
  const { runId } = lease;
  await erase(runId);
  expect(await refusal(call("runs.begin", { runId, grantId: newGrant() }))).toBe("run_erased");
  expect(await refusal(call("runs.begin", { runId, grantId: lease.grantId }))).toBe("run_erased");
  expect(await refusal(call("steps.journal", { runId }))).toBe("run_erased");
  for (const dryRun of [true, false])
    expect(await refusal(call("runs.fork", { runId, dryRun }))).toBe("run_erased");
  expect(await call("runs.create", key)).toMatchObject({
    runId,
    created: false,
    status: "completed",
  });
  const item = { workflow: "w", queue: "q", idempotencyKey: "k", input: 1 };
  expect((await call("runs.enqueue", { items: [item] }))["results"]).toMatchObject([
    { runId, outcome: "existing" },
  ]);
  const cancelledOne = await begin(await db.pending());
  await call("runs.cancel", { runId: cancelledOne.runId });
  await erase(cancelledOne.runId);
  expect(
    await refusal(call("runs.begin", { runId: cancelledOne.runId, grantId: newGrant() })),
  ).toBe("run_erased");
});

test("a fork whose plan was read before the erase is not made after it", async () => {
  const { runId } = await completed();
  await erase(runId);
  const made = { forkRunId: `run_${randomUUID()}`, bodyHash: "v1:", queue: null, actor: "x" };
  const row = await database.maybe(fork, { runId, atSeq: 3, ...made, inputGiven: false });
  expect(row).toMatchObject({ outcome: "run_erased" });
  expect(await refusal(call("runs.get", { runId: made.forkRunId }))).toBe("run_not_found");
});

test("a fork that was erased is still found by the call that made it", async () => {
  const { runId } = await completed();
  const wanted = { runId, dryRun: false, forkRunId: `run_${randomUUID()}` };
  await call("runs.fork", wanted);
  await call("runs.cancel", { runId: wanted.forkRunId });
  await erase(wanted.forkRunId);
  expect(await call("runs.fork", wanted)).toMatchObject({ runId: wanted.forkRunId });
});

/** A transaction of its own; it is rolled back when the test ends before it does. */
async function transaction() {
  const client = await db.pool.connect();
  onTestFinished(() => client.release(true));
  await client.query("begin");
  return client;
}

test("erasing twice changes nothing the second time; both are audited, and it takes the scope admin", async () => {
  const { runId } = await completed();
  const operator = { ...signedIn("op", ["read", "work", "operate"]) };
  expect(await refusal(call("runs.erase", { runId }, operator))).toBe("scope_missing");
  const first = await erase(runId);
  const { run } = await call("runs.get", { runId });
  await db.advance("1 minute");
  expect(await erase(runId, { tree: true })).toEqual({ ...first, already: true, erased: 0 });
  expect((await call("runs.get", { runId }))["run"]).toEqual(run);
  const { entries } = await call("audit.list", { limit: 5 });
  expect(entries).toMatchObject([
    ...["done", "attempted", "done", "attempted", "scope_missing"].map((outcome) => ({
      operation: "runs.erase",
      target: runId,
      outcome,
    })),
  ]);
});

test("what is not final is not erased, nor below what is not; a tree all or not at all", async () => {
  const parent = await begin(await db.pending());
  const names = Array.from({ length: 12 }, (_, n) => ({
    name: `c${n}`,
    workflow: "w",
    input: { C },
  }));
  const { results } = await call("children.create", { ...parent, children: names });
  const [first = "", ...others] = (results as { runId: string }[]).map(({ runId }) => runId);
  expect(await refusal(erase(parent.runId))).toBe("run_not_final");
  const lease = await begin(first);
  await db.complete(lease, { result: { C } });
  expect(await refusal(erase(first))).toBe("run_not_final"); // its parent could read it
  await db.complete(parent, { result: { C } });
  const error = await erase(parent.runId, { tree: true }).catch((thrown) => thrown);
  expect(error).toMatchObject({
    code: "run_not_final",
    data: { runIds: others.toSorted().slice(0, 10) },
  });
  const { result } = await call("runs.get", { runId: parent.runId, include: ["result"] });
  expect(result).toEqual({ C });
  expect(await erase(first)).toMatchObject({ erased: 1 });
  for (const runId of others) await call("runs.cancel", { runId });
  expect(await erase(parent.runId, { tree: true })).toMatchObject({ already: false, erased: 12 });
  expect(await refusal(erase("run_00000000-0000-7000-8000-000000000000"))).toBe("run_not_found");
});

test("a decided gate changes to its erased form alone, and only with its run", async () => {
  const lease = await begin(await db.pending());
  const opened = await db.gate(lease, { data: { C } });
  await call(
    "gates.resolve",
    { gateId: opened.gateId, digest: opened.digest, decision: "approved", note: C },
    ada,
  );
  await db.complete(lease);
  const attempt = (change: string) =>
    db.pool
      .query(`update tidebase.gates set ${change} where gate_id = $1`, [uuidOf(opened.gateId)])
      .then(
        () => "changed",
        (error: { code: string }) => error.code,
      );
  const erased =
    "prompt = '', digest = 'erased', data = null, answer = null, answer_hash = null, note = null";
  expect(await attempt(erased)).toBe("TB002"); // its run is not erased
  await erase(lease.runId);
  for (const more of [
    "status = 'rejected'",
    "decided_by = 'x'",
    "assurance = 'signed_in'",
    "via = 'x'",
    "decided_at = now()",
    "name = 'x'",
    "run_id = gen_random_uuid()",
  ])
    expect([more, await attempt(`${erased}, ${more}`)]).toEqual([more, "TB002"]);
  for (const more of [
    "note = 'x'",
    "prompt = 'x'",
    "data = '1'",
    "status = 'open', decided_at = null, decided_by = null, assurance = null",
  ])
    expect([more, await attempt(more)]).toEqual([more, "TB002"]);
  expect(await attempt(erased)).toBe("changed");
});

test("nothing is added to an erased run: no keyframe of a slow reader, no words of a late clean-up", async () => {
  const lease = await begin(await db.pending());
  const { runId } = lease;
  await call("state.write", { ...lease, kind: "set", value: { C } });
  await call("runs.cancel", { runId });
  await call("cleanups.begin", lease);
  const client = await transaction();
  await client.query("select from tidebase.erase($1, false, 'x', null)", [uuidOf(runId)]);
  const body = new JsonText(C);
  const kept = database.maybe(keepKeyframe, { runId, stream: "state", version: 1, body });
  const ended = call("cleanups.end", { ...lease, error: C });
  await db.blocked(2);
  await client.query("commit");
  expect(await kept).toBeUndefined();
  expect(await ended).toEqual({ outcome: "ended" });
  const texts = await db.pool.query(
    `select c.error, k.body, (select string_agg(data::text, '') from tidebase.events where run_id = $1) as data
      from tidebase.cleanups c left join tidebase.keyframes k using (run_id) where c.run_id = $1`,
    [uuidOf(runId)],
  );
  expect(texts.rows).toEqual([{ error: null, body: null, data: expect.not.stringContaining(C) }]);
});

test("an erase sees what was written while it waited", async () => {
  const lease = await begin(await db.pending());
  const client = await transaction();
  await client.query("select from tidebase.runs where run_id = $1 for key share", [
    uuidOf(lease.runId),
  ]);
  await call("state.write", { ...lease, kind: "set", value: { C } });
  await db.complete(lease);
  const erasing = erase(lease.runId);
  await db.blocked(1);
  const insert =
    "insert into tidebase.keyframes (run_id, stream, version, body) values ($1, 'state', 1, $2)";
  await client.query(insert, [uuidOf(lease.runId), C]);
  await client.query("commit");
  expect(await erasing).toMatchObject({ erased: 1 });
  const text = "select count(*)::int as n from tidebase.keyframes where run_id = $1";
  expect((await db.pool.query(text, [uuidOf(lease.runId)])).rows).toEqual([{ n: 0 }]);
});

test("messages that were not sent are given up, but the one that tells of the erase", async () => {
  const { deliveries } = await call("deliveries.list", { runId: cancelled, limit: 100 });
  const open = (deliveries as { status: string; type: string; lastError: string | null }[]).filter(
    ({ status }) => status === "pending",
  );
  expect(open.map(({ type }) => type)).toEqual(["run.erased"]);
  const others = (deliveries as { type: string; lastError: string | null }[]).filter(
    ({ type }) => type !== "run.erased",
  );
  expect(others.length).toBeGreaterThan(3);
  expect(new Set(others.map(({ lastError }) => lastError))).toEqual(new Set(["run_erased"]));
});
