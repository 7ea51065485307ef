import type { Delivered, Effect, Ended, Evidence, Fired, Op } from "../history/evidence.ts";

/** Evidence that can still be changed. */
export interface Draft extends Evidence {
  readonly ops: Op[];
  readonly effects: Effect[];
  readonly deliveries: Delivered[];
  readonly faults: Fired[];
  readonly processes: Ended[];
  readonly final: {
    readonly tables: Record<string, Record<string, unknown>[]>;
    readonly stuck: Record<string, unknown>[];
    readonly now: string;
  };
}

/** The uuid of the nth thing. */
export function uuid(n: number): string {
  return `00000000-0000-7000-8000-${String(n).padStart(12, "0")}`;
}

/** An instant of the database's clock, so many ms after the trial's beginning. */
export function at(ms: number): string {
  return new Date(Date.UTC(2026, 0, 1) + ms).toISOString();
}

export const [JOB, SECOND, TICK_1, TICK_2, PLAIN] = [1, 2, 3, 4, 5].map(uuid) as [
  string,
  string,
  string,
  string,
  string,
];
export const GATE = uuid(10);
export const SCHEDULE = uuid(20);
export const WEBHOOK = uuid(30);
export const DELIVERY = uuid(31);
export const [FAN, PART_0, PART_1] = [40, 41, 42].map(uuid) as [string, string, string];

type Logged = readonly [type: string, ms: number, data?: Record<string, unknown>];

/** Adds a run with its log; its row says what its log does unless told otherwise. */
export function addRun(
  draft: Draft,
  run_id: string,
  row: Record<string, unknown>,
  log: readonly Logged[],
): void {
  const epoch = log.filter(([type]) => type === "run.begun").length;
  const { tables } = draft.final;
  const common = { concurrency_key: null, key_limit: null, dedupe_key: null, schedule_id: null };
  const rest = { ...common, max_attempts: 3, status: "completed", epoch, last_seq: log.length };
  tables["runs"]?.push({ run_id, queue: null, workflow: "job", waits: null, ...rest, ...row });
  log.forEach(([type, ms, data = null], i) => {
    tables["events"]?.push({ run_id, seq: i + 1, type, at: at(ms), data });
  });
}

let calls = 0;

/** Adds a call with both its ends, at `from` and `to`. */
export function addCall(
  draft: Draft,
  op: Pick<Op, "f" | "key"> & Partial<Pick<Op, "proc" | "workload">>,
  ends: { from: number; to: number; asked?: unknown; got?: unknown; type?: "ok" | "fail" | "info" },
): void {
  const call = `call:${calls++}`;
  const common = { proc: "client.0", workload: "W1", ...op, call };
  const { from, to, asked, got, type = "ok" } = ends;
  draft.ops.push({ ...common, at: from, type: "invoke", value: asked });
  draft.ops.push({ ...common, at: to, type, value: got });
}

function emptyDraft(): Draft {
  const names =
    "runs events steps payloads gates queues workers webhooks run_webhooks deliveries schedules schedule_fires streams versions usage signals holders children cascades superseded deleted_runs";
  const tables = Object.fromEntries(names.split(" ").map((name) => [name, []]));
  const ends = { healedAt: 10_000, readAt: 60_000 };
  const final = { tables, stuck: [], now: at(60_000) };
  return {
    seed: 1,
    ops: [],
    effects: [],
    deliveries: [],
    faults: [],
    processes: [],
    workloads: [],
    ...ends,
    final,
  };
}

/** A small trial in which all went well, and every check has something to look at. */
export function goodHistory(): Draft {
  const draft = emptyDraft();
  addJob(draft);
  addWorkOnJob(draft);
  addOthers(draft);
  addSchedule(draft);
  addFanOut(draft);
  addReader(draft);
  for (let n = 0; n < 60; n++)
    addCall(draft, { f: "runs.get", key: `n${n}` }, { from: n, to: n + 1 });
  draft.faults.push({ id: "F1", told: "worker1.0 killed", from: 0, to: 5000 });
  const ended = { name: "worker1.0", role: "worker", meant: true, code: null } as const;
  draft.processes.push({ ...ended, signal: "SIGKILL", stderr: "" });
  draft.ops.sort((a, b) => a.at - b.at);
  return draft;
}

