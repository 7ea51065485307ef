import { expect, test } from "vitest";
import { newGrant, useDatabase } from "./support/database.ts";
import { copyOf, type Lease, type Plan, sources } from "./support/forks.ts";

const db = useDatabase();
const { complete, begin, fork, plan, journal, eventsOf, finished } = sources(db);
const NOBODY = "run_00000000-0000-7000-8000-000000000000";
const payment = { contract: { sideEffects: ["payment"] } };

const refusal = (work: Promise<unknown>) =>
  work.then(
    () => "no refusal",
    (error: { code?: string }) => error.code ?? String(error),
  );
const runOf = async (runId: string) =>
  (await db.call("runs.get", { runId, include: ["input"] })) as {
    run: Record<string, unknown>;
    input: unknown;
  };

test("a plan says what is kept and what runs again, and changes nothing", async () => {
  const lease = await finished(["look", "charge", "mail"], { charge: payment });
  const before = await copyOf(db, lease.runId);
  const { rows } = await db.pool.query("select count(*) from tidebase.runs");
  expect(await plan(lease, { from: { name: "charge" } })).toMatchObject({
    ...{ dryRun: true, runId: null, created: false, status: "pending", workflow: "test" },
    ...{ queue: null, forkedFrom: { runId: lease.runId, atSeq: 3 }, seq: 6 },
    ...{ keptSteps: 1, kept: [{ name: "look", key: "", edited: false }] },
    ...{ runAgainSteps: 2, repeatedEffects: 1, warnings: [expect.stringContaining("1 step")] },
    runAgain: [
      { name: "charge", status: "completed", sideEffects: ["payment"], repeatsEffects: true },
      { name: "mail", repeatsEffects: false, why: "It declares no side effects." },
    ],
    next: expect.stringContaining("tide.resume"),
  });
  expect(await copyOf(db, lease.runId)).toEqual(before);
  expect((await db.pool.query("select count(*) from tidebase.runs")).rows).toEqual(rows);
});

test("a fork begins with what was completed before its step began, and the source keeps every row as it was", async () => {
  const lease = await finished(["look", "charge", "mail"]);
  const before = await copyOf(db, lease.runId);
  const made = await fork(lease, { from: { name: "charge" }, reason: "wrong price" });
  expect(made).toMatchObject({ created: true, status: "pending", dryRun: false });
  expect(await copyOf(db, lease.runId)).toEqual(before);
  expect(await runOf(made.runId)).toMatchObject({
    ...{ run: { forkedFrom: { runId: lease.runId, atSeq: 3 }, epoch: 0, attempts: 0 } },
    steps: { completed: 1, begun: 0 },
  });
  expect(await eventsOf(made.runId)).toMatchObject([
    {
      type: "run.created",
      data: {
        ...{ workflow: "test", actor: "local", reason: "wrong price", keptSteps: 1 },
        forkedFrom: { runId: lease.runId, atSeq: 3 },
      },
    },
    { type: "step.copied", data: { name: "look", key: "" } },
  ]);
  expect(await journal(made.runId)).toEqual({ look: "look" });
  const counted = "select step_count, last_seq::int from tidebase.runs where run_id = $1";
  const { rows } = await db.pool.query(counted, [made.runId.slice(4)]);
  expect(rows).toEqual([{ step_count: 1, last_seq: 2 }]);
});

test("a fork goes on like any run: kept steps replay, the rest executes, it ends apart from its source", async () => {
  const lease = await finished(["look", "charge"]);
  const { runId } = await fork(lease, { from: { name: "charge" } });
  const grantId = newGrant();
  const { epoch } = (await db.call("runs.begin", { runId, grantId })) as { epoch: number };
  const held = { runId, epoch, grantId };
  expect(epoch).toBe(1);
  const { results } = await db.call("steps.begin", {
    items: ["look", "charge"].map((name) => ({ ...held, name })),
  });
  expect(results).toMatchObject([{ outcome: "replayed", output: "look" }, { outcome: "execute" }]);
  await complete(held, "charge", "anew");
  await db.complete(held, { result: "other" });
  expect(await journal(runId)).toEqual({ look: "look", charge: "anew" });
  expect(await journal(lease.runId)).toEqual({ look: "look", charge: "charge" });
});

test("a rerun keeps nothing but the input, the metadata, the tags and the webhooks that follow", async () => {
  const { name } = await db.channel("follows");
  const content = { input: { n: 1 }, metadata: { team: "a" }, tags: ["x"], webhooks: [name] };
  const { runId } = (await db.call("runs.create", {
    ...{ workflow: "w", idempotencyKey: "k", deadlineMs: 60_000, ...content },
  })) as { runId: string };
  const made = await fork({ runId });
  expect(made).toMatchObject({ keptSteps: 0, forkedFrom: { runId, atSeq: 0 } });
  const { run, input } = await runOf(made.runId);
  expect(input).toEqual({ n: 1 });
  expect(run).toMatchObject({ metadata: { team: "a" }, tags: ["x"], workflow: "w" });
  expect(run, "what belongs to one run alone").toMatchObject({
    ...{ idempotencyKey: null, deadlineAt: null, parentRunId: null, dedupeKey: null },
  });
  const followed = "select webhook_id from tidebase.run_webhooks where run_id = $1";
  expect((await db.pool.query(followed, [made.runId.slice(4)])).rowCount).toBe(1);
  const { runs } = (await db.call("runs.list", { forkedFrom: runId })) as { runs: unknown[] };
  expect(runs).toMatchObject([{ runId: made.runId, forkedFrom: { runId, atSeq: 0 } }]);
  expect((await runOf(runId)).run).toMatchObject({ forkedFrom: null });
});

