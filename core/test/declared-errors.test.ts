import { expect, test } from "vitest";
import { type Actor, operations } from "../src/index.ts";
import { ada, newGrant, signedIn, useDatabase } from "./support/database.ts";

const db = useDatabase();
const NOBODY = "run_00000000-0000-7000-8000-000000000000";
const LARGE = "x".repeat(1_100_000);

async function foreign(): Promise<object> {
  return { ...(await db.begun()), grantId: newGrant() };
}
async function cancelled(): Promise<{ runId: string; epoch: number; grantId: string }> {
  const lease = await db.begun();
  await db.cancel(lease.runId);
  return lease;
}
async function completed(): Promise<string> {
  const lease = await db.begun();
  await db.complete(lease);
  return lease.runId;
}
async function erased(): Promise<string> {
  const runId = await completed();
  await db.call("runs.erase", { runId });
  return runId;
}
const unknown = () => ({ runId: NOBODY, epoch: 1, grantId: newGrant() });

/** What a worker's write is refused for; `more` is what the operation needs besides the lease. */
const refusals = (more: object): Record<string, () => Promise<object>> => ({
  run_not_found: async () => ({ ...unknown(), ...more }),
  run_cancelled: async () => ({ ...(await cancelled()), ...more }),
  lease_lost: async () => ({ ...(await foreign()), ...more }),
});
const onRun = async (runId: Promise<string> | string, more: object = {}) => ({
  runId: await runId,
  ...more,
});
const error = { message: "x" };
const review = { name: "s", decision: "retry", reason: "looked", dryRun: false };

const child = { name: "c", workflow: "w" };

const NO_SCHEDULE = { name: "nobody's" };
const schedule = { name: "nightly", workflow: "w", cron: "0 3 * * *" };
const NO_WEBHOOK = { webhookId: "webhook_00000000-0000-7000-8000-000000000000" };
const NO_DELIVERY = { deliveryId: "delivery_00000000-0000-7000-8000-000000000000" };
const hook = { name: "hook", url: "https://93.184.215.14/", events: ["run.created"] };
/** A delivery that nobody has sent yet. */
async function pendingDelivery(): Promise<object> {
  await db.call("webhooks.create", { ...hook, name: newGrant() });
  const runId = await db.pending();
  const { deliveries } = await db.call("deliveries.list", { runId });
  return { deliveryId: (deliveries as { deliveryId: string }[])[0]?.deliveryId };
}

const NO_GATE = { gateId: "gate_00000000-0000-7000-8000-000000000000" };
const question = { name: "g", prompt: "May I?" };
const schema = {
  type: "object",
  properties: { why: { type: "string" } },
  required: ["why"],
};

/** A decision about a new gate that asks so. */
async function deciding(more: object = {}): Promise<{ gateId: string; digest: string }> {
  const { gateId, digest } = await db.gate(await db.begun(), more);
  return { gateId, digest, ...approval };
}
const approval = { decision: "approved" };
async function decided(): Promise<object> {
  const input = await deciding();
  await db.call("gates.resolve", input, ada);
  return { ...input, decision: "rejected" };
}
async function expired(): Promise<object> {
  const input = await deciding({ expiresInMs: 1000 });
  await db.advance("2 seconds");
  return input;
}
/** Which key opened the gate that `gate_own_run` is provoked with. */
const opener = signedIn("opener", ["work", "approve", "operate"]);
async function own(): Promise<object> {
  const { gate } = await db.call("gates.open", { ...(await db.begun()), ...question }, opener);
  const { gateId, digest } = gate as { gateId: string; digest: string };
  return { gateId, digest, ...approval };
}

