import { randomUUID } from "node:crypto";
import { openCore } from "@tidebase/core";
import { countTokens } from "gpt-tokenizer";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { local, operationNamed, useDatabase } from "../../core/test/support/database.ts";
import { TOOLSETS } from "../../mcp-server/src/tool.ts";
import { type Answer, failedRun, useAgent } from "../../mcp-server/test/support.ts";

/*
 * Every tool on a store as large as they come: an answer stays within its tool's budget and within 4,500
 * tokens, by four bytes for a token and by a tokenizer, and what it leaves out can be read.
 */

const db = useDatabase();
const agent = useAgent(() => ({ TIDEBASE_DATABASE_URL: db.url }), { toolsets: TOOLSETS });

const RUNS = 10_000;
const EVENTS = 10_000;
const GATES = 1000;
const NAMED = 500;
const PLANNED = 5000;
const CAP = 4500;

const ids = { long: "", large: "", failed: "", asking: "", planned: "", gate: "" };
const told: [string, number, number][] = [];

/** The answer, which costs no more than its tool may and no more than any may. */
async function within(budget: number, name: string, input: object = {}): Promise<Answer> {
  const answer = await agent.call(name, input);
  const text = JSON.stringify(answer);
  const [byBytes, byTokenizer] = [Math.ceil(Buffer.byteLength(text) / 4), countTokens(text)];
  told.push([`${name} ${JSON.stringify(input).slice(0, 60)}`, byBytes, byTokenizer]);
  expect(byBytes, name).toBeLessThanOrEqual(budget);
  expect(byTokenizer, `${name} ${JSON.stringify(input)}`).toBeLessThanOrEqual(CAP);
  return answer;
}

beforeAll(async () => {
  await fillLists();
  ids.long = await runOfEvents();
  ids.large = await runOfState();
  ({ runId: ids.failed } = await failedRun(db, {
    message: `Refused: ${"x7 äö\u0007".repeat(33_000)}`,
  }));
  ids.planned = await runOfOpenSteps();
  await db.pool.query("analyze");
}, 600_000);

afterAll(() => {
  const rows = told.map(([call, bytes, tokens]) => `${call.padEnd(95)}${bytes}\t${tokens}`);
  process.stdout.write(`${["Tokens by bytes, by tokenizer:", ...rows].join("\n")}\n`);
});

async function fillLists(): Promise<void> {
  const asking = await db.begun();
  ids.asking = asking.runId;
  await db.pool.query(
    `insert into tidebase.queues (queue, concurrency) select 'queue-' || n, 5 from generate_series(1, $1::int) n`,
    [NAMED],
  );
  await db.pool.query(
    `insert into tidebase.runs (run_id, workflow, status, failure_class, last_seq, max_steps, body_hash, created_at, ended_at,
         queue, run_at, max_attempts, tags)
       select gen_random_uuid(), 'workflow-' || n % 50, case when n % 2 = 0 then 'failed' else 'queued' end::tidebase.run_status,
         case when n % 2 = 0 then 'max_attempts' end::tidebase.failure_class, 1, 1000, '', now() - n * interval '1 second',
         case when n % 2 = 0 then now() end, 'queue-' || 1 + n % $2::int, now() - interval '1 hour', 1, '{nightly,eu}'
         from generate_series(1, $1::int) n`,
    [RUNS, NAMED],
  );
  await db.pool.query(
    `insert into tidebase.schedules (schedule_id, name, workflow, queue, cron, timezone, catch_up, overlap, priority, max_attempts,
         revision, next_fire_at, failures, last_error, created_at)
       select gen_random_uuid(), 'schedule-' || n, 'report', 'queue-1', '0 3 * * *', 'Europe/Berlin', 'latest', 'skip', 0, 3, 1,
         now() - interval '1 hour', 3, repeat('The store refused. ', 40), now() - n * interval '1 second'
         from generate_series(1, $1::int) n`,
    [NAMED],
  );
  await db.pool.query(
    `insert into tidebase.gates (gate_id, run_id, name, key, revision, digest, status, prompt, risk, required, approvals, opened_at, opened_by)
       select gen_random_uuid(), $2::uuid, 'approve', n::text, 1, md5(n::text), 'open', repeat('Send the report? ', 200), 'normal', 'code', 1,
         now() - n * interval '1 second', 'worker' from generate_series(1, $1::int) n`,
    [GATES, asking.runId.slice(4)],
  );
  const { rows } = await db.pool.query("select gate_id from tidebase.gates limit 1");
  ids.gate = `gate_${rows[0].gate_id}`;
}

