import { readdirSync, readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { RECORDED } from "../checks/calls.ts";
import { firesOf, firstAfter } from "../checks/cron-times.ts";
import { check, checks, invalid } from "../checks/index.ts";
import { type Access, unexplained } from "../checks/linear.ts";
import type { Fired } from "../history/evidence.ts";
import { shrink, timeline, timelineHtml } from "../shrink.ts";
import {
  addCall,
  addRun,
  at,
  DELIVERY,
  type Draft,
  FAN,
  GATE,
  goodHistory,
  JOB,
  PART_1,
  PLAIN,
  SCHEDULE,
  SECOND,
  TICK_1,
  uuid,
  WEBHOOK,
} from "./good-history.ts";

const run = `run_${JOB}`;
const gate = `gate_${GATE}`;

/** The row of the table in which the column has the value; it can be changed. */
function row(draft: Draft, table: string, column: string, value: unknown): Record<string, unknown> {
  const found = draft.final.tables[table]?.find((one) => one[column] === value);
  if (found === undefined) throw new Error(`There is no ${table} with ${column} ${String(value)}.`);
  return found;
}

/** A fault that has found a lapsed lease in the store, so many ms after its beginning. */
function seenUnderFault(ms: number): Fired {
  const then = goodHistory();
  addRun(then, uuid(50), { status: "running", lease_expires_at: at(2000) }, [
    ["run.created", 100],
    ["run.begun", 200, { epoch: 1 }],
  ]);
  const look = { since: 0, at: ms, final: { ...then.final, now: at(ms) } };
  return { id: "F25", told: "refused a row", from: 0, to: ms, look };
}

function add(draft: Draft, table: string, ...rows: Record<string, unknown>[]): void {
  draft.final.tables[table]?.push(...rows);
}

function remove(draft: Draft, table: string, column: string, value: unknown): void {
  const rows = draft.final.tables[table] ?? [];
  draft.final.tables[table] = rows.filter((one) => one[column] !== value);
}

function event(draft: Draft, runId: string, seq: number): Record<string, unknown> {
  const found = draft.final.tables["events"]?.find(
    (one) => one["run_id"] === runId && one["seq"] === seq,
  );
  if (found === undefined) throw new Error(`There is no event ${seq}.`);
  return found;
}

type Breaks = Readonly<Record<string, (draft: Draft) => void>>;

const effect = { seq: 9, run, attempt: 1, proc: "worker2.0", nonce: "n9" };

function beginAttempts(draft: Draft, ...times: readonly number[]): void {
  for (const beganAt of times)
    draft.ops.push({
      ...{ at: beganAt, proc: "worker2.0", workload: "W1", f: "attempt", key: run },
      ...{ type: "invoke", call: `attempt:${beganAt}`, value: { beganAt } },
    });
}

/** What each check is to find, in a history that is good but for it. */
const BROKEN: Readonly<Record<string, Breaks>> = {
  C1: {
    "a step that is executed by who began after it was completed": ({ effects }) => {
      effects.push({ ...effect, at: 950, step: "one" });
    },
    "a step that is executed by who had been told of its completion": ({ effects }) => {
      effects.push({ ...effect, at: 1150, step: "one", proc: "worker1.0" });
    },
    "a step that is executed by a later attempt than all that can have begun without it": (
      draft,
    ) => {
      beginAttempts(draft, 405, 905);
      draft.effects.push({ ...effect, at: 950, step: "two/x", nonce: "905/n9" });
    },
    "a replay that returns another output": (draft) => {
      const got = { step: "one", nonce: "n9" };
      addCall(draft, { f: "step", key: run }, { from: 920, to: 930, got });
    },
    "an output that no effect made": (draft) => {
      row(draft, "steps", "name", "two")["output"] = '{"nonce":"n9"}';
    },
  },
  C2: {
    "an epoch that is granted twice": (draft) => {
      event(draft, JOB, 5)["data"] = { epoch: 1, queue: "jobs", version: "worker2.0" };
    },
    "a completion under an epoch that had been taken over": (draft) => {
      row(draft, "steps", "name", "two")["epoch"] = 1;
    },
    "a completion of another worker than the holder": (draft) => {
      draft.effects[1] = {
        ...effect,
        seq: 2,
        at: 480,
        step: "two/x",
        proc: "worker1.0",
        nonce: "n2",
      };
    },
    "a run that is completed by another worker than its last holder": (draft) => {
      row(draft, "payloads", "run_id", JOB)["result"] = '{"proc":"worker1.0"}';
    },
    "a holder that was not granted the run last": (draft) => {
      row(draft, "holders", "run_id", JOB)["version"] = "worker1.0";
    },
    "a holder of another epoch than was granted last": (draft) => {
      row(draft, "holders", "run_id", JOB)["epoch"] = 2;
    },
  },
  C3: {
    "a run that was acknowledged and is not there": (draft) => {
      const lost = `run_${uuid(99)}`;
      addCall(draft, { f: "runs.create", key: lost }, { from: 1, to: 2, got: { runId: lost } });
    },
    "a signal whose event is not there": (draft) => {
      const got = { runId: `run_${PLAIN}`, seq: 99 };
      addCall(draft, { f: "signals.send", key: `run_${PLAIN}` }, { from: 1, to: 2, got });
    },
    "a step that was acknowledged and is not completed": (draft) => {
      row(draft, "steps", "name", "two")["status"] = "begun";
    },
    "a run that every call to make it was refused": (draft) => {
      const asked = { runId: `run_${TICK_1}` };
      addCall(draft, { f: "queues.enqueue", key: "k" }, { from: 1, to: 2, asked, type: "fail" });
    },
    "two runs for one idempotency key": (draft) => {
      for (const id of [run, `run_${PLAIN}`])
        addCall(
          draft,
          { f: "runs.create", key: id },
          {
            ...{ from: 1, to: 2 },
            ...{ asked: { idempotencyKey: "i" }, got: { runId: id } },
          },
        );
    },
    "a second run under an idempotency key, whose answer was lost": (draft) => {
      const asked = { idempotencyKey: "i", runId: run };
      const lost = { from: 1, to: 2, asked, type: "info" } as const;
      addCall(draft, { f: "queues.enqueue", key: run }, lost);
    },
    "a schedule that one key has triggered twice": (draft) => {
      for (const id of [run, `run_${PLAIN}`]) {
        const answered = { asked: { idempotencyKey: "t" }, got: { runId: id } };
        addCall(
          draft,
          { f: "schedules.trigger", key: "each-second" },
          { from: 1, to: 2, ...answered },
        );
      }
    },
    "a run that was cancelled and is not there": (draft) => {
      const got = { status: "cancelled" };
      addCall(draft, { f: "runs.cancel", key: `run_${uuid(99)}` }, { from: 1, to: 2, got });
    },
    "a run that was deleted while it was running": (draft) => {
      add(draft, "deleted_runs", { run_id: uuid(98), status: "running" });
    },
    "rows of a run that does not exist": (draft) => {
      add(draft, "steps", { run_id: uuid(98), name: "left", key: "", status: "begun", epoch: 1 });
    },
  },
  C4: {
    "a gate that is decided twice": (draft) => {
      event(draft, JOB, 10)["type"] = "gate.resolved";
      event(draft, JOB, 10)["data"] = { gateId: gate, status: "rejected" };
    },
    "a decision that stands otherwise in the end": (draft) => {
      row(draft, "gates", "gate_id", GATE)["status"] = "rejected";
    },
    "a gate that was decided and is gone, while another's run was deleted": (draft) => {
      remove(draft, "gates", "gate_id", GATE);
      event(draft, JOB, 9)["type"] = "signal.sent";
      add(draft, "deleted_runs", { run_id: uuid(98), status: "completed" });
    },
    "a read after the decision that does not see it": (draft) => {
      addCall(
        draft,
        { f: "gates.get", key: gate },
        { from: 870, to: 880, got: { status: "open" } },
      );
    },
    "a refusal before anybody had decided": (draft) => {
      const got = { code: "gate_already_resolved" };
      addCall(draft, { f: "gates.resolve", key: gate }, { from: 610, to: 620, got, type: "fail" });
    },
    "a worker's key that decides": (draft) => {
      row(draft, "gates", "gate_id", GATE)["decided_by"] = "worker";
    },
  },
  C5: {
    "a second active run while the first is": (draft) => {
      event(draft, SECOND, 1)["at"] = at(1150);
    },
    "two active runs in the end": (draft) => {
      row(draft, "runs", "run_id", JOB)["status"] = "waiting";
      row(draft, "runs", "run_id", SECOND)["status"] = "queued";
    },
  },
  C6: {
    "a job that is claimed while it is held": (draft) => {
      event(draft, JOB, 4)["type"] = "run.begun";
    },
    "more runs at once than their queue may": (draft) => {
      event(draft, SECOND, 1)["at"] = at(1000);
      event(draft, SECOND, 2)["at"] = at(1100);
    },
    "more claims in a minute than their queue may": (draft) => {
      row(draft, "queues", "queue", "jobs")["rate_per_minute"] = 3;
    },
    "an attempt that is counted twice": (draft) => {
      event(draft, JOB, 4)["data"] = { reason: "lease_over", epoch: 1, attempts: 2 };
    },
    "more attempts than a job has": (draft) => {
      row(draft, "runs", "run_id", JOB)["max_attempts"] = 0;
    },
  },
  C7: {
    "an instant without a row": (draft) => {
      remove(draft, "schedule_fires", "fire_at", at(2000));
      remove(draft, "runs", "schedule_id", SCHEDULE);
    },
    "an instant with two rows": (draft) => {
      row(draft, "schedule_fires", "fire_at", at(1000))["until"] = at(2000);
    },
    "a fire before its time": (draft) => {
      row(draft, "schedule_fires", "fire_at", at(2000))["at"] = at(1900);
    },
    "a run that no fire has made": (draft) => {
      row(draft, "runs", "run_id", PLAIN)["schedule_id"] = SCHEDULE;
    },
    "a fire whose run is not there": (draft) => {
      row(draft, "schedule_fires", "run_id", TICK_1)["run_id"] = uuid(97);
    },
    "a row that stands for too few instants": (draft) => {
      row(draft, "schedule_fires", "outcome", "skipped")["count"] = 2;
    },
    "instants that have no row at the end": (draft) => {
      row(draft, "schedules", "name", "each-second")["next_fire_at"] = at(9000);
    },
    "a schedule that has never fired": (draft) => {
      remove(draft, "schedule_fires", "schedule_id", SCHEDULE);
      remove(draft, "runs", "schedule_id", SCHEDULE);
      const schedule = row(draft, "schedules", "name", "each-second");
      Object.assign(schedule, { next_fire_at: at(1000), paused_at: at(12_000) });
    },
    "a fire beside a run of the schedule, where it should skip": (draft) => {
      event(draft, TICK_1, 3)["at"] = at(2500);
    },
  },
  C8: {
    "a write after the end": (draft) => {
      event(draft, PLAIN, 10)["type"] = "step.completed";
    },
    "a write while nobody holds the run": (draft) => {
      event(draft, JOB, 8)["type"] = "run.released";
      event(draft, JOB, 10)["type"] = "state.set";
    },
    "an end that is not the row's": (draft) => {
      row(draft, "runs", "run_id", SECOND)["status"] = "cancelled";
    },
    "a takeover without a reason": (draft) => {
      event(draft, PLAIN, 5)["data"] = { epoch: 3, version: "worker1.1" };
    },
    "an event that nobody knows": (draft) => {
      event(draft, PLAIN, 7)["type"] = "run.vanished";
    },
  },
  C9: {
    "a log with a gap": (draft) => {
      event(draft, SECOND, 3)["seq"] = 4;
    },
    "a log that has lost its end": (draft) => {
      row(draft, "runs", "run_id", SECOND)["last_seq"] = 4;
    },
    "a reader who is shown an event twice": (draft) => {
      const got = { stream: "reader", seq: 12, type: "state.set" };
      addCall(draft, { f: "events.read", key: run }, { from: 1400, to: 1400, got });
    },
    "a reader who was not told of what was there long before it gave up": (draft) => {
      const about = { key: `run_${TICK_1}`, workload: "W7" };
      addCall(draft, { f: "runs.get", ...about }, { from: 1300, to: 1310, got: { lastSeq: 3 } });
    },
    "a reader who was told too early that there is no more": (draft) => {
      const got = { stream: "hasty", seq: 2, over: true };
      addCall(draft, { f: "events.left", key: `run_${TICK_1}` }, { from: 1250, to: 1250, got });
    },
    "a reader who is shown what was never committed": (draft) => {
      const got = { stream: "other", seq: 16, type: "state.set" };
      addCall(draft, { f: "events.read", key: run }, { from: 1400, to: 1400, got });
    },
  },
  C10: {
    "an event without its delivery": (draft) => {
      draft.final.tables["deliveries"] = [];
    },
    "a delivery that is called delivered and was not received": (draft) => {
      draft.deliveries.length = 0;
    },
    "a delivery that nobody took": (draft) => {
      draft.deliveries.splice(0, 1, {
        ...(draft.deliveries[0] as never as object),
        status: 500,
      } as never);
    },
    "a message without a good signature": (draft) => {
      const told = { id: `delivery_${DELIVERY}`, type: "run.completed", runId: `run_${SECOND}` };
      draft.deliveries.push({ ...told, at: 1700, receiver: "good-a", signed: false, status: 204 });
    },
    "a message that nobody owed": (draft) => {
      const told = { id: `delivery_${uuid(96)}`, type: "run.completed", runId: `run_${SECOND}` };
      draft.deliveries.push({ ...told, at: 1, receiver: "good-a", signed: true, status: 204 });
    },
  },
  C11: {
    "an acknowledged append that is lost": (draft) => {
      const value = { asked: 9, got: 9 };
      addCall(draft, { f: "state.append", key: run }, { from: 1055, to: 1056, ...value });
    },
    "a version that forgets the one before": (draft) => {
      row(draft, "versions", "version", 2)["body"] = '{"list":[8]}';
    },
    "an append that counts twice": (draft) => {
      row(draft, "versions", "version", 2)["body"] = '{"list":[7,8,8]}';
    },
    "an append that nobody made": (draft) => {
      row(draft, "versions", "version", 2)["body"] = '{"list":[7,8,1]}';
    },
    "a version that is missing": (draft) => {
      row(draft, "streams", "run_id", JOB)["version"] = 3;
    },
    "a read that does not see an append before it": (draft) => {
      addCall(draft, { f: "state.read", key: run }, { from: 1070, to: 1080, got: { list: [7] } });
    },
  },
  C12: {
    "usage that is counted twice": (draft) => {
      add(draft, "usage", { run_id: JOB, seq: 15, write_key: "u", quantity: 5 });
    },
    "usage that was acknowledged and is lost": (draft) => {
      draft.final.tables["usage"] = [];
    },
    "another amount than was recorded": (draft) => {
      row(draft, "usage", "write_key", "u")["quantity"] = 6;
    },
  },
  C13: {
    "a lease that nobody ended": (draft) => {
      addRun(draft, uuid(50), { status: "running", lease_expires_at: at(2000) }, [
        ["run.created", 100],
        ["run.begun", 200, { epoch: 1 }],
      ]);
    },
    "a lease that nobody ended while a fault lasted that may hold up nothing": ({ faults }) => {
      faults.push(seenUnderFault(40_000));
    },
    "a job that nobody claims": (draft) => {
      addRun(draft, uuid(50), { status: "queued", queue: "jobs", run_at: at(2000) }, [
        ["run.queued", 2000, { queue: "jobs" }],
      ]);
    },
    "a run that waits for what has happened": (draft) => {
      addRun(draft, uuid(50), { status: "waiting", waits: [gate] }, [
        ["run.created", 100],
        ["run.begun", 200, { epoch: 1 }],
        ["run.suspended", 300],
      ]);
    },
    "a message that nobody sends": (draft) => {
      const message = { webhook_id: WEBHOOK, run_id: SECOND, seq: 2, type: "run.begun" };
      const late = { delivery_id: uuid(51), status: "pending", due_at: at(3000) };
      add(draft, "deliveries", { ...message, ...late });
    },
    "a message that a good receiver is not sent again after a failure": (draft) => {
      row(draft, "webhooks", "webhook_id", WEBHOOK)["failures"] = 1;
      const message = { webhook_id: WEBHOOK, run_id: SECOND, seq: 2, type: "run.begun" };
      const late = { delivery_id: uuid(51), status: "pending", due_at: at(3000) };
      add(draft, "deliveries", { ...message, ...late });
    },
    "a schedule that does not fire": (draft) => {
      row(draft, "schedules", "name", "each-second")["paused_at"] = null;
    },
    "a backend that is stuck": ({ final }) => {
      final.stuck.push({ pid: 7, state: "idle in transaction", query: "begin" });
    },
  },
  C15: {
    "a server that ended by itself": ({ processes }) => {
      const ended = { name: "server1.0", role: "server", meant: false, code: 1 } as const;
      processes.push({ ...ended, signal: null, stderr: "" });
    },
    "a worker that tells of a rejection that nobody caught": ({ processes }) => {
      const stderr = "[UnhandledPromiseRejection: This error originated …]";
      const ended = { name: "worker3.0", role: "worker", meant: true, code: 1 } as const;
      processes.push({ ...ended, signal: null, stderr });
    },
  },
  C16: {
    "a child that was made twice for its name": (draft) => {
      event(draft, FAN, 4)["data"] = { name: "parts", key: "0", childRunId: `run_${PART_1}` };
    },
    "a child without its row": (draft) => {
      row(draft, "runs", "run_id", SECOND)["parent_run_id"] = JOB;
    },
    "a row of a child that is not there": (draft) => {
      add(draft, "children", { parent_run_id: FAN, name: "left", key: "", child_run_id: uuid(98) });
    },
    "a child that was deleted, and its row was not": (draft) => {
      add(draft, "deleted_runs", { run_id: PART_1, status: "completed" });
    },
    "a join before all children had ended": (draft) => {
      event(draft, FAN, 7)["data"] = event(draft, FAN, 6)["data"];
    },
    "a join of another result than a child has": (draft) => {
      row(draft, "payloads", "run_id", PART_1)["result"] = '{"proc":"worker2.0","made":"n9"}';
    },
    "a join that has left one out": (draft) => {
      row(draft, "steps", "name", "join:parts")["output"] = '[{"proc":"worker2.0","made":"n0"}]';
    },
    "a finished fan-out of fewer children than it was to have": (draft) => {
      remove(draft, "children", "child_run_id", PART_1);
      remove(draft, "runs", "run_id", PART_1);
      row(draft, "steps", "name", "join:parts")["output"] =
        '[{"proc":"worker2.0","made":"n0"},{"status":"failed"}]';
    },
    "a finished fan-out that has not joined": (draft) => {
      remove(draft, "steps", "run_id", FAN);
    },
    "more children than a fan-out was to have, before it has joined": (draft) => {
      row(draft, "runs", "run_id", FAN)["status"] = "waiting";
      remove(draft, "steps", "run_id", FAN);
      row(draft, "payloads", "run_id", FAN)["input"] = '{"children":1}';
    },
    "a fan-out that tells of fewer results": (draft) => {
      row(draft, "payloads", "run_id", FAN)["result"] = '{"proc":"worker1.1","made":1}';
    },
  },
};

test("a history in which all went well breaks no promise", () => {
  expect(check(goodHistory())).toEqual([]);
  expect(invalid(goodHistory())).toEqual([]);
});

test("every check has what it is to find", () => {
  const judging = checks.map(({ id }) => id).filter((id) => id !== "C14");
  expect(Object.keys(BROKEN)).toEqual(judging);
  expect(new Set(checks.flatMap(({ promises }) => promises)).size).toBeGreaterThan(15);
});

test("what checks ask for is what workloads record", () => {
  const folder = new URL("../workloads/", import.meta.url);
  const texts = readdirSync(folder).map((file) => readFileSync(new URL(file, folder), "utf8"));
  const recorded = texts.flatMap((text) => [...text.matchAll(/\bf: "([\w.]+)"/g)]);
  expect([...new Set(recorded.map(([, name]) => name))].sort()).toEqual([...RECORDED].sort());
});

describe.each(Object.entries(BROKEN))("%s finds", (id, breaks) => {
  test.each(Object.entries(breaks))("%s", (_, spoil) => {
    const draft = goodHistory();
    spoil(draft);
    draft.ops.sort((a, b) => a.at - b.at);
    expect(check(draft).map((violation) => violation.check)).toContain(id);
  });
});

describe("what looks wrong and is not", () => {
  test.each<[string, (draft: Draft) => void]>([
    [
      "the late effect of a worker that was stopped, and whose writes were refused",
      ({ effects }) => void effects.push({ ...effect, at: 600, step: "two/x", proc: "worker1.0" }),
    ],
    [
      "the late effect of an attempt whose grant came before the completion",
      (draft) => {
        beginAttempts(draft, 905);
        draft.effects.push({ ...effect, at: 950, step: "two/x", nonce: "905/n9" });
      },
    ],
    [
      "a step that runs again because its worker was lost before it was completed",
      ({ effects }) => void effects.push({ ...effect, at: 160, step: "two/x", proc: "worker1.0" }),
    ],
    [
      "a decision whose answer was lost",
      (draft) => {
        const asked = { decision: "rejected" };
        addCall(draft, { f: "gates.resolve", key: gate }, { from: 1, to: 2, asked, type: "info" });
      },
    ],
    [
      "a message that was received twice",
      ({ deliveries }) => void deliveries.push(...deliveries.slice(0, 1)),
    ],
    [
      "a message that came before its receiver had been told its secret",
      ({ deliveries }) => {
        const [one] = deliveries;
        if (one !== undefined) deliveries.push({ ...one, at: 10, signed: false });
      },
    ],
    [
      "an append whose answer was lost and that did not happen",
      (draft) =>
        addCall(draft, { f: "state.append", key: run }, { from: 1, to: 2, asked: 3, type: "info" }),
    ],
    [
      "a run that retention has deleted",
      (draft) => {
        const id = uuid(95);
        add(draft, "deleted_runs", { run_id: id, status: "failed" });
        const got = { runId: `run_${id}` };
        addCall(draft, { f: "runs.create", key: got.runId }, { from: 1, to: 2, got });
      },
    ],
    [
      "a gate of a run that retention has deleted",
      (draft) => {
        const id = uuid(95);
        const gone = `gate_${uuid(94)}`;
        add(draft, "deleted_runs", { run_id: id, status: "completed" });
        const opened = { from: 1, to: 2, got: { gateId: gone, status: "open" } };
        addCall(draft, { f: "gates.open", key: `run_${id}` }, opened);
        const decided = { asked: { decision: "approved" }, got: { decision: "approved" } };
        addCall(draft, { f: "gates.resolve", key: gone }, { from: 3, to: 4, ...decided });
      },
    ],
    [
      "a reader who gave up soon after there was more",
      (draft) => {
        const about = { key: `run_${TICK_1}`, workload: "W7" };
        const got = { lastSeq: 3 };
        addCall(draft, { f: "runs.get", ...about }, { from: 25_000, to: 25_010, got });
      },
    ],
    [
      "a reader who gave up soon after all was healed",
      (draft) => {
        const about = { key: `run_${TICK_1}`, workload: "W7" };
        addCall(draft, { f: "runs.get", ...about }, { from: 1300, to: 1310, got: { lastSeq: 3 } });
        draft.faults.push({ id: "F2", told: "server1.0 stopped", from: 1200, to: 25_000 });
      },
    ],
    [
      "a schedule that could not fire until it was paused",
      (draft) => {
        row(draft, "schedules", "name", "each-second")["paused_at"] = at(40_000);
        draft.faults.push({ id: "F9", told: "Postgres was away", from: 5500, to: 39_000 });
      },
    ],
    [
      "a schedule that was made in the millisecond of its first fire, which had been planned before",
      (draft) => {
        row(draft, "schedules", "name", "each-second")["created_at"] = at(1000);
      },
    ],
    [
      "a message that waits until its webhook is tried again",
      (draft) => {
        const webhook = row(draft, "webhooks", "webhook_id", WEBHOOK);
        Object.assign(webhook, { failures: 5, closed_until: at(50_000) });
        const message = { webhook_id: WEBHOOK, run_id: SECOND, seq: 2, type: "run.begun" };
        const late = { delivery_id: uuid(51), status: "pending", due_at: at(3000) };
        add(draft, "deliveries", { ...message, ...late });
      },
    ],
    [
      "a job that waits for its turn, while its queue gives others",
      (draft) => {
        addRun(draft, uuid(50), { status: "queued", queue: "jobs", run_at: at(2000) }, [
          ["run.queued", 2000, { queue: "jobs" }],
        ]);
        addRun(draft, uuid(51), { queue: "jobs" }, [
          ["run.queued", 2000, { queue: "jobs" }],
          ["run.begun", 50_000, { epoch: 1 }],
          ["run.completed", 50_010],
        ]);
      },
    ],
    [
      "a job that waits for the only slot of its queue",
      (draft) => {
        addRun(draft, uuid(50), { status: "queued", queue: "jobs", run_at: at(2000) }, [
          ["run.queued", 2000, { queue: "jobs" }],
        ]);
        addRun(draft, uuid(51), { status: "running", queue: "jobs" }, [
          ["run.queued", 2000, { queue: "jobs" }],
          ["run.begun", 3000, { epoch: 1 }],
        ]);
      },
    ],
    [
      "what is late under a fault that has only just begun",
      ({ faults }) => void faults.push(seenUnderFault(10_000)),
    ],
    [
      "a lease that ended just now",
      (draft) =>
        addRun(draft, uuid(50), { status: "running", lease_expires_at: at(59_000) }, [
          ["run.created", 100],
          ["run.begun", 200, { epoch: 1 }],
        ]),
    ],
  ])("%s", (_, change) => {
    const draft = goodHistory();
    change(draft);
    draft.ops.sort((a, b) => a.at - b.at);
    expect(check(draft)).toEqual([]);
  });
});

describe("a trial is invalid", () => {
  test.each<[string, (draft: Draft) => void]>([
    ["when no fault was fired", ({ faults }) => void faults.splice(0)],
    [
      "when a fault did not fire",
      ({ faults }) => void faults.push({ id: "F2", told: "nothing", from: 9, to: 9 }),
    ],
    [
      "when too little was good while faults were on",
      ({ faults }) => void faults.splice(0, 1, { id: "F1", told: "a kill", from: 2, to: 20 }),
    ],
    [
      "when nothing of a workload was good",
      (draft) =>
        addCall(draft, { f: "x", key: "y", workload: "W5" }, { from: 1, to: 2, type: "fail" }),
    ],
  ])("%s", (_, change) => {
    const draft = goodHistory();
    change(draft);
    expect(invalid(draft)).toHaveLength(1);
    expect(check(draft)).toEqual([]);
  });
});

describe("the search for an order", () => {
  const write = (value: string, from: number, to: number, certain = true): Access<string> => ({
    ...{ told: `write ${value}`, from, to, certain, settles: false },
    apply: () => value,
  });
  const read = (value: string, from: number, to: number): Access<string> => ({
    ...{ told: `read ${value}`, from, to, certain: true, settles: true },
    apply: (state) => (state === value ? state : undefined),
  });

  test("explains what a register answered to accesses at the same time", () => {
    const one = fc.record({ isRead: fc.boolean(), value: fc.integer({ max: 3, min: 0 }) });
    const gaps = fc.array(fc.tuple(one, fc.nat(9), fc.nat(9)), { maxLength: 40 });
    fc.assert(
      fc.property(gaps, (made) => {
        let state = "0";
        const accesses = made.map(([{ isRead, value }, before, after], i) => {
          // Each has its effect at 10 · i, and lasts for some time around it.
          if (!isRead) state = String(value);
          const [from, to] = [10 * i - 5 * before, 10 * i + 5 * after];
          return isRead ? read(state, from, to) : write(String(value), from, to);
        });
        expect(unexplained("0", accesses)).toBeUndefined();
      }),
      { numRuns: 60 },
    );
  });

  test("names what does not fit", () => {
    const accesses = [write("a", 0, 10), read("a", 11, 12), read("0", 13, 14)];
    expect(unexplained("0", accesses)?.map(({ told }) => told)).toEqual(["read 0"]);
  });

  test("lets a lost write happen late, or never", () => {
    const lost = write("b", 0, Number.POSITIVE_INFINITY, false);
    expect(unexplained("0", [lost, read("0", 5, 6), read("b", 7, 8)])).toBeUndefined();
    expect(unexplained("0", [lost, read("0", 5, 6)])).toBeUndefined();
    expect(unexplained("0", [lost, read("b", 5, 6), read("0", 7, 8)])).toHaveLength(1);
  });
});

test("the plain reading of a cron expression knows lists, ranges, steps and days", () => {
  const next = (cron: string) => {
    const fires = firesOf(cron, "UTC");
    const found = fires === undefined ? undefined : firstAfter(fires, Date.UTC(2026, 0, 1));
    return found === undefined ? undefined : new Date(found).toISOString().slice(8, 19);
  };
  expect(next("*/20 * * * * *")).toBe("01T00:00:20");
  expect(next("1-59/3 * * * * *")).toBe("01T00:00:01");
  expect(next("30,10 1 * * *")).toBe("01T01:10:00");
  expect(next("0 0 1 * * 4")).toBe("01T01:00:00");
  expect(next("@daily")).toBeUndefined();
  expect(firesOf("0 3 * * *", "Europe/Berlin")).toBeUndefined();
});

test("shrinking keeps the run that is at fault, and nothing of the others", () => {
  const draft = goodHistory();
  for (let n = 100; n < 160; n++) {
    addRun(draft, uuid(n), {}, [
      ["run.created", n],
      ["run.begun", n + 1, { epoch: 1 }],
      ["run.completed", n + 2],
    ]);
    const key = `run_${uuid(n)}`;
    addCall(draft, { f: "runs.create", key }, { from: n, to: n + 1, got: { runId: key } });
  }
  event(draft, uuid(131), 3)["type"] = "run.woken";
  const lifecycle = checks.find(({ id }) => id === "C8");
  if (lifecycle === undefined) throw new Error("There is no C8.");
  const small = shrink(draft, lifecycle);
  expect(lifecycle.find(small)).toEqual(lifecycle.find(draft));
  expect(small.final.tables["runs"]?.map(({ run_id }) => run_id)).toEqual([uuid(131)]);
  expect(small.ops.map(({ key }) => key)).toEqual([`run_${uuid(131)}`, `run_${uuid(131)}`]);
  expect(small.effects).toEqual([]);

  const text = timeline(small);
  expect(text).toContain(`ok runs.create run_${uuid(131)}`);
  expect(text).toContain("run.woken");
  expect(text).not.toContain(JOB);
  const page = timelineHtml(draft);
  expect(page).toContain("nemesis");
  expect(page).not.toMatch(/<script|src=|href=|https?:/);
});

test("shrinking keeps both runs of a dedupe key", () => {
  const draft = goodHistory();
  event(draft, SECOND, 1)["at"] = at(1150);
  const dedupe = checks.find(({ id }) => id === "C5");
  if (dedupe === undefined) throw new Error("There is no C5.");
  const small = shrink(draft, dedupe);
  expect(small.final.tables["runs"]?.map(({ run_id }) => run_id)).toEqual([JOB, SECOND]);
});
