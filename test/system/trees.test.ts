import { afterAll, expect, test } from "vitest";
import { completing, newGrant, useDatabase } from "../../core/test/support/database.ts";
import { type Caller, callerAt } from "../support/callers.ts";
import { end } from "../support/process.ts";
import { randomOf, seedOf } from "../support/random.ts";
import { type ServerProcess, startServerProcess } from "../support/servers.ts";

const seed = seedOf();
const db = useDatabase();
const servers: ServerProcess[] = [];
afterAll(() => Promise.all(servers.map((server) => server.stop())));
const SCOPES = ["read", "work", "enqueue", "operate"] as const;
const CANCEL_MS = 5000;

interface Lease {
  readonly runId: string;
  readonly epoch: number;
  readonly grantId: string;
}

interface Tree {
  readonly root: Lease;
  /** All that end with the root. */
  readonly below: readonly string[];
  readonly detached: readonly string[];
}

async function start(): Promise<ServerProcess> {
  const server = await startServerProcess(db.url);
  servers.push(server);
  return server;
}

async function begin(call: Caller, runId: string): Promise<Lease> {
  const grantId = newGrant();
  const { epoch } = await call("runs.begin", { runId, grantId, leaseMs: 600_000 });
  return { runId, epoch: Number(epoch), grantId };
}

async function beginNew(call: Caller): Promise<Lease> {
  const { runId } = await call("runs.create", { workflow: "tree" });
  return begin(call, String(runId));
}

async function create(call: Caller, parent: Lease, children: readonly object[]): Promise<string[]> {
  const { results } = await call("children.create", { ...parent, children });
  return (results as { runId: string; outcome: string }[]).map(({ runId, outcome }) => {
    expect(outcome).toBe("created");
    return runId;
  });
}

/** So many children of one name. `more` says what they are besides, by their number. */
const many = (count: number, more: (n: number) => object = () => ({})) =>
  Array.from({ length: count }, (_, n) => ({
    name: "part",
    key: `${n}`,
    workflow: "tree",
    ...more(n),
  }));

async function suspend(call: Caller, lease: Lease): Promise<void> {
  await call("timers.set", { ...lease, name: "pause", ms: 3_600_000 });
  const waits = { timers: [{ name: "pause", key: "" }] };
  expect(await call("runs.suspend", { ...lease, waits })).toMatchObject({ outcome: "waiting" });
}

/**
 * 200 runs below a root, in three levels of 5, 25 and 170; of the lowest a third is under leases, a third waits
 * for a timer, a third is queued. Beside them detached children of each level, one of them with a child of its own.
 */
async function grow(call: Caller): Promise<Tree> {
  const root = await beginNew(call);
  const below: string[] = [];
  const detached: string[] = [];
  const apart = { name: "apart", key: "", workflow: "tree", detached: true };
  detached.push(...(await create(call, root, [apart])));
  for (const top of await create(call, root, many(5))) {
    below.push(top);
    const high = await begin(call, top);
    for (const [m, middle] of (await create(call, high, many(5))).entries()) {
      below.push(middle);
      const held = await begin(call, middle);
      const kinds = (n: number) => (n % 3 === 2 ? { queue: "leaves" } : {});
      const leaves = await create(call, held, many(m === 4 ? 6 : 7, kinds));
      below.push(...leaves);
      for (const [n, leaf] of leaves.entries()) {
        if (n % 3 === 2) continue;
        const lease = await begin(call, leaf);
        if (n % 3 === 1) await suspend(call, lease);
      }
      if (below.length < 50) detached.push(...(await create(call, held, [apart])));
    }
  }
  const [first = ""] = detached;
  detached.push(...(await create(call, await begin(call, first), many(1))));
  return { root, below, detached };
}

async function statuses(runIds: readonly string[]): Promise<Record<string, number>> {
  const { rows } = await db.pool.query(
    "select status, count(*)::int as n from tidebase.runs where run_id = any ($1) group by status",
    [runIds.map((runId) => runId.slice(4))],
  );
  return Object.fromEntries(rows.map(({ status, n }) => [status, n]));
}

const cancelled = async ({ below }: Tree) => (await statuses(below))["cancelled"] ?? 0;

