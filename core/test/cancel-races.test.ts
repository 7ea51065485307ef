import { randomUUID } from "node:crypto";
import { afterAll, expect, test } from "vitest";
import { openDatabase } from "../src/database.ts";
import { lostWorkers } from "../src/leases/lost-workers.ts";
import type { AnySweep } from "../src/reconciler.ts";
import { deadlines, unclaimedRuns } from "../src/runs/overdue.ts";
import { openAddress } from "../src/store/address.ts";
import { ada, newGrant, useDatabase } from "./support/database.ts";

/*
 * Every act is one statement, so two of them can meet in two ways: one has committed before the other starts,
 * or both wait for the run's row with snapshots from before either. Sweeps look first and act later: what they
 * found may have been cancelled in between.
 */

const db = useDatabase();
const { advance, blocked, call, hold } = db;
const direct = openDatabase({ databaseUrl: db.url, address: openAddress({ databaseUrl: db.url }) });
afterAll(() => direct.close());

interface Subject {
  readonly runId: string;
  readonly queue: string;
  readonly lease: object;
  readonly gate?: { readonly gateId: string; readonly digest: string };
}

async function queued(more: object = {}): Promise<Subject> {
  const queue = randomUUID();
  const items = [{ workflow: "w", queue, ...more }];
  const { results } = await call("runs.enqueue", { items });
  const [{ runId }] = results as [{ runId: string }];
  return { runId, queue, lease: {} };
}

async function running(more: object = {}): Promise<Subject> {
  const subject = await queued(more);
  const grantId = newGrant();
  await call("queues.claim", { queue: subject.queue, grantId });
  return { ...subject, lease: { runId: subject.runId, epoch: 1, grantId } };
}

async function dead(): Promise<Subject> {
  const subject = await running({ maxAttempts: 1 });
  await call("runs.fail", { ...subject.lease, error: { message: "no" } });
  return subject;
}

async function asking(): Promise<Subject> {
  const subject = await running();
  const gate = await db.gate(subject.lease);
  await call("runs.suspend", { ...subject.lease, waits: { gates: [gate.gateId] } });
  return { ...subject, gate };
}

const digestOf = (gate: Subject["gate"]) => ({ gateId: gate?.gateId, digest: gate?.digest });
const cancel = ({ runId }: Subject) => call("runs.cancel", { runId, reason: "stop" });
const error = { message: "no" };

const REFUSALS = ["run_cancelled", "gate_already_resolved"];

/** What may meet a cancellation, and what the run is if it alone happens. */
const acts = {
  claim: {
    setup: queued,
    act: ({ queue }: Subject) => call("queues.claim", { queue, grantId: newGrant() }),
    alone: "running",
    skipsLocked: true,
  },
  complete: {
    setup: running,
    act: ({ lease }: Subject) => db.complete(lease, { result: 1 }),
    alone: "completed",
  },
  fail: {
    setup: running,
    act: ({ lease }: Subject) => call("runs.fail", { ...lease, error }),
    alone: "queued",
  },
  "fail for good": {
    setup: () => running({ maxAttempts: 1 }),
    act: ({ lease }: Subject) => call("runs.fail", { ...lease, error }),
    alone: "failed",
  },
  release: {
    setup: running,
    act: ({ lease }: Subject) => call("runs.release", lease),
    alone: "queued",
  },
  requeue: {
    setup: dead,
    act: ({ runId }: Subject) => call("runs.recover", { runId, dryRun: false }),
    alone: "queued",
  },
  redrive: {
    setup: dead,
    act: ({ queue }: Subject) => call("queues.redrive", { queue, dryRun: false }),
    alone: "queued",
  },
  "gate decision": {
    setup: asking,
    act: ({ gate }: Subject) =>
      call("gates.resolve", { ...digestOf(gate), decision: "approved" }, ada),
    alone: "queued",
  },
  "another cancel": { setup: running, act: cancel, alone: "cancelled" },
} satisfies Record<
  string,
  {
    setup(): Promise<Subject>;
    act(subject: Subject): Promise<unknown>;
    alone: string;
    skipsLocked?: true;
  }
>;

