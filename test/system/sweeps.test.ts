import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { countStatements } from "../../core/test/support/counting-proxy.ts";
import { newGrant, useDatabase } from "../../core/test/support/database.ts";
import { senderOf, useReceivers } from "../../core/test/support/receiver.ts";
import { FAULTS, preparePoison } from "../support/poison.ts";

const db = useDatabase();
const receiver = useReceivers();
const { core: setup, call } = senderOf(db.url, { sweeps: false });
afterAll(() => setup.close());
const GOOD = 10;
const EXPIRED = 5000;
const WITHIN_MS = 5000;
const EXPIRED_WITHIN_MS = 30_000;
const WINDOW_MS = 4000;

let poison: Awaited<ReturnType<typeof preparePoison>>;
beforeAll(async () => {
  poison = await preparePoison(db.pool);
});

/** What a sweep has to do: rows, how to see how many are done, and the run whose row cannot be settled. */
interface Chore {
  readonly sweep: string;
  readonly rows: number;
  readonly done: () => Promise<number>;
  /** Who is told of the poisoned row. */
  readonly poisoned: string | undefined;
}

type Make = (spoil: (id: string) => Promise<void>) => Promise<Chore>;

const several = <T>(make: (n: number) => Promise<T>, count = GOOD + 1) =>
  Promise.all(Array.from({ length: count }, (_, n) => make(n)));

async function count(text: string, ids: readonly string[]): Promise<number> {
  const bare = ids.map((id) => id.slice(id.indexOf("_") + 1));
  return Number((await db.pool.query(`select count(*) as n from ${text}`, [bare])).rows[0].n);
}

/** The first of the ids is spoilt; the others are in this state in the end. */
async function chore(
  sweep: string,
  ids: readonly string[],
  spoil: (id: string) => Promise<void>,
  { until, poisoned = ids[0] }: { until: string; poisoned?: string | undefined },
): Promise<Chore> {
  const [bad = "", ...good] = ids;
  await spoil(bad);
  return { sweep, rows: good.length, done: () => count(until, good), poisoned };
}

const runsWith = (condition: string) => `tidebase.runs where run_id = any ($1) and ${condition}`;
const CANCELLED = runsWith("status = 'cancelled'");

async function queued(item: object): Promise<string> {
  const { results } = await call("runs.enqueue", { items: [{ workflow: "w", ...item }] });
  return Object(results)[0].runId;
}

const lostWorkers: Make = async (spoil) => {
  const held = await several(() => db.begun());
  const ids = held.map(({ runId }) => runId);
  return chore("lost_workers", ids, spoil, { until: runsWith("status = 'interrupted'") });
};

const dueWaits: Make = async (spoil) => {
  const ids = await several(async () => {
    const lease = await db.begun();
    await call("timers.set", { ...lease, name: "t", ms: 60_000 });
    await call("runs.suspend", { ...lease, waits: { timers: [{ name: "t", key: "" }] } });
    return lease.runId;
  });
  return chore("due_waits", ids, spoil, { until: runsWith("status = 'pending'") });
};

const deadlines: Make = async (spoil) => {
  const ids = await several(() => queued({ queue: "later", delayMs: 900_000, deadlineMs: 60_000 }));
  return chore("deadlines", ids, spoil, { until: CANCELLED });
};

const unclaimedRuns: Make = async (spoil) => {
  const ids = await several(() => queued({ queue: "later", ttlMs: 60_000 }));
  return chore("unclaimed_runs", ids, spoil, { until: CANCELLED });
};

/** The poisoned child is the first of its parent: what comes after it is not to wait for it. */
const orphanedChildren: Make = async (spoil) => {
  const families = await several(async () => {
    const parent = await db.begun();
    const children = [1, 2].map((key) => ({ name: "c", key: `${key}`, workflow: "w" }));
    const { results } = await call("children.create", { ...parent, children });
    const ids = (results as { runId: string }[]).map(({ runId }) => runId).sort();
    await db.cancel(parent.runId);
    return { parent: parent.runId, ids };
  });
  const [first] = families;
  const ids = families.flatMap((family) => family.ids);
  return chore("orphaned_children", ids, spoil, { until: CANCELLED, poisoned: first?.parent });
};