/** A job whose first worker was lost, that asked a human, and left state and usage. */
function addJob(draft: Draft): void {
  const waits = [`gate_${GATE}`];
  const gateId = `gate_${GATE}`;
  addRun(draft, JOB, { queue: "jobs", dedupe_key: "d", concurrency_key: "t" }, [
    ["run.queued", 0, { workflow: "job", queue: "jobs" }],
    ["run.begun", 100, { epoch: 1, queue: "jobs", version: "worker1.0" }],
    ["step.completed", 200, { name: "one", key: "" }],
    ["run.queued", 300, { reason: "lease_over", epoch: 1, attempts: 1 }],
    ["run.begun", 400, { epoch: 2, queue: "jobs", version: "worker2.0" }],
    ["step.completed", 500, { name: "two", key: "x" }],
    ["gate.opened", 600, { gateId }],
    ["run.suspended", 700, { waits }],
    ["gate.resolved", 800, { gateId, status: "approved" }],
    ["run.woken", 800, { by: gateId }],
    ["run.begun", 900, { epoch: 3, queue: "jobs", version: "worker2.0" }],
    ["state.set", 1000, { stream: "state", version: 1 }],
    ["state.set", 1050, { stream: "state", version: 2 }],
    ["usage.recorded", 1100, { kind: "llm" }],
    ["run.completed", 1200],
  ]);
  const { tables } = draft.final;
  const step = { run_id: JOB, status: "completed" };
  tables["steps"]?.push(
    { ...step, name: "one", key: "", epoch: 1, output: '{"nonce":"n1"}' },
    { ...step, name: "two", key: "x", epoch: 2, output: '{"nonce":"n2"}' },
  );
  tables["payloads"]?.push({ run_id: JOB, result: '{"proc":"worker2.0"}' });
  tables["holders"]?.push({ run_id: JOB, epoch: 3, version: "worker2.0" });
  const times = { opened_at: at(600), expires_at: null, decided_at: at(800) };
  tables["gates"]?.push({
    gate_id: GATE,
    run_id: JOB,
    status: "approved",
    decided_by: "human",
    ...times,
  });
  tables["queues"]?.push({
    queue: "jobs",
    concurrency: 1,
    key_concurrency: 1,
    rate_per_minute: 10,
    paused_at: null,
  });
  tables["workers"]?.push({ queue: "jobs", seen_at: at(59_000) });
  tables["streams"]?.push({ run_id: JOB, stream: "state", version: 2 });
  const version = { run_id: JOB, stream: "state", kind: "set" };
  tables["versions"]?.push(
    { ...version, version: 1, body: '{"list":[7]}' },
    { ...version, version: 2, body: '{"list":[7,8]}' },
  );
  tables["usage"]?.push({ run_id: JOB, seq: 14, write_key: "u", quantity: 5 });
}