/** The first committed outcome is the run's: it is the last event of its kind, and nothing follows it. */
async function expectFinal(runId: string, status: string): Promise<void> {
  const { run } = await call("runs.get", { runId });
  expect(run).toMatchObject({ status });
  const { events } = await call("events.list", { runId, limit: 200 });
  const types = (events as { type: string }[]).map(({ type }) => type);
  const finals = types.filter((type) => ["run.completed", "run.cancelled"].includes(type));
  expect(finals).toEqual([`run.${status}`]);
  expect(types.at(-1)).toBe(`run.${status}`);
}

for (const [name, { act, alone, setup, ...more }] of Object.entries(acts)) {
  test(`cancel, then ${name}: cancelled stays cancelled`, async () => {
    const subject = await setup();
    await cancel(subject);
    await act(subject).catch(({ code }) => expect(REFUSALS).toContain(code));
    await expectFinal(subject.runId, "cancelled");
  });

  test(`${name}, then cancel: a final run stays what it is, any other is cancelled`, async () => {
    const subject = await setup();
    await act(subject);
    expect((await call("runs.get", { runId: subject.runId }))["run"]).toMatchObject({
      status: alone,
    });
    const isFinal = alone === "completed";
    if (isFinal) await expect(cancel(subject)).rejects.toMatchObject({ code: "run_completed" });
    else await cancel(subject);
    await expectFinal(subject.runId, isFinal ? "completed" : "cancelled");
  });

  if ("skipsLocked" in more) continue;
  for (const order of ["cancel first", `${name} first`]) {
    test(`cancel and ${name} wait for the same row, ${order}`, async () => {
      const subject = await setup();
      const letGo = await hold(subject.runId);
      const both = order === "cancel first" ? [cancel, act] : [act, cancel];
      const answers: Promise<unknown>[] = [];
      for (const [n, one] of both.entries()) {
        answers.push(one(subject).catch((refusal: unknown) => refusal));
        await blocked(n + 1);
      }
      await letGo();
      const [first, second] = await Promise.all(answers);
      const isCompleted = name === "complete" && order !== "cancel first";
      if (isCompleted) expect(second).toMatchObject({ code: "run_completed" });
      else expect(first).not.toHaveProperty("code");
      await expectFinal(subject.runId, isCompleted ? "completed" : "cancelled");
    });
  }
}

const sweeps = {
  deadline: { sweep: deadlines, setup: () => running({ deadlineMs: 1000 }), alone: "cancelled" },
  "the end of its ttl": {
    sweep: unclaimedRuns,
    setup: () => queued({ ttlMs: 1000 }),
    alone: "cancelled",
  },
  "lease expiry": { sweep: lostWorkers(0), setup: running, alone: "queued" },
  "lease expiry at the last attempt": {
    sweep: lostWorkers(0),
    setup: () => running({ maxAttempts: 1 }),
    alone: "failed",
  },
} satisfies Record<string, { sweep: object; setup(): Promise<Subject>; alone: string }>;

async function due(sweep: AnySweep, { runId }: Subject): Promise<object[]> {
  sweep.reached?.(true);
  const found = await sweep.find(direct);
  return found.filter((item) => Reflect.get(item, "runId") === runId);
}

for (const [name, given] of Object.entries(sweeps)) {
  const sweep = given.sweep as unknown as AnySweep;

  test(`${name} is found, then the run is cancelled: the sweep changes nothing`, async () => {
    const subject = await given.setup();
    await advance("2 minutes");
    const items = await due(sweep, subject);
    expect(items).toHaveLength(1);
    await cancel(subject);
    expect(await sweep.settle(direct, items)).toMatchObject([{ outcome: "moved" }]);
    await expectFinal(subject.runId, "cancelled");
  });

  test(`${name}, then cancel: one final event`, async () => {
    const subject = await given.setup();
    await advance("2 minutes");
    await sweep.settle(direct, await due(sweep, subject));
    expect((await call("runs.get", { runId: subject.runId }))["run"]).toMatchObject({
      status: given.alone,
    });
    await cancel(subject);
    await expectFinal(subject.runId, "cancelled");
  });

  test(`${name} while the run is being completed or cancelled by another: it leaves the row alone`, async () => {
    const subject = await given.setup();
    await advance("2 minutes");
    const items = await due(sweep, subject);
    const letGo = await hold(subject.runId);
    const cancelling = cancel(subject);
    await blocked(1);
    expect(await sweep.settle(direct, items)).toMatchObject([{ outcome: "moved" }]);
    await letGo();
    await cancelling;
    await expectFinal(subject.runId, "cancelled");
  });
}