async function expectOver({ root, below, detached }: Tree): Promise<void> {
  expect(await statuses([root.runId, ...below])).toEqual({ cancelled: below.length + 1 });
  expect(await statuses(detached)).not.toHaveProperty("cancelled");
  const { rows } = await db.pool.query(
    `select type, count(*)::int as n, count(distinct run_id)::int as runs from tidebase.events
      where run_id = any ($1) and type = 'run.cancelled' group by type`,
    [[root.runId, ...below].map((runId) => runId.slice(4))],
  );
  expect(rows).toEqual([{ type: "run.cancelled", n: below.length + 1, runs: below.length + 1 }]);
  expect((await db.pool.query("select from tidebase.cascades")).rowCount).toBe(0);
}

test("a tree of 200 runs in three levels, running, queued and waiting, is cancelled within five seconds; detached ones stay", async () => {
  const call = await callerAt(db, (await start()).url, SCOPES);
  const tree = await grow(call);
  expect(tree.below).toHaveLength(200);
  const before = await statuses(tree.below);
  expect(Object.keys(before).sort()).toEqual(["queued", "running", "waiting"]);
  const from = performance.now();
  const answer = await call("runs.cancel", { runId: tree.root.runId });
  await expect.poll(() => cancelled(tree), { interval: 20 }).toBe(200);
  const took = performance.now() - from;
  console.log(`200 runs ${JSON.stringify(before)} cancelled in ${Math.round(took)} ms`);
  expect(answer).toMatchObject({ status: "cancelled", descendants: 200 });
  expect(took).toBeLessThan(CANCEL_MS);
  await expectOver(tree);
});

test("a server killed in the middle of a cascade leaves work, not orphans: the other one's sweep finishes it", async () => {
  const doomed = await start();
  const call = await callerAt(db, doomed.url, SCOPES);
  const tree = await grow(call);
  const release = await db.hold(tree.below[100] ?? "");
  const stuck = call("runs.cancel", { runId: tree.root.runId }).catch((error: Error) => error);
  const waiting = `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'
    and query like '%/* runs.cancel */%'`;
  await expect
    .poll(async () => (await db.pool.query(waiting)).rowCount, { interval: 5 })
    .toBeGreaterThan(0);
  await end(doomed.child, "SIGKILL");
  const left = 200 - (await cancelled(tree));
  await release();
  const from = performance.now();
  await expect.poll(() => cancelled(tree), { interval: 20, timeout: 20_000 }).toBe(200);
  const took = performance.now() - from;
  console.log(`${left} runs were left, cancelled by the sweep in ${Math.round(took)} ms`);
  expect(await stuck).toBeInstanceOf(Error);
  expect(left).toBeGreaterThan(0);
  expect(took).toBeLessThan(CANCEL_MS);
  await expect
    .poll(async () => (await db.pool.query("select from tidebase.cascades")).rowCount)
    .toBe(0);
  await expectOver(tree);
});

const REQUESTS = 400;
const AT_ONCE = 32;

/** Runs all of them, so many at a time, in the order given. */
async function inTurn(work: readonly (() => Promise<void>)[]): Promise<void> {
  const left = work.values();
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (const one of left) await one();
    }),
  );
}

/** Postgres's own count, which backends add to when they end or rest. */
async function deadlocks(): Promise<number> {
  const { rows } = await db.pool.query(
    "select deadlocks::int as n from pg_stat_database where datname = current_database()",
  );
  return rows[0].n;
}

