import { randomUUID } from "node:crypto";
import { expect, test } from "vitest";
import { openCore } from "../src/index.ts";
import { completing, local, newGrant, operationNamed, useDatabase } from "./support/database.ts";

const db = useDatabase();
const ROUNDS = Number(process.env["TIDEBASE_CHILD_ROUNDS"] ?? 40);
type Lease = { runId: string; epoch: number; grantId: string };
type Call = typeof db.call;

async function begin(call: Call, runId: string): Promise<Lease> {
  const grantId = newGrant();
  const { epoch } = await call("runs.begin", { runId, grantId });
  return { runId, epoch: Number(epoch), grantId };
}
async function children(call: Call, parent: Lease, ...keys: string[]): Promise<Lease[]> {
  const given = keys.map((key) => ({ workflow: "child", name: "part", key }));
  const { results } = await call("children.create", { ...parent, children: given });
  return Promise.all((results as Lease[]).map(({ runId }) => begin(call, runId)));
}
const { complete } = db;
const fail = (lease: Lease) => db.call("runs.fail", { ...lease, error: { message: "no" } });
const cancel = ({ runId }: Lease) => db.cancel(runId);
const suspend = (lease: Lease, waits: object) => db.call("runs.suspend", { ...lease, waits });
const status = async ({ runId }: Lease) =>
  ((await db.call("runs.get", { runId }))["run"] as { status: string }).status;
const count = async ({ runId }: Lease, type: string) => {
  const text = "select from tidebase.events where run_id = $1 and type = $2";
  return (await db.pool.query(text, [runId.slice(4), type])).rowCount;
};
const join = (mode: string) => ({ joins: [{ name: "part", mode }] });

/** Both wait for the row, in this order. */
async function atOnce<A, B>({ runId }: Lease, first: () => Promise<A>, second: () => Promise<B>) {
  const release = await db.hold(runId);
  const one = first();
  await db.blocked(1);
  const two = second();
  await db.blocked(2);
  await release();
  return Promise.all([one, two]);
}

type End = (lease: Lease) => Promise<unknown>;
const ends: [string, End, End, string][] = [
  ["completed and completed", complete, complete, "all"],
  ["completed and failed", complete, fail, "all"],
  ["failed and failed", fail, fail, "any"],
  ["cancelled and completed", cancel, complete, "all"],
  ["cancelled and cancelled", cancel, cancel, "any"],
];

test.each(ends)(
  "the last two children, %s at the same instant, wake their parent once",
  async (_, endOfA, endOfB, mode) => {
    for (const isTurned of [false, true]) {
      const parent = await db.begun();
      const [a, b] = (await children(db.call, parent, "a", "b")) as [Lease, Lease];
      await suspend(parent, join(mode));
      const [one, two] = [() => endOfA(a), () => endOfB(b)];
      await (isTurned ? atOnce(parent, two, one) : atOnce(parent, one, two));
      expect(await status(parent)).toBe("pending");
      expect(await count(parent, "run.woken")).toBe(1);
      expect(await count(parent, "child.ended")).toBe(2);
    }
  },
);

const waits: [string, object, End][] = [
  ["a child that fails", { children: [{ name: "part", key: "a" }] }, fail],
  ["all children that complete", join("all"), complete],
  ["any child, and none is left", join("any"), cancel],
];

test.each(waits)(
  "suspending for %s, against that end, leaves no parent waiting",
  async (_, waited, end) => {
    for (const isFirst of [true, false]) {
      const parent = await db.begun();
      const [a] = (await children(db.call, parent, "a")) as [Lease];
      const waiting = () => suspend(parent, waited);
      const ending = () => end(a);
      if (isFirst) {
        const [answer] = await atOnce(parent, waiting, ending);
        expect(answer).toMatchObject({ outcome: "waiting" });
        expect(await status(parent)).toBe("pending");
      } else {
        const [, answer] = await atOnce(parent, ending, waiting);
        expect(answer).toMatchObject({ outcome: "resumeNow" });
        expect(await status(parent)).toBe("running");
      }
    }
  },
);

test("a child that is created while its parent is cancelled is not created", async () => {
  const parent = await db.begun();
  const given = { ...parent, children: [{ workflow: "child", name: "part" }] };
  const create = () =>
    db.call("children.create", given).catch((error: { code: string }) => error.code);
  const [, answer] = await atOnce(parent, () => db.cancel(parent.runId), create);
  expect(answer).toBe("run_cancelled");
  expect(await count(parent, "child.created")).toBe(0);
});

/** The other way round in lock order: ids that callers choose may be later than any that is made. */
const lateId = () => `run_f${randomUUID().slice(1)}`;

/** Writes in both orders under a parent and two of its children while these end. */
async function race(call: Call, parent: Lease, round: number): Promise<void> {
  const [a, b] = (await children(call, parent, `${round} a`, `${round} b`)) as [Lease, Lease];
  const step = (lease: Lease, key: string) => ({ ...lease, name: "s", key, output: 1 });
  const [one, two] = [`${round} 1`, `${round} 2`];
  const failing = { ...a, error: { message: "no" } };
  await Promise.all([
    call("runs.heartbeat", { items: [parent, a, b] }),
    call("runs.heartbeat", { items: [b, a, parent] }),
    call("steps.complete", { items: [step(a, one), step(parent, one)] }),
    call("steps.complete", { items: [step(parent, two), step(b, two)] }),
    round % 2 === 0 ? completing(call)(a) : call("runs.fail", failing),
    completing(call)(b),
    children(call, parent, `${round} c`),
  ]);
}

test(`${ROUNDS} times, writes of a parent and its children against their ends: no error, no deadlock`, async () => {
  await db.begun(); // so that the other core is connected
  const others = await connections();
  const core = openCore({ databaseUrl: db.url, sweeps: false });
  const call: Call = async (name, input) =>
    (await core.execute(operationNamed(name), input, local)) as Record<string, unknown>;
  const lanes = [{}, {}, { runId: lateId() }, { runId: lateId() }];
  const parents = lanes.map(async (chosen) => {
    const { runId } = await call("runs.create", { workflow: "parent", ...chosen });
    const parent = await begin(call, String(runId));
    for (let round = 0; round < ROUNDS / lanes.length; round++) await race(call, parent, round);
    return parent;
  });
  for (const parent of await Promise.all(parents))
    expect(await count(parent, "child.ended")).toBe((2 * ROUNDS) / lanes.length);
  await core.close();
  expect(await deadlocks(others)).toBe(0); // those that a repeat has hidden, too
});

/** Of this database. Each connection reports its own when it ends, so those of a closed core have to be gone. */
async function deadlocks(others: number): Promise<number> {
  await expect.poll(connections, { interval: 5 }).toBeLessThanOrEqual(others);
  const text =
    "select deadlocks::int as n from pg_stat_database where datname = current_database()";
  return (await db.pool.query(text)).rows[0].n;
}

async function connections(): Promise<number> {
  const text = `select count(*)::int as n from pg_stat_activity
    where datname = current_database() and application_name = 'tidebase'`;
  return (await db.pool.query(text)).rows[0].n;
}