const schedules: Make = async () => {
  const names = await several(async (n) => {
    const name = `minutely ${n} ${randomUUID()}`;
    await call("schedules.put", { name, workflow: "w", cron: "* * * * *", queue: "later" });
    return name;
  });
  const [bad, ...good] = names;
  await db.pool.query("update tidebase.schedules set cron = 'rubbish' where name = $1", [bad]);
  const fired = `select count(*)::int as n from tidebase.schedule_fires join tidebase.schedules using (schedule_id)
    where name = any ($1) and run_id is not null`;
  const done = async () => (await db.pool.query(fired, [good])).rows[0].n;
  return { sweep: "schedules", rows: good.length, done, poisoned: undefined };
};

const supersededRuns: Make = async (spoil) => {
  const ids = await several(async () => {
    const name = `replacing ${randomUUID()}`;
    const content = { workflow: "w", cron: "* * * * *", overlap: "cancel", queue: "later" };
    await call("schedules.put", { name, ...content });
    return String((await call("schedules.trigger", { name }))["runId"]);
  });
  return chore("superseded_runs", ids, spoil, { until: CANCELLED });
};

const expiredGates: Make = async (spoil) => {
  const gates = await several(async () => {
    const runId = await db.pending();
    const grantId = newGrant();
    const { epoch } = await call("runs.begin", { runId, grantId, leaseMs: 3_600_000 });
    const { gateId } = await db.gate({ runId, epoch, grantId }, { expiresInMs: 60_000 });
    return { runId, gateId };
  });
  const until = "tidebase.gates where gate_id = any ($1) and status = 'expired'";
  const ids = gates.map(({ gateId }) => gateId);
  return chore("expired_gates", ids, spoil, { until, poisoned: gates[0]?.runId });
};

const pushes: Make = async (spoil) => {
  const { url } = await receiver();
  const name = `push-${randomUUID()}`;
  await call("webhooks.create", { name, url, everyRun: false });
  const ids = await several(async (n) => {
    const queue = `${n === 0 ? "a" : "b"}-${randomUUID()}`; // the poisoned one is the first by name
    await call("queues.update", { queue, webhook: name });
    return queued({ queue });
  });
  return chore("pushes", ids, spoil, { until: runsWith("status = 'running' and pushed") });
};

/** Deliveries to a webhook, each of a run of its own; nothing sends yet. */
async function delivered(url: string, runs: number) {
  const workflow = `w-${randomUUID()}`;
  const events = ["run.created"];
  const made = await call("webhooks.create", {
    name: workflow,
    url,
    events,
    workflows: [workflow],
  });
  const runIds = await several(
    async () => String((await call("runs.create", { workflow }))["runId"]),
    runs,
  );
  const { rows } = await db.pool.query(
    "select delivery_id, run_id from tidebase.deliveries where run_id = any ($1) order by run_id",
    [runIds.map((id) => id.slice(4))],
  );
  return {
    webhookId: String(made["webhookId"]),
    ids: rows.map((row) => `delivery_${row.delivery_id}`),
    runIds: rows.map((row) => `run_${row.run_id}`),
  };
}

const staleDeliveries: Make = async (spoil) => {
  const { webhookId, ids, runIds } = await delivered((await receiver()).url, GOOD + 1);
  await call("webhooks.update", { webhookId, disabled: true });
  await db.pool.query(
    "update tidebase.deliveries set expires_at = tidebase.now() + interval '1 minute' where webhook_id = $1",
    [webhookId.slice(8)],
  );
  const until = "tidebase.deliveries where delivery_id = any ($1) and status = 'dead'";
  return chore("stale_deliveries", ids, spoil, { until, poisoned: runIds[0] });
};

/** Beside an endpoint that never answers, with more messages than a process sends at once. */
const deliveries: Make = async () => {
  const hung = await receiver();
  hung.answer = () => {};
  await delivered(hung.url, 100);
  const { ids } = await delivered((await receiver()).url, GOOD);
  const until = "tidebase.deliveries where delivery_id = any ($1) and status = 'delivered'";
  return { sweep: "deliveries", rows: GOOD, done: () => count(until, ids), poisoned: undefined };
};