/** Every way to refuse a decision; `proof` is what a courier brings with it. */
const undecidable = (
  prove: (input: object) => object | Promise<object>,
): Record<string, () => Promise<object>> => {
  const proved = async (input: Promise<object> | object) => prove(await input);
  return {
    gate_not_found: () => proved({ ...NO_GATE, digest: "v1:", ...approval }),
    gate_already_resolved: () => proved(decided()),
    gate_expired: () => proved(expired()),
    gate_changed: async () => proved({ ...(await deciding()), digest: "v1:other" }),
    gate_assurance_too_low: () => proved(deciding({ risk: "critical" })),
    gate_own_run: () => proved(own()),
    gate_not_approver: () => proved(deciding({ approvers: ["somebody else"] })),
    gate_answer_invalid: async () =>
      proved({ ...(await deciding({ answerSchema: schema })), answer: {} }),
    payload_too_large: async () => proved({ ...(await deciding()), answer: LARGE }),
  };
};
const byCode = async (input: object) => {
  const { gateId, decision } = input as { gateId: string; decision: string };
  const issued = await db
    .call("gates.code", { gateId, decision }, ada)
    .catch(() => ({ code: "AAAA-AAAA" }) as Record<string, unknown>);
  return { ...input, proof: { kind: "code", secret: issued["code"] } };
};
/** Who is refused so, where it is not the caller of an open server. */
const actors: Record<string, Actor> = {
  "runs.deadline scope_missing": signedIn("worker", ["work"]),
  "gates.resolve": ada,
  "gates.code": ada,
  "gates.extend": ada,
  "gates.resolve gate_own_run": opener,
  "gates.redeem gate_own_run": opener,
  "gates.code gate_own_run": opener,
};
const asOpen = ["gate_needs_human"];
/** Only what changes between two statements, or two calls, gets there; gates.test.ts does. */
const RACES = new Set(["gates.form gate_changed", "gates.redeem gate_assurance_too_low"]);

async function queued(queue: string, more: object = {}): Promise<string> {
  const { results } = await db.call("runs.enqueue", { items: [{ workflow: "w", queue, ...more }] });
  return (results as { runId: string }[])[0]?.runId ?? "";
}
/** A failed run whose dedupe key another run has by now. */
async function replaced(): Promise<string> {
  const job = { dedupeKey: "k", maxAttempts: 1 };
  const [runId, grantId] = [await queued("replaced", job), newGrant()];
  await db.call("queues.claim", { queue: "replaced", grantId });
  await db.call("runs.fail", { runId, epoch: 1, grantId, error });
  await queued("replaced", job);
  return runId;
}
async function cancelledByCall() {
  const lease = await db.begun();
  await db.call("runs.cancel", { runId: lease.runId });
  return lease;
}