/** What its workers did, and what clients asked and heard of it. */
function addWorkOnJob(draft: Draft): void {
  const run = `run_${JOB}`;
  const gate = `gate_${GATE}`;
  const effect = { run, attempt: 1 };
  draft.effects.push(
    { ...effect, seq: 1, at: 150, step: "one", proc: "worker1.0", nonce: "n1" },
    { ...effect, seq: 2, at: 480, step: "two/x", proc: "worker2.0", nonce: "n2" },
  );
  const enqueue = { f: "queues.enqueue", key: "d" };
  addCall(draft, enqueue, { from: 0, to: 10, asked: { runId: run }, got: { runId: run } });
  const known = (step: string, nonce: string, proc: string, from: number) =>
    addCall(
      draft,
      { f: "step", key: run, proc },
      { from, to: from + 100, asked: { step }, got: { step, nonce } },
    );
  known("one", "n1", "worker1.0", 140);
  known("one", "n1", "worker2.0", 410);
  known("two/x", "n2", "worker2.0", 470);
  const resolve = { f: "gates.resolve", key: gate, workload: "W3" };
  const approved = { asked: { decision: "approved" }, got: { decision: "approved" } };
  addCall(draft, resolve, { from: 750, to: 850, ...approved });
  addCall(draft, resolve, { from: 760, to: 900, ...approved, type: "info" });
  const refusal = { code: "gate_already_resolved" };
  addCall(draft, resolve, {
    from: 770,
    to: 900,
    asked: { decision: "rejected" },
    got: refusal,
    type: "fail",
  });
  const read = { f: "gates.get", key: gate, workload: "W3" };
  addCall(draft, read, { from: 700, to: 790, got: { status: "open" } });
  addCall(draft, read, { from: 950, to: 960, got: { status: "approved" } });
  const append = { f: "state.append", key: run, workload: "W7" };
  addCall(draft, append, { from: 990, to: 1010, asked: 7, got: 7 });
  addCall(draft, append, {
    from: 1020,
    to: 1030,
    asked: 8,
    got: { error: "version_conflict" },
    type: "fail",
  });
  addCall(draft, append, { from: 1040, to: 1060, asked: 8, got: 8 });
  addCall(draft, { f: "state.read", key: run }, { from: 1015, to: 1018, got: { list: [7] } });
  const spent = { key: "u", amount: 5 };
  addCall(
    draft,
    { f: "usage.record", key: run, workload: "W9" },
    { from: 1090, to: 1110, asked: spent, got: spent },
  );
  const shown = [
    ["run.woken", 10],
    ["run.begun", 11],
    ["state.set", 12],
  ] as const;
  shown.forEach(([type, seq], i) => {
    const got = { stream: "reader", seq, type };
    addCall(
      draft,
      { f: "events.read", key: run, workload: "W7" },
      { from: 1300 + i, to: 1300 + i, got },
    );
  });
}

/** The next job of the same dedupe key, which tells a webhook of its end; and a run in no queue. */
function addOthers(draft: Draft): void {
  const { tables } = draft.final;
  addRun(draft, SECOND, { queue: "jobs", dedupe_key: "d", concurrency_key: "t" }, [
    ["run.queued", 1300, { workflow: "job", queue: "jobs" }],
    ["run.begun", 1400, { epoch: 1, queue: "jobs", version: "worker1.1" }],
    ["run.completed", 1500],
  ]);
  addRun(draft, PLAIN, { status: "cancelled" }, [
    ["run.created", 100, { workflow: "plain" }],
    ["run.begun", 200, { epoch: 1, version: "worker1.0" }],
    ["run.interrupted", 300, { epoch: 1, reason: "lease_over" }],
    ["run.begun", 400, { epoch: 2, version: "worker2.0" }],
    ["run.begun", 500, { epoch: 3, version: "worker1.1", takeover: "lease_over" }],
    ["run.failed", 600, { failureClass: "step_failed", attempts: 1 }],
    ["signal.sent", 650, { name: "s" }],
    ["recovery.requested", 700],
    ["run.cancelled", 800, { from: "pending" }],
    ["delivery.failed", 900],
  ]);
  const run = `run_${PLAIN}`;
  for (const to of [110, 130])
    addCall(
      draft,
      { f: "runs.create", key: "i" },
      { from: 90, to, asked: { idempotencyKey: "i" }, got: { runId: run } },
    );
  addCall(
    draft,
    { f: "signals.send", key: run },
    { from: 640, to: 660, got: { runId: run, seq: 7 } },
  );
  addCall(
    draft,
    { f: "runs.cancel", key: run },
    { from: 790, to: 810, got: { status: "cancelled" } },
  );
  tables["webhooks"]?.push({
    ...{
      webhook_id: WEBHOOK,
      name: "good-a",
      events: ["run.completed"],
      workflows: null,
      every_run: false,
    },
    ...{ created_at: at(-10_000), disabled_at: null, failures: 0 },
  });
  addCall(
    draft,
    { f: "webhooks.create", key: "good-a" },
    { from: 0, to: 20, got: { name: "good-a" } },
  );
  tables["run_webhooks"]?.push({ run_id: SECOND, webhook_id: WEBHOOK });
  tables["deliveries"]?.push({
    ...{
      delivery_id: DELIVERY,
      webhook_id: WEBHOOK,
      run_id: SECOND,
      seq: 3,
      type: "run.completed",
    },
    ...{ status: "delivered", due_at: at(1500) },
  });
  const told = { id: `delivery_${DELIVERY}`, type: "run.completed", runId: `run_${SECOND}` };
  draft.deliveries.push({ ...told, at: 1600, receiver: "good-a", signed: true, status: 204 });
}