async function runOfEvents(): Promise<string> {
  const begun = await db.begun();
  const steps = EVENTS - 2;
  for (let from = 0; from < steps; from += 1000) {
    const items = Array.from({ length: Math.min(1000, steps - from) }, (_, index) => ({
      ...begun,
      ...{ name: `step-${from + index}`, key: randomUUID(), output: null },
    }));
    await db.call("steps.complete", { items });
  }
  return begun.runId;
}

/** Larger than a store takes unless it is told to. */
async function runOfState(): Promise<string> {
  const core = openCore({
    databaseUrl: db.url,
    limits: { payloadBytes: 8_000_000 },
    sweeps: false,
  });
  const begun = await db.begun();
  const write = operationNamed("state.write");
  for (const version of [1, 2]) {
    const lines = Array.from({ length: 50_000 }, (_, n) => [n, `${version} ${"word ".repeat(17)}`]);
    const value = { small: [1, 2], log: Object.fromEntries(lines) };
    await core.execute(write, { ...begun, kind: "set", value }, local);
  }
  await core.close();
  return begun.runId;
}

async function runOfOpenSteps(): Promise<string> {
  const begun = await db.begun();
  const contract = { sideEffects: ["mail", "charge"] };
  for (let from = 0; from < PLANNED; from += 1000) {
    const numbers = Array.from({ length: 1000 }, (_, n) => from + n);
    const items = numbers.map((n) => ({ ...begun, name: `step-${n}`, key: "k", contract }));
    await db.call("steps.begin", { items });
  }
  await db.call("runs.fail", {
    ...begun,
    error: { message: "gone" },
    failureClass: "manual_review",
  });
  return begun.runId;
}

const whole = { include: ["steps", "events", "input", "result", "metadata"], detail: "detailed" };

test.each([
  ["tidebase_overview", 2000, () => ({})],
  ["tidebase_list_runs", 2000, () => ({ limit: 50 })],
  ["tidebase_list_runs", 2000, () => ({ limit: 50, search: "Refused", status: ["failed"] })],
  ["tidebase_get_run", 3000, () => ({ runId: ids.long })],
  ["tidebase_get_run", 4500, () => ({ runId: ids.long, ...whole })],
  ["tidebase_get_run", 3000, () => ({ runId: ids.failed })],
  ["tidebase_get_run", 4500, () => ({ runId: ids.failed, ...whole })],
  ["tidebase_get_run", 3000, () => ({ runId: ids.planned })],
  ["tidebase_get_run", 4500, () => ({ runId: ids.planned, ...whole })],
  ["tidebase_get_run", 3000, () => ({ runId: ids.asking })],
  ["tidebase_list_events", 2000, () => ({ runId: ids.long, limit: 200 })],
  ["tidebase_list_events", 2000, () => ({ runId: ids.long, limit: 200, payload: "none" })],
  ["tidebase_list_events", 4500, () => ({ runId: ids.failed, limit: 200, payload: "full" })],
  ["tidebase_list_events", 4500, () => ({ runId: ids.long, limit: 200, payload: "full" })],
  ["tidebase_get_state", 3000, () => ({ runId: ids.large })],
  ["tidebase_get_state", 3000, () => ({ runId: ids.large, path: "/log" })],
  ["tidebase_get_state", 3000, () => ({ runId: ids.large, diffFrom: 1 })],
  ["tidebase_wait_for_run", 400, () => ({ runId: ids.failed, timeoutMs: 0 })],
  ["tidebase_list_gates", 1500, () => ({ limit: 50 })],
  ["tidebase_get_gate", 2500, () => ({ gateId: ids.gate })],
  ["tidebase_list_queues", 2000, () => ({ limit: 50 })],
  ["tidebase_list_schedules", 2000, () => ({ limit: 50 })],
  ["tidebase_recover_run", 3000, () => ({ runId: ids.planned })],
  ["tidebase_recover_run", 3000, () => ({ runId: ids.failed })],
  ["tidebase_fork_run", 3000, () => ({ runId: ids.long })],
  ["tidebase_fork_run", 3000, () => ({ runId: ids.planned })],
  ["tidebase_fork_run", 3000, () => ({ runId: ids.failed, from: { name: "send", key: "1" } })],
  ["tidebase_cancel_run", 400, () => ({ runId: ids.planned })],
  ["tidebase_manage_queue", 2000, () => ({ queue: "queue-1", action: "redrive" })],
  ["tidebase_manage_schedule", 2000, () => ({ name: "schedule-7", action: "trigger" })],
  ["tidebase_enqueue_run", 400, () => ({ workflow: "one-more" })],
] as const)("%s stays within %i tokens (case %#)", async (name, budget, input) => {
  await within(budget, name, input());
});

