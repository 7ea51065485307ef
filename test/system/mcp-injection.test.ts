import { beforeAll, describe, expect, test } from "vitest";
import { newGrant, useDatabase } from "../../core/test/support/database.ts";
import { TOOLSETS } from "../../mcp-server/src/tool.ts";
import { type Answer, useAgent } from "../../mcp-server/test/support.ts";
import { HOSTILE, MARK } from "../support/hostile-texts.ts";

/*
 * A hundred texts that want to be obeyed, in every place that a run, a human or a schedule can write to,
 * through every tool: they are told only under `untrusted`, with what nobody sees escaped.
 */

const db = useDatabase();
const agent = useAgent(() => ({ TIDEBASE_DATABASE_URL: db.url }), { toolsets: TOOLSETS });

const HIDDEN = /(?![\n\t])[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}]/u;

/** As a name may be: short, and without what names cannot hold. */
function nameOf(text: string, max = 100): string {
  const [...characters] = text.replace(/[\p{Cc}\p{Cs}]/gu, "").slice(0, max * 2);
  return characters
    .slice(0, max)
    .join("")
    .slice(0, max)
    .replace(/\p{Cs}$/u, "");
}

/** As a payload of text may be. */
function storable(text: string): string {
  return text.replace(/\0|\p{Cs}/gu, "");
}

/** As a queue's name may be. */
function queueOf(name: string): string {
  return name.replace(/[\s,*]/g, "_");
}

interface Written {
  readonly text: string;
  readonly name: string;
  readonly queue: string;
  runId: string;
  gateId: string;
}

async function write(text: string): Promise<Written> {
  const name = nameOf(text);
  const plain = storable(text);
  const small = plain.slice(0, 2000);
  const created = await db.call("runs.create", {
    ...{ workflow: name, input: { [name]: text }, tags: [name], metadata: { [name]: plain } },
    idempotencyKey: name,
  });
  const runId = String(created["runId"]);
  const grantId = newGrant();
  const resumeHint = { command: ["sh", small], cwd: small };
  const holder = { host: name, pid: 1 };
  const begin = { runId, grantId, version: name, holder, resumeHint };
  const { epoch } = await db.call("runs.begin", begin);
  const lease = { runId, epoch, grantId };
  const kept = { ...lease, name: `kept ${name}`, key: name, output: { [name]: text } };
  await db.call("steps.complete", { items: [kept] });
  const contract = { sideEffects: [name], idempotencyKey: undefined };
  const step = { ...lease, name, key: name, contract };
  const error = { name: small, message: plain.slice(0, 300_000), stack: plain.slice(0, 300_000) };
  await db.call("steps.begin", { items: [step] });
  await db.call("steps.fail", { items: [{ ...step, error, message: small }] });
  const remark = { label: name, reason: name, createdBy: name };
  for (const stream of ["state", name]) {
    await db.call("state.write", { ...lease, stream, kind: "set", value: { a: 1 } });
    const value = { [name]: storable(text).slice(0, 300_000) };
    await db.call("state.write", { ...lease, stream, kind: "set", value, ...remark });
  }
  const { gate } = await db.call("gates.open", {
    ...{ ...lease, name, key: name, prompt: plain.slice(0, 4000) || "?", data: { [name]: small } },
    capability: { name, scopes: [name], reason: small },
    approvers: [name],
  });
  await db.call("runs.fail", { ...lease, error, failureClass: "step_failed" });
  const queue = queueOf(name);
  await writeOps(name, queue, small);
  return { text, name, queue, runId, gateId: String((gate as Answer).gateId) };
}

async function writeOps(name: string, queue: string, small: string): Promise<void> {
  const item = { workflow: name, queue, maxAttempts: 1, input: { text: small } };
  const { results } = await db.call("runs.enqueue", { items: [item, item] });
  const [first] = results as [{ runId: string }];
  await db.call("runs.cancel", { runId: first.runId, dryRun: false, reason: name });
  const schedule = { name, workflow: name, queue, cron: "0 3 * * *" };
  await db.call("schedules.put", { ...schedule, input: { text: small }, tags: [name] });
}

/** Every string of a value, member names too, with its path. */
function* stringsIn(value: unknown, path = "$"): Generator<[string, string]> {
  if (typeof value === "string") yield [path, value];
  if (typeof value !== "object" || value === null) return;
  for (const [name, member] of Object.entries(value)) {
    yield [`${path} (name)`, name];
    yield* stringsIn(member, `${path}.${name}`);
  }
}