test(`${REQUESTS} requests on one run and its children, ${AT_ONCE} at a time over two servers: no deadlock, no 5xx, all recorded (seed ${seed})`, async () => {
  console.log(`seed ${seed}`);
  const random = randomOf(seed);
  const own = [await start(), await start()];
  const calls = await Promise.all(own.map(({ url }) => callerAt(db, url, SCOPES)));
  const at = (n: number) => calls[n % 2] as Caller;
  const root = await beginNew(at(0));
  const parts = many(80).map((part) => ({ ...part, name: "done" }));
  const children = await Promise.all(
    (await create(at(0), root, parts)).map((runId) => begin(at(1), runId)),
  );
  const before = await deadlocks();
  const outcomes: unknown[] = [];
  const results = async (answer: Promise<Record<string, unknown>>) => {
    const { results: each } = await answer;
    outcomes.push(...(each as { outcome: string }[]).map(({ outcome }) => outcome));
  };
  const kinds = [
    (n: number) =>
      results(at(n)("steps.begin", { items: [{ ...root, name: "step", key: `${n}` }] })),
    (n: number) =>
      results(
        at(n)("steps.complete", { items: [{ ...root, name: "done", key: `${n}`, output: n }] }),
      ),
    (n: number) =>
      results(
        at(n)("children.create", {
          ...root,
          children: [
            { name: "more", key: `${n}`, workflow: "w", ...(n % 2 === 0 && { queue: "more" }) },
          ],
        }),
      ),
    (n: number) =>
      n % 2 === 0
        ? results(at(n)("runs.heartbeat", { items: [root] }))
        : at(n)("state.write", {
            ...root,
            stream: "progress",
            kind: "patch",
            value: { [`n${n}`]: n },
          }).then(() => {}),
    (n: number) =>
      results(at(n)("runs.complete", { items: [{ ...(children[n] as Lease), result: n }] })),
  ];
  const work = kinds.flatMap((kind) => Array.from({ length: 80 }, (_, n) => () => kind(n)));
  for (let n = work.length - 1; n > 0; n--) {
    const m = random(n + 1);
    [work[n], work[m]] = [work[m] as () => Promise<void>, work[n] as () => Promise<void>];
  }
  expect(work).toHaveLength(REQUESTS);
  const from = performance.now();
  await inTurn(work); // any problem, of 400 or of 500, throws
  console.log(`${REQUESTS} requests in ${Math.round(performance.now() - from)} ms`);
  expect([...new Set(outcomes)].sort()).toEqual(["completed", "created", "execute", "held"]);

  const count = async (text: string) =>
    Number((await db.pool.query(`select count(*) as n ${text}`, [root.runId.slice(4)])).rows[0].n);
  expect(await count("from tidebase.steps where run_id = $1")).toBe(160);
  expect(await count("from tidebase.children where parent_run_id = $1")).toBe(160);
  expect(await count("from tidebase.runs where parent_run_id = $1 and status = 'completed'")).toBe(
    80,
  );
  expect(await count("from tidebase.events where run_id = $1 and type = 'child.ended'")).toBe(80);
  const { value } = await at(0)("state.read", { runId: root.runId, stream: "progress" });
  expect(Object.keys(value as object)).toHaveLength(40);
  const { rows } = await db.pool.query(
    `select last_seq::int, (select count(*)::int from tidebase.events e where e.run_id = r.run_id) as events,
        (select max(seq)::int from tidebase.events e where e.run_id = r.run_id) as highest
       from tidebase.runs r where run_id = $1`,
    [root.runId.slice(4)],
  );
  expect(rows[0]).toEqual({
    last_seq: rows[0].events,
    events: rows[0].events,
    highest: rows[0].events,
  });
  await Promise.all(own.map((server) => server.stop())); // their backends tell what they counted
  expect(await deadlocks()).toBe(before);
});

test("the key that works on a child cannot approve its parent's gate, whatever it may do else", async () => {
  const { url } = await start();
  const worker = await callerAt(db, url, ["read", "work", "enqueue"]);
  const child = await callerAt(db, url, ["read", "work", "approve"]);
  const human = await callerAt(db, url, ["read", "approve"]);
  const parent = await beginNew(worker);
  const [runId = ""] = await create(worker, parent, many(1));
  const held = await begin(child, runId);
  const question = { name: "send", prompt: "Send it?" };
  const { gate } = await worker("gates.open", { ...parent, ...question });
  const { gateId, digest } = gate as { gateId: string; digest: string };
  const decision = { gateId, digest, decision: "approved" };
  await expect(child("gates.resolve", decision)).rejects.toMatchObject({ code: "gate_own_run" });
  await completing(child)(held);
  await expect(child("gates.resolve", decision)).rejects.toMatchObject({ code: "gate_own_run" });
  expect(await human("gates.resolve", decision)).toMatchObject({ gate: { status: "approved" } });
});