test("a review of a step whose error has a megabyte stays within 2,000 tokens", async () => {
  const { runId } = await failedRun(db, { message: "no ".repeat(170_000) });
  const review = { runId, name: "send", key: "1", decision: "retry", reason: "looked" };
  await within(2000, "tidebase_review_step", review);
});

test("what a plan of 5,000 steps leaves out is counted, and where to read it said", async () => {
  const runId = ids.planned;
  for (const name of ["tidebase_recover_run", "tidebase_get_run", "tidebase_fork_run"]) {
    const { truncated } = await agent.call(name, { runId });
    expect(truncated, name).toMatchObject({ total: PLANNED });
    expect(truncated.shown).toBeLessThan(PLANNED);
  }
});

describe("a cursor leads through all of it, each once", () => {
  async function follow(name: string, input: object, read: (page: Answer) => string[]) {
    const seen: string[] = [];
    for (let cursor: object | undefined = {}; cursor !== undefined; ) {
      const page: Answer = await agent.call(name, { ...input, ...cursor });
      const rows = read(page);
      expect(rows.length).toBeGreaterThan(0);
      seen.push(...rows);
      const { nextCursor, nextAfterSeq } = page;
      cursor = nextCursor !== undefined ? { cursor: nextCursor } : undefined;
      if (nextAfterSeq !== undefined) cursor = { afterSeq: nextAfterSeq };
    }
    expect(new Set(seen).size).toBe(seen.length);
    return seen;
  }

  test.each([
    ["tidebase_list_runs", { workflow: "workflow-7" }, "runs", "runId", RUNS / 50],
    ["tidebase_list_gates", { status: "open" }, "gates", "gateId", GATES],
  ] as const)("%s", async (name, input, rows, id, count) => {
    const given = { ...input, limit: 50 };
    const seen = await follow(name, given, (page) =>
      page[rows].map((row: Answer) => String(row[id])),
    );
    expect(seen).toHaveLength(count);
  });

  test("tidebase_list_events", async () => {
    const { rows } = await db.pool.query(
      "select seq::int from tidebase.events where run_id = $1 order by seq",
      [ids.long.slice(4)],
    );
    const seen = await follow("tidebase_list_events", { runId: ids.long, limit: 200 }, (page) =>
      page.events.map(({ seq }: Answer) => String(seq)),
    );
    expect(seen).toEqual(rows.map(({ seq }) => String(seq)));
    expect(seen.length).toBeGreaterThanOrEqual(EVENTS);
  });

  test.each([
    ["tidebase_list_queues", "queues", "queue"],
    ["tidebase_list_schedules", "schedules", "name"],
  ])("%s", async (name, rows, named) => {
    const seen = await follow(name, { limit: 50 }, (page) =>
      page.untrusted.data[rows].map((row: Answer) => row[named]),
    );
    expect(seen.filter((one) => one !== "default")).toHaveLength(NAMED);
  });
});