test("a source in any status can be forked, and its row stays as it was", async () => {
  const ends: Record<string, (lease: Lease) => Promise<unknown>> = {
    pending: (lease) => db.call("runs.release", { ...lease, reason: "shutdown" }),
    running: async () => {},
    waiting: (lease) => db.call("runs.suspend", { ...lease, waits: { signals: ["go"] } }),
    interrupted: ({ runId }) =>
      db.pool.query(
        "update tidebase.runs set status = 'interrupted', lease_expires_at = null where run_id = $1",
        [runId.slice(4)],
      ),
    failed: (lease) => db.call("runs.fail", { ...lease, error: { message: "no" } }),
    completed: (lease) => db.complete(lease),
    cancelled: ({ runId }) => db.call("runs.cancel", { runId }),
  };
  for (const [status, end] of Object.entries(ends)) {
    const lease = await db.begun();
    await complete(lease, "done");
    await begin(lease, "open");
    await end(lease);
    const before = await copyOf(db, lease.runId);
    expect((await runOf(lease.runId)).run).toMatchObject({ status });
    const made = await fork(lease, { from: { name: "open" } });
    expect(await journal(made.runId), status).toEqual({ done: "done" });
    expect(await runOf(made.runId), status).toMatchObject({ run: { status: "pending" } });
    expect(await copyOf(db, lease.runId), status).toEqual(before);
  }
});

test("an edited output is what the fork replays; only a step that is kept can be edited", async () => {
  const lease = await finished(["plan", "draft", "send"]);
  const from = { name: "send" };
  const edit = { name: "draft", output: ["better"], outputMeta: { "": "Set" } };
  const made = await fork(lease, { from, edit });
  expect(made.kept).toEqual([
    { name: "plan", key: "", edited: false },
    { name: "draft", key: "", edited: true },
  ]);
  const { step } = await db.call("steps.get", { runId: made.runId, name: "draft" });
  expect(step).toMatchObject({
    ...{ output: ["better"], outputMeta: { "": "Set" }, reason: "edited", status: "completed" },
  });
  const [created, , copied] = await eventsOf(made.runId);
  expect(created?.data).toMatchObject({ edited: { name: "draft", key: "" } });
  expect(copied?.data).toEqual({ name: "draft", key: "", edited: true });
  expect(await journal(lease.runId)).toMatchObject({ draft: "draft" });
  const early = { ...edit, name: "plan" };
  expect((await plan(lease, { from, edit: early })).warnings).toEqual([
    expect.stringContaining("completed after the edited one"),
  ]);
  const not = (more: object) => refusal(plan(lease, { from, ...more }));
  expect(await not({ edit: { ...edit, name: "send" } })).toBe("step_not_kept");
  expect(await not({ edit: { ...edit, key: "other" } })).toBe("step_not_found");
  expect(await refusal(plan(lease, { edit })), "a rerun keeps none").toBe("step_not_kept");
});

test("another input takes the place of the source's, and the plan warns of what was made of the former", async () => {
  const lease = await finished(["look"]);
  const made = await fork(lease, { atSeq: 3, input: null, inputMeta: [1] });
  expect(made.warnings).toEqual([expect.stringContaining("input_mismatch")]);
  expect(await db.call("runs.get", { runId: made.runId, include: ["input"] })).toMatchObject({
    ...{ input: null, inputMeta: [1] },
  });
});

test("a moment and a step that the source does not have are refused, and so are two moments", async () => {
  const lease = await finished(["look"]);
  expect(await refusal(plan({ runId: NOBODY }))).toBe("run_not_found");
  expect(await refusal(plan(lease, { from: { name: "nobody's" } }))).toBe("step_not_found");
  expect(await refusal(plan(lease, { atSeq: 5 }))).toBe("event_not_found");
  expect(await refusal(plan(lease, { atSeq: 4 }))).toBe("no refusal");
  expect(await refusal(plan(lease, { atSeq: 2, from: { name: "look" } }))).toBe("input_invalid");
  expect(await refusal(plan(lease, { inputMeta: 1 }))).toBe("input_invalid");
});

test("an act that carries the plan's number back is refused once the source has moved", async () => {
  const lease = await db.begun();
  await complete(lease, "one");
  const { seq } = await plan(lease, { atSeq: 3 });
  await complete(lease, "two");
  expect(await refusal(fork(lease, { atSeq: 3, asOf: seq }))).toBe("run_changed");
  expect(await refusal(plan(lease, { atSeq: 3, asOf: seq }))).toBe("run_changed");
  expect(await refusal(fork(lease, { atSeq: 3, asOf: seq + 1 }))).toBe("no refusal");
});