/** How to provoke each declared error: an input that is refused with it. */
const provoked: Record<string, Record<string, () => Promise<object>>> = {
  "runs.create": {
    idempotency_conflict: async () => {
      await db.call("runs.create", { workflow: "w", idempotencyKey: "k", input: 1 });
      return { workflow: "w", idempotencyKey: "k", input: 2 };
    },
    payload_too_large: async () => ({ workflow: "w", metadata: { LARGE } }),
    webhook_not_found: async () => ({ workflow: "w", webhooks: ["nobody"] }),
  },
  "runs.enqueue": {
    payload_too_large: async () => ({ items: [{ workflow: "w", input: LARGE }] }),
    webhook_not_found: async () => ({ items: [{ workflow: "w", webhooks: ["nobody"] }] }),
  },
  "runs.cancel": {
    run_not_found: () => onRun(NOBODY),
    run_completed: () => onRun(completed()),
    run_changed: () => onRun(db.pending(), { asOf: 7 }),
  },
  "runs.erase": {
    run_not_found: () => onRun(NOBODY),
    run_not_final: () => onRun(db.pending()),
  },
  "runs.deadline": {
    run_not_found: () => onRun(NOBODY, { deadlineMs: 1 }),
    run_completed: () => onRun(completed(), { deadlineMs: 1 }),
    run_cancelled: async () => onRun((await cancelled()).runId, { deadlineMs: 1 }),
    lease_lost: async () => ({ ...(await foreign()), deadlineMs: 1 }),
    scope_missing: () => onRun(db.pending(), { deadlineMs: 1 }),
  },
  "cleanups.begin": {
    run_not_found: async () => unknown(),
    run_not_cancelled: () => db.begun(),
    lease_lost: async () => ({ ...(await cancelledByCall()), grantId: newGrant() }),
    cleanup_over: async () => {
      const lease = await cancelledByCall();
      await db.advance("2 minutes");
      return lease;
    },
  },
  "cleanups.end": {
    run_not_found: async () => unknown(),
    lease_lost: async () => ({ ...(await cancelledByCall()), grantId: newGrant() }),
    cleanup_over: cancelledByCall,
  },
  "queues.update": {
    webhook_not_found: async () => ({ queue: "q", webhook: "nobody" }),
  },
  "runs.begin": {
    run_in_queue: async () => onRun(queued("begin"), { grantId: newGrant() }),
    run_not_found: () => onRun(NOBODY, { grantId: newGrant() }),
    run_leased: async () => onRun((await db.begun()).runId, { grantId: newGrant() }),
    run_cancelled: async () => onRun((await cancelled()).runId, { grantId: newGrant() }),
    run_erased: () => onRun(erased(), { grantId: newGrant() }),
    workflow_mismatch: async () => onRun(db.pending(), { grantId: newGrant(), workflow: "other" }),
  },
  "runs.release": refusals({}),
  "runs.suspend": {
    ...refusals({ waits: { signals: ["s"] } }),
    wait_not_found: async () => ({
      ...(await db.begun()),
      waits: { timers: [{ name: "t" }] },
    }),
  },
  "timers.set": {
    ...refusals({ name: "t", ms: 1 }),
    input_invalid: async () => ({ ...(await db.begun()), name: "t" }),
  },
  "signals.send": {
    run_not_found: () => onRun(NOBODY, { name: "s" }),
    run_completed: () => onRun(completed(), { name: "s" }),
    run_cancelled: async () => onRun((await cancelled()).runId, { name: "s" }),
    payload_too_large: () => onRun(db.pending(), { name: "s", payload: LARGE }),
  },
  "signals.take": {
    ...refusals({ name: "t", signal: "s" }),
    step_settled: async () => {
      const lease = await db.begun();
      const failed = { ...lease, name: "t", error: {}, message: "no" };
      await db.call("steps.fail", { items: [{ ...failed, contract: { replay: "never" } }] });
      await db.call("signals.send", { runId: lease.runId, name: "s" });
      return { ...lease, name: "t", signal: "s" };
    },
    run_too_long: async () => {
      const lease = await db.begun();
      const text = "update tidebase.runs set step_count = max_steps where run_id = $1";
      await db.pool.query(text, [lease.runId.slice(4)]);
      await db.call("signals.send", { runId: lease.runId, name: "s" });
      return { ...lease, name: "t", signal: "s" };
    },
  },
  "children.create": {
    ...refusals({ children: [child] }),
    payload_too_large: async () => ({
      ...(await db.begun()),
      children: [{ ...child, input: LARGE }],
    }),
    run_too_wide: async () => {
      const lease = await db.begun();
      const text = `insert into tidebase.children (parent_run_id, name, key, child_run_id, ordinal)
        select $1, 'many', n::text, gen_random_uuid(), n from generate_series(1, 10000) n`;
      await db.pool.query(text, [lease.runId.slice(4)]);
      return { ...lease, children: [child] };
    },
    run_too_deep: async () => {
      const lease = await db.begun();
      const above = "update tidebase.runs set parent_run_id = $2 where run_id = $1";
      for (let runId = lease.runId, level = 2; level <= 32; level++) {
        const parent = await db.pending();
        await db.pool.query(above, [runId.slice(4), parent.slice(4)]);
        runId = parent;
      }
      return { ...lease, children: [child] };
    },
  },
  "children.list": { run_not_found: () => onRun(NOBODY) },
  "gates.open": {
    ...refusals(question),
    payload_too_large: async () => ({ ...(await db.begun()), ...question, data: LARGE }),
    gate_mismatch: async () => {
      const lease = await db.begun();
      const { gateId, digest } = await db.gate(lease);
      await db.call("gates.resolve", { gateId, digest, ...approval }, ada);
      return { ...lease, name: "send", prompt: "Send something else?" };
    },
  },
  "gates.get": { gate_not_found: async () => NO_GATE },
  "gates.list": { cursor_invalid: async () => ({ cursor: "x" }) },
  "gates.resolve": {
    ...undecidable((input) => input),
    gate_needs_human: () => deciding(),
  },
  "gates.redeem": {
    ...undecidable(byCode),
    gate_code_invalid: async () => ({
      ...(await deciding()),
      proof: { kind: "code", secret: "AAAA-AAAA" },
    }),
    gate_own_run: async () => {
      const input = (await own()) as { gateId: string };
      const { phrase } = await db.call("gates.form", { gateId: input.gateId }, opener);
      return { ...input, proof: { kind: "form", secret: phrase } };
    },
  },
  "gates.form": {
    gate_not_found: async () => NO_GATE,
    gate_already_resolved: async () => ({
      gateId: ((await decided()) as { gateId: string }).gateId,
    }),
    gate_assurance_too_low: async () => ({ gateId: (await deciding({ risk: "high" })).gateId }),
    gate_expired: async () => ({ gateId: ((await expired()) as { gateId: string }).gateId }),
  },
  "gates.code": {
    gate_not_found: async () => ({ ...NO_GATE, ...approval }),
    gate_already_resolved: async () => ({
      gateId: ((await decided()) as { gateId: string }).gateId,
      ...approval,
    }),
    gate_needs_human: async () => ({ gateId: (await deciding()).gateId, ...approval }),
    gate_expired: () => expired(),
    gate_assurance_too_low: () => deciding({ risk: "critical" }),
    gate_changed: async () => ({ ...(await deciding()), digest: "v1:other" }),
    gate_answer_invalid: () => deciding({ answerSchema: schema }),
    payload_too_large: async () => ({ ...(await deciding()), answer: LARGE }),
    gate_own_run: async () => ({
      gateId: ((await own()) as { gateId: string }).gateId,
      ...approval,
    }),
  },
  "gates.extend": {
    gate_not_found: async () => ({ ...NO_GATE, expiresInMs: 1 }),
    gate_already_resolved: async () => ({
      gateId: ((await decided()) as { gateId: string }).gateId,
      expiresInMs: 1,
    }),
    gate_needs_human: async () => ({ gateId: (await deciding()).gateId, expiresInMs: 1 }),
  },
  "sessions.link": { gate_needs_human: async () => ({}) },
  "runs.fail": {
    ...refusals({ error }),
    payload_too_large: async () => ({ ...(await db.begun()), error: { message: LARGE } }),
  },
  "runs.get": { run_not_found: () => onRun(NOBODY) },
  "runs.list": { cursor_invalid: async () => ({ cursor: "x" }) },
  "runs.verdict": { run_not_found: () => onRun(NOBODY) },
  "runs.fork": {
    run_not_found: () => onRun(NOBODY),
    run_erased: () => onRun(erased()),
    step_not_found: () => onRun(db.pending(), { from: { name: "nobody's" } }),
    step_not_kept: async () => {
      const lease = await db.begun();
      const step = { name: "s", output: 1 };
      await db.call("steps.complete", { items: [{ ...lease, ...step }] });
      return { runId: lease.runId, from: { name: "s" }, edit: step };
    },
    event_not_found: () => onRun(db.pending(), { atSeq: 9 }),
    run_changed: () => onRun(db.pending(), { asOf: 9, dryRun: false }),
    idempotency_conflict: async () => {
      const runId = await db.pending();
      return { runId, forkRunId: runId, dryRun: false };
    },
    payload_too_large: () => onRun(db.pending(), { input: LARGE }),
  },
  "runs.recover": {
    dedupe_conflict: () => onRun(replaced(), { dryRun: false }),
    run_not_found: () => onRun(NOBODY),
    run_completed: () => onRun(completed()),
    run_cancelled: async () => onRun((await cancelled()).runId),
    run_leased: async () => onRun((await db.begun()).runId),
    run_waiting: async () => {
      const lease = await db.begun();
      await db.call("runs.suspend", { ...lease, waits: { signals: ["s"] } });
      return { runId: lease.runId };
    },
    run_changed: () => onRun(db.pending(), { asOf: 99 }),
  },
  "steps.review": {
    run_not_found: () => onRun(NOBODY, review),
    step_not_found: () => onRun(db.pending(), review),
    step_not_in_review: async () => {
      const lease = await db.begun();
      await db.call("steps.begin", { items: [{ ...lease, name: "s" }] });
      return onRun(lease.runId, review);
    },
    run_completed: () => onRun(completed(), review),
    run_cancelled: async () => onRun((await cancelled()).runId, review),
    run_changed: () => onRun(db.pending(), { ...review, asOf: 99 }),
    payload_too_large: () =>
      onRun(db.pending(), { ...review, decision: "completed", output: LARGE }),
  },
  "steps.journal": { run_not_found: () => onRun(NOBODY), run_erased: () => onRun(erased()) },
  "steps.list": { run_not_found: () => onRun(NOBODY) },
  "steps.get": { step_not_found: () => onRun(db.pending(), { name: "s" }) },
  "state.write": {
    ...refusals({ kind: "set", value: 1 }),
    version_conflict: async () => ({
      ...(await db.begun()),
      kind: "set",
      value: 1,
      expectVersion: 7,
    }),
    payload_too_large: async () => ({ ...(await db.begun()), kind: "set", value: LARGE }),
  },
  "state.label": {
    ...refusals({ label: "l" }),
    version_not_found: async () => ({ ...(await db.begun()), label: "l" }),
  },
  "state.read": {
    run_not_found: () => onRun(NOBODY),
    version_not_found: () => onRun(db.pending(), { version: 1 }),
  },
  "state.versions": { run_not_found: () => onRun(NOBODY) },
  "state.diff": {
    run_not_found: () => onRun(NOBODY, { from: 1, to: 1 }),
    version_not_found: () => onRun(db.pending(), { from: 1, to: 1 }),
  },
  "state.streams": { run_not_found: () => onRun(NOBODY) },
  "usage.record": {
    ...refusals({ kind: "llm", totalTokens: 1 }),
    payload_too_large: async () => ({
      ...(await db.begun()),
      ...{ kind: "llm", totalTokens: 1, metadata: { text: LARGE } },
    }),
  },
  "usage.list": { run_not_found: () => onRun(NOBODY) },
  "usage.totals": {
    run_not_found: () => onRun(NOBODY),
    input_invalid: async () => ({ tree: "true" }),
  },
  "events.list": { run_not_found: () => onRun(NOBODY) },
  "webhooks.create": {
    webhook_url_refused: async () => ({ ...hook, url: "https://127.0.0.1/" }),
    webhook_exists: async () => {
      await db.call("webhooks.create", hook);
      return hook;
    },
  },
  "webhooks.update": {
    webhook_not_found: async () => NO_WEBHOOK,
    webhook_url_refused: async () => ({ ...NO_WEBHOOK, url: "http://93.184.215.14/" }),
  },
  "webhooks.rotate": { webhook_not_found: async () => NO_WEBHOOK },
  "deliveries.list": { cursor_invalid: async () => ({ cursor: "x" }) },
  "deliveries.redeliver": {
    delivery_not_found: async () => NO_DELIVERY,
    delivery_not_dead: pendingDelivery,
    webhook_not_found: async () => NO_WEBHOOK,
  },
  "schedules.put": {
    cron_invalid: async () => ({ ...schedule, cron: "rubbish" }),
    schedule_contradiction: async () => ({ ...schedule, catchUp: "all" }),
    payload_too_large: async () => ({ ...schedule, input: LARGE }),
  },
  "schedules.get": { schedule_not_found: async () => NO_SCHEDULE },
  "schedules.list": { cursor_invalid: async () => ({ cursor: "x" }) },
  "schedules.fires": {
    schedule_not_found: async () => NO_SCHEDULE,
    cursor_invalid: async () => ({ ...NO_SCHEDULE, cursor: "x" }),
  },
  "schedules.update": {
    schedule_not_found: async () => ({ ...NO_SCHEDULE, paused: true }),
    cron_invalid: async () => {
      const { name } = schedule;
      await db.call("schedules.put", { ...schedule, paused: true });
      await db.pool.query("update tidebase.schedules set cron = 'rubbish' where name = $1", [name]);
      return { name, paused: false };
    },
  },
  "schedules.trigger": {
    schedule_not_found: async () => NO_SCHEDULE,
    idempotency_conflict: async () => {
      const idempotencyKey = newGrant();
      for (const name of ["one", "two"]) await db.call("schedules.put", { ...schedule, name });
      await db.call("schedules.trigger", { name: "one", idempotencyKey });
      return { name: "two", idempotencyKey };
    },
  },
  "schedules.delete": { schedule_not_found: async () => NO_SCHEDULE },
  "keys.revoke": {
    key_not_found: async () => ({ keyId: "key_00000000-0000-7000-8000-000000000000" }),
  },
};

/** `input_refused` is what Postgres says of a value that no schema let through: a last line of defence. */
const declared = operations.flatMap(({ name, errors }) =>
  errors
    .filter((code) => code !== "input_refused" && !RACES.has(`${name} ${code}`))
    .map((code) => [name, code] as const),
);

test.each(declared)("%s can be refused with %s", async (name, code) => {
  const input = await provoked[name]?.[code]?.();
  expect(input, "say here how to provoke it").toBeDefined();
  const known = asOpen.includes(code) ? undefined : actors[name];
  const actor = actors[`${name} ${code}`] ?? known;
  const error = await db.call(name, input ?? {}, actor).then(
    () => undefined,
    (thrown: { code: string; data: object }) => thrown,
  );
  expect(error).toMatchObject({ code });
  // A problem document has these members of its own: data of the same name would be lost over HTTP.
  for (const member of ["type", "title", "status", "detail", "code", "retry"])
    expect(error?.data).not.toHaveProperty(member);
});