/** Fires at its first two seconds, and has missed the next three. */
function addSchedule(draft: Draft): void {
  const { tables } = draft.final;
  const queued = { workflow: "tick", queue: "cron" };
  for (const [run, second] of [
    [TICK_1, 1000],
    [TICK_2, 2000],
  ] as const)
    addRun(draft, run, { queue: "cron", schedule_id: SCHEDULE }, [
      ["run.queued", second, queued],
      ["run.begun", second + 100, { epoch: 1, queue: "cron", version: "worker2.0" }],
      ["run.completed", second + 200],
    ]);
  tables["schedules"]?.push({
    ...{
      schedule_id: SCHEDULE,
      name: "each-second",
      cron: "* * * * * *",
      timezone: "Europe/Berlin",
    },
    ...{ overlap: "skip", revision: 2, created_at: at(500), paused_at: at(9000), failures: 0 },
    next_fire_at: at(6000),
  });
  const row = { schedule_id: SCHEDULE, kind: "cron", count: 1 };
  const fired = { ...row, outcome: "fired" };
  tables["schedule_fires"]?.push(
    { ...fired, fire_at: at(1000), until: at(1000), at: at(1000), run_id: TICK_1 },
    { ...fired, fire_at: at(2000), until: at(2000), at: at(2010), run_id: TICK_2 },
    {
      ...row,
      outcome: "skipped",
      fire_at: at(3000),
      until: at(5000),
      count: 3,
      at: at(8000),
      run_id: null,
    },
  );
  addCall(
    draft,
    { f: "schedules.put", key: "each-second", workload: "W4" },
    { from: 490, to: 510 },
  );
}

/** Its two children have ended when it is begun again, and each gave it something. */
function addFanOut(draft: Draft): void {
  const { tables } = draft.final;
  const parts = [PART_0, PART_1].map((run_id, n) => {
    const result = { proc: "worker2.0", made: `n${n}` };
    const about = { name: "parts", key: String(n), childRunId: `run_${run_id}` };
    return { run_id, n, result, about };
  });
  addRun(draft, FAN, { queue: "work", workflow: "fan" }, [
    ["run.queued", 0, { workflow: "fan", queue: "work" }],
    ["run.begun", 100, { epoch: 1, queue: "work", version: "worker1.1" }],
    ...parts.map(({ about }): Logged => ["child.created", 200, about]),
    ["run.suspended", 300, { waits: ["all_parts"] }],
    ...parts.map(({ about }): Logged => ["child.ended", 600, { ...about, status: "completed" }]),
    ["run.woken", 600, { by: "all_parts" }],
    ["run.begun", 700, { epoch: 2, queue: "work", version: "worker1.1" }],
    ["step.completed", 800, { name: "join:parts", key: "" }],
    ["run.completed", 900],
  ]);
  const output = JSON.stringify(parts.map(({ result }) => result));
  const join = { name: "join:parts", key: "", status: "completed", epoch: 2, output };
  tables["steps"]?.push({ run_id: FAN, ...join });
  const result = '{"proc":"worker1.1","made":2}';
  tables["payloads"]?.push({ run_id: FAN, input: '{"children":2}', result });
  for (const { run_id, n, result: given } of parts) {
    addRun(draft, run_id, { queue: "work", workflow: "part", parent_run_id: FAN }, [
      ["run.queued", 200, { workflow: "part", queue: "work" }],
      ["run.begun", 400, { epoch: 1, queue: "work", version: "worker2.0" }],
      ["run.completed", 600],
    ]);
    tables["payloads"]?.push({ run_id, input: String(n), result: JSON.stringify(given) });
    const edge = { parent_run_id: FAN, name: "parts", key: String(n), ordinal: n + 1 };
    tables["children"]?.push({ ...edge, child_run_id: run_id });
  }
}

/** Was shown all of a run that did not end, and gave up. */
function addReader(draft: Draft): void {
  const about = { key: `run_${TICK_1}`, workload: "W7" };
  addCall(draft, { f: "runs.get", ...about }, { from: 1150, to: 1160, got: { lastSeq: 2 } });
  const got = { stream: "patient", seq: 2, over: false };
  addCall(draft, { f: "events.left", ...about }, { from: 30_000, to: 30_000, got });
}