const CHORES = [
  ...[lostWorkers, dueWaits, deadlines, unclaimedRuns, orphanedChildren, schedules],
  ...[supersededRuns, expiredGates, pushes, staleDeliveries, deliveries],
];

/** Runs without a queue whose lease is over, as five thousand lost workers leave them. */
async function expired(): Promise<() => Promise<number>> {
  const workflow = `expired-${randomUUID()}`;
  await db.pool.query(
    `insert into tidebase.runs (run_id, workflow, status, epoch, grant_id, lease_expires_at, last_seq, max_steps, body_hash, created_at)
     select tidebase.new_run_id(), $1, 'running', 1, gen_random_uuid(), tidebase.now(), 1, 10000, '', tidebase.now()
       from generate_series(1, $2::int)`,
    [workflow, EXPIRED],
  );
  const text =
    "select count(*)::int as n from tidebase.runs where workflow = $1 and status = 'interrupted'";
  return async () => (await db.pool.query(text, [workflow])).rows[0].n;
}

async function quarantined(chores: readonly Chore[]): Promise<string[]> {
  const found: string[] = [];
  for (const { sweep, poisoned } of chores) {
    if (poisoned === undefined) continue;
    const { events } = await call("events.list", { runId: poisoned, types: ["run.quarantined"] });
    const told = (events as { data: { sweep: string } }[]).map(({ data }) => data.sweep);
    expect(told.length, sweep).toBeLessThanOrEqual(1);
    if (told.includes(sweep)) found.push(sweep);
  }
  return found;
}

for (const [fault, sqlState] of Object.entries(FAULTS))
  test(`where one row of each sweep ${fault}, one endpoint hangs and ${EXPIRED} leases are over at once, every other row is served within its bound`, async () => {
    const chores: Chore[] = [];
    for (const make of CHORES) chores.push(await make((id) => poison.spoil(id, sqlState)));
    const interrupted = await expired();
    await db.advance("2 minutes");
    const proxy = await countStatements(db.url);
    const { core } = senderOf(proxy.url, { sweepGraceMs: 0, checkAnswers: false });
    const from = performance.now();
    const took: Record<string, number> = {};
    await Promise.all(
      chores.map(async ({ sweep, rows, done }) => {
        await expect
          .poll(done, { timeout: EXPIRED_WITHIN_MS, interval: 100 })
          .toBe(rows)
          .catch(() => {});
        took[sweep] = (await done()) === rows ? Math.round(performance.now() - from) : Infinity;
      }),
    );
    await expect.poll(interrupted, { timeout: EXPIRED_WITHIN_MS, interval: 100 }).toBe(EXPIRED);
    console.log(
      `${fault}: ${JSON.stringify(took)}; ${EXPIRED} in ${Math.round(performance.now() - from)} ms`,
    );
    const told = chores.flatMap(({ sweep, poisoned }) => (poisoned === undefined ? [] : [sweep]));
    await expect
      .poll(() => quarantined(chores), { timeout: 20_000 })
      .toEqual(told)
      .catch(() => {});
    // The hung endpoint's breaker opens too: what is left is the pulse, one statement a second.
    const inAWindow = async () => {
      const before = proxy.count();
      await sleep(WINDOW_MS); // what is measured is this time itself
      return proxy.count() - before;
    };
    await expect.poll(inAWindow, { timeout: 40_000 }).toBeLessThanOrEqual(WINDOW_MS / 1000 + 1);
    const { sweeps } = await core.status();
    await core.close();
    proxy.close();
    await poison.cure();
    const resting = "select distinct failures from tidebase.schedules where cron = 'rubbish'";
    expect((await db.pool.query(resting)).rows).toEqual([{ failures: 5 }]);
    for (const [sweep, ms] of Object.entries(took))
      expect(ms, sweep).toBeLessThan(sweep === "lost_workers" ? EXPIRED_WITHIN_MS : WITHIN_MS);
    expect(await quarantined(chores)).toEqual(told);
    expect(sweeps.filter(({ lastError }) => lastError !== null)).toEqual([]);
  });