/** Whether the answer holds anything of what others wrote; throws when it stands where it may not. */
function check(call: string, answer: Answer): boolean {
  const { untrusted, ...ours } = answer;
  for (const [path, text] of stringsIn(ours))
    expect(MARK.test(text) || HIDDEN.test(text), `${call} ${path}: ${text.slice(0, 200)}`).toBe(
      false,
    );
  if (untrusted === undefined) return false;
  const { notice, boundary, data, end, ...more } = untrusted;
  expect([boundary, more]).toEqual([end, {}]);
  expect(Object.keys(untrusted)).toEqual(["notice", "boundary", "data", "end"]);
  expect(MARK.test(notice)).toBe(false);
  let found = false;
  for (const [path, text] of stringsIn(data)) {
    expect(HIDDEN.test(text), `${call} ${path}: ${JSON.stringify(text.slice(0, 200))}`).toBe(false);
    expect(text.includes(boundary), `${call} ${path}`).toBe(false);
    found ||= MARK.test(text);
  }
  return found;
}

const whole = { include: ["steps", "events", "input", "result", "metadata"], detail: "detailed" };

/** Calls of every tool about what was written. */
function callsFor({ name, queue, runId, gateId }: Written): [string, object][] {
  const step = { name, key: name };
  const edit = { name: `kept ${name}`, key: name, output: JSON.stringify(name) };
  return [
    ["overview", {}],
    ["list_runs", { workflow: name }],
    ["list_runs", { queue }],
    ["get_run", { runId }],
    ["get_run", { runId, ...whole }],
    ["list_events", { runId }],
    ["list_events", { runId, payload: "full" }],
    ["get_state", { runId }],
    ["get_state", { runId, stream: name }],
    ["get_state", { runId, diffFrom: 1 }],
    ["list_gates", { runId }],
    ["get_gate", { gateId }],
    ["list_queues", { queue }],
    ["list_schedules", { name }],
    ["recover_run", { runId, reason: name }],
    ["review_step", { runId, ...step, decision: "retry", reason: name }],
    ["fork_run", { runId, from: step, edit, reason: name }],
    ["manage_queue", { queue, action: "pause" }],
    ["manage_queue", { queue, action: "redrive" }],
    ["manage_schedule", { name, action: "trigger" }],
    ["manage_schedule", { name, action: "upsert", workflow: `${name}2`, queue }],
  ];
}

/** Tools whose answers hold nothing of it. */
function silentCallsFor({ name, queue, runId }: Written): [string, object][] {
  return [
    ["wait_for_run", { runId, timeoutMs: 0 }],
    ["cancel_run", { runId, reason: name }],
    ["enqueue_run", { workflow: name, queue, input: { [name]: name } }],
  ];
}

/** Calls that fail, with what was written as their arguments. */
function failingCallsFor({ text, name, runId, gateId }: Written): [string, object][] {
  const nobody = "run_00000000-0000-7000-8000-000000000000";
  return [
    ["get_run", { runId: text.slice(0, 5000) }],
    ["get_run", { runId, [name]: 1 }],
    ["get_run", { runId: nobody, detail: name }],
    ["list_runs", { cursor: name }],
    ["list_runs", { status: [name] }],
    ["list_runs", { since: name.slice(0, 40) }],
    ["get_state", { runId, path: name }],
    ["list_gates", { cursor: name }],
    ["list_queues", { cursor: name }],
    ["list_schedules", { name: `no ${name}` }],
    ["manage_schedule", { name: `no ${name}`, action: "upsert", workflow: name, cron: name }],
    ["manage_schedule", { name, action: "upsert", timezone: name }],
    ["review_step", { runId, name: `no ${name}`, decision: "retry", reason: name }],
    ["review_step", { runId, name, decision: "completed", output: name, reason: name }],
    ["fork_run", { runId, from: { name: `no ${name}` } }],
    ["fork_run", { runId, input: `{${name}` }],
    ["resolve_gate", { gateId, proposedDecision: name }],
    ["resolve_gate", { gateId: name, proposedDecision: "approved" }],
    [name, {}],
  ];
}

describe("a hundred hostile texts", () => {
  const written: Written[] = [];
  beforeAll(async () => {
    expect(new Set(HOSTILE).size).toBe(100);
    for (const text of HOSTILE) written.push(await write(text));
  }, 300_000);

  test("are told by every tool that tells of them, only under untrusted and escaped", async () => {
    const telling = new Set<string>();
    for (const one of written) {
      for (const [name, input] of callsFor(one)) {
        const answer = await agent.call(`tidebase_${name}`, input);
        if (check(name, answer)) telling.add(name);
      }
    }
    const [first] = written;
    const expected = new Set(callsFor(first as Written).map(([name]) => name));
    expect(telling).toEqual(expected);
  });

  test("are left out by the tools that need not tell of them", async () => {
    for (const one of written)
      for (const [name, input] of silentCallsFor(one))
        expect(check(name, await agent.call(`tidebase_${name}`, input)), name).toBe(false);
  });

  test("are repeated by no error, whatever argument they are", async () => {
    for (const one of written)
      for (const [name, input] of failingCallsFor(one)) {
        const error = await agent.refused(name === one.name ? name : `tidebase_${name}`, input);
        for (const [path, text] of stringsIn(error))
          expect(MARK.test(text) || HIDDEN.test(text), `${name} ${path}: ${text}`).toBe(false);
      }
  });
});