test("the same call with the same forkRunId finds the same fork, also after the source has moved; another is a conflict", async () => {
  const lease = await db.begun();
  await complete(lease, "one");
  const forkRunId = `run_${newGrant().slice(6)}`;
  const ask = { from: { name: "one" }, forkRunId, asOf: 3, queue: "q" };
  const answers = await Promise.all([1, 2, 3, 4].map(() => fork(lease, ask)));
  expect(answers.map(({ runId }) => runId)).toEqual(Array(4).fill(forkRunId));
  expect(answers.filter(({ created }) => created)).toHaveLength(1);
  await complete(lease, "two");
  expect(await fork(lease, ask)).toMatchObject({ runId: forkRunId, created: false });
  expect(await eventsOf(forkRunId)).toHaveLength(1);
  for (const other of [{ queue: null }, { input: 1 }, { from: { name: "two" } }])
    expect(await refusal(fork(lease, { ...ask, ...other, asOf: 4 }))).toBe("idempotency_conflict");
  expect(await refusal(fork(lease, { forkRunId: lease.runId }))).toBe("idempotency_conflict");
});

test("a fork waits for nobody who holds the source, and what commits meanwhile is in it or not as a whole", async () => {
  const lease = await finished(["one"], {}, true);
  const release = await db.hold(lease.runId);
  const ending = db.complete(lease, { result: 1 });
  await db.blocked(1);
  const made = await fork(lease, { atSeq: 3 });
  await release();
  await ending;
  expect(await journal(made.runId)).toEqual({ one: "one" });
  expect((await runOf(made.runId)).run).toMatchObject({ status: "pending" });
});

test("a fork stays in the queue of its source with its place, or goes where it is sent", async () => {
  const item = { workflow: "w", queue: "mail", priority: 7, maxAttempts: 9, concurrencyKey: "c" };
  const own = { dedupeKey: "d", delayMs: 60_000, ttlMs: 90_000 };
  const { results } = (await db.call("runs.enqueue", { items: [{ ...item, ...own }] })) as {
    results: Lease[];
  };
  const source = results[0] as Lease;
  const same = await fork(source);
  expect(same).toMatchObject({ status: "queued", queue: "mail" });
  expect((await runOf(same.runId)).run).toMatchObject({
    ...{ status: "queued", queue: "mail", priority: 7, maxAttempts: 9 },
    ...{ concurrencyKey: "c", dedupeKey: null },
  });
  const other = await fork(source, { queue: "elsewhere" });
  expect((await runOf(other.runId)).run).toMatchObject({
    ...{ status: "queued", queue: "elsewhere", priority: 0, maxAttempts: 3, concurrencyKey: null },
  });
  const none = await fork(source, { queue: null });
  expect((await runOf(none.runId)).run).toMatchObject({ status: "pending", queue: null });
  const { runs } = (await db.call("queues.claim", {
    ...{ queue: "mail", grantId: newGrant(), limit: 10 },
  })) as { runs: Lease[] };
  expect(
    runs.map(({ runId }) => runId),
    "claimable at once",
  ).toEqual([same.runId]);
});

test("a step that a review completed is kept from the review on", async () => {
  const lease = await db.begun();
  await begin(lease, "charge", payment);
  await db.advance("2 minutes");
  const { seq } = (await db.call("steps.review", {
    ...{ runId: lease.runId, name: "charge", decision: "completed", output: 7 },
    ...{ reason: "looked", dryRun: false },
  })) as { seq: number };
  const { events } = { events: await eventsOf(lease.runId) };
  const at = events.find(({ type }) => type === "step.reviewed")?.seq ?? 0;
  expect(seq).toBeGreaterThanOrEqual(at);
  expect((await plan(lease, { atSeq: at - 1 })).keptSteps).toBe(0);
  expect(await journal((await fork(lease, { atSeq: at })).runId)).toEqual({ charge: 7 });
});

test("what would repeat an effect is told by what the source recorded", async () => {
  const lease = await db.begun();
  const keyed = { contract: { sideEffects: ["mail"], idempotencyKey: "k" } };
  await complete(lease, "happened", 1, payment);
  await complete(lease, "keyed", 1, keyed);
  await complete(lease, "reads", 1, { contract: { sideEffects: ["read"] } });
  await complete(lease, "once", 1, { contract: { replay: "never" } });
  await begin(lease, "unknown", payment);
  const repeats = ({ runAgain }: Plan) =>
    Object.fromEntries(runAgain.map((step) => [step.name, step.repeatsEffects]));
  expect(repeats(await plan(lease))).toEqual({
    ...{ happened: true, keyed: false, reads: false, once: true, unknown: true },
  });
  await db.advance("2 minutes");
  await db.call("steps.review", {
    ...{ runId: lease.runId, name: "unknown", decision: "retry", reason: "no", dryRun: false },
  });
  expect(repeats(await plan(lease))).toMatchObject({ unknown: false });
});
