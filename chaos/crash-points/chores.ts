import { randomUUID } from "node:crypto";
import type { Bench, Chore } from "./chore.ts";

const ROWS = 3;
const run = { workflow: "w" };
const several = async (make: (n: number) => Promise<unknown>): Promise<void> => {
  for (let n = 0; n < ROWS; n++) await make(n);
};

interface Lease {
  readonly runId: string;
  readonly epoch: number;
  readonly grantId: string;
}

async function begun({ call }: Bench, leaseMs = 60_000): Promise<Lease> {
  const runId = String((await call("runs.create", run))["runId"]);
  const grantId = `grant_${randomUUID()}`;
  const { epoch } = await call("runs.begin", { runId, grantId, leaseMs });
  return { runId, grantId, epoch: Number(epoch) };
}

const queued = ({ call }: Bench, item: object) =>
  call("runs.enqueue", { items: [{ ...run, queue: "q", ...item }] });

const runsThat = (condition: string) =>
  `select workflow || ' is ' || status as what from tidebase.runs where ${condition}`;
const DAY = 86_400_000;
/** Longer than any lease of a run that is only to be there. */
const LONG = 3_600_000;

const lostWorkers: Chore = {
  id: "lost_workers",
  promises: ["P4", "P11"],
  passes: "10 minutes",
  unrest: runsThat("status = 'running'"),
  async prepare(bench) {
    await several(() => begun(bench));
    await several((n) => queued(bench, { maxAttempts: n + 1 }));
    await bench.call("queues.claim", { queue: "q", grantId: `grant_${randomUUID()}`, limit: 10 });
  },
};

const dueWaits: Chore = {
  id: "due_waits",
  promises: ["P11"],
  passes: "10 minutes",
  unrest: runsThat("status = 'waiting'"),
  prepare: (bench) =>
    several(async () => {
      const lease = await begun(bench);
      await bench.call("timers.set", { ...lease, name: "t", ms: 60_000 });
      const waits = { timers: [{ name: "t", key: "" }] };
      await bench.call("runs.suspend", { ...lease, waits });
    }),
};

const deadlines: Chore = {
  id: "deadlines",
  promises: ["P10", "P11"],
  passes: "10 minutes",
  unrest: runsThat("status <> 'cancelled'"),
  prepare: (bench) => several(() => queued(bench, { delayMs: DAY, deadlineMs: 60_000 })),
};

const unclaimedRuns: Chore = {
  id: "unclaimed_runs",
  promises: ["P10", "P11"],
  passes: "10 minutes",
  unrest: runsThat("status <> 'cancelled'"),
  prepare: (bench) => several(() => queued(bench, { ttlMs: 60_000 })),
};

/** A cancellation of those of the runs ($1) that have no parent, whose process died before it came to the children. */
export const CANCEL_ALONE = `
  with ended as (
    update tidebase.runs set status = 'cancelled', lease_expires_at = null, ended_at = tidebase.now(), last_seq = last_seq + 1
     where run_id = any ($1::uuid[]) and parent_run_id is null returning run_id, last_seq
  )
  insert into tidebase.events (run_id, seq, type, at, data)
  select run_id, last_seq, 'run.cancelled', tidebase.now(), '{"reason": "cancelled"}' from ended`;

/** What a crash left of a cascade: the parent is cancelled, its children and theirs are not. */
const orphanedChildren: Chore = {
  id: "orphaned_children",
  promises: ["P10", "P11"],
  passes: "0 minutes",
  unrest: `${runsThat("status <> 'cancelled'")} union all select 'a cascade is left' from tidebase.cascades`,
  prepare: (bench) =>
    several(async () => {
      const parent = await begun(bench, LONG);
      const children = [1, 2].map((key) => ({ name: "c", key: `${key}`, workflow: "w" }));
      const { results } = await bench.call("children.create", { ...parent, children });
      const [child] = results as { runId: string }[];
      const grantId = `grant_${randomUUID()}`;
      const { epoch } = await bench.call("runs.begin", { runId: child?.runId, grantId });
      const lease = { runId: child?.runId, grantId, epoch, children: children.slice(1) };
      await bench.call("children.create", lease);
      await bench.sql(CANCEL_ALONE, [[parent.runId.slice("run_".length)]]);
    }),
};

/** Three years of a yearly schedule are to be made up for. */
const schedules: Chore = {
  id: "schedules",
  promises: ["P9", "P11"],
  passes: "1100 days",
  unrest: `select name as what from tidebase.schedules where next_fire_at <= tidebase.now()
    union all select 'one is superseded' from tidebase.superseded`,
  async prepare({ call }) {
    const yearly = { workflow: "w", cron: "0 0 1 1 *", queue: "later" };
    await call("schedules.put", { name: "all", ...yearly, catchUp: "all", overlap: "allow" });
    await call("schedules.put", { name: "latest", ...yearly });
    await call("schedules.put", { name: "replacing", ...yearly, overlap: "cancel" });
    await call("schedules.trigger", { name: "replacing" });
  },
};

const supersededRuns: Chore = {
  id: "superseded_runs",
  promises: ["P10", "P11"],
  passes: "0 minutes",
  unrest: `${runsThat("status <> 'cancelled'")} union all select 'one is superseded' from tidebase.superseded`,
  prepare: (bench) =>
    several(async (n) => {
      const content = { workflow: "w", cron: "0 0 1 1 *", overlap: "cancel", queue: "later" };
      await bench.call("schedules.put", { name: `replacing ${n}`, ...content });
      const { runId } = await bench.call("schedules.trigger", { name: `replacing ${n}` });
      const uuid = String(runId).slice("run_".length);
      await bench.sql(
        "insert into tidebase.superseded (run_id, at) values ($1, tidebase.now()) on conflict do nothing",
        [uuid],
      );
    }),
};

const expiredGates: Chore = {
  id: "expired_gates",
  promises: ["P5", "P11"],
  passes: "10 minutes",
  unrest: "select name || ' is open' as what from tidebase.gates where status = 'open'",
  prepare: (bench) =>
    several(async (n) => {
      const lease = await begun(bench, LONG);
      const gate = { ...lease, name: "g", prompt: "May it?", expiresInMs: 60_000 };
      const opened = await bench.call("gates.open", gate);
      const { gateId } = Object(opened["gate"]);
      if (n > 0) await bench.call("runs.suspend", { ...lease, waits: { gates: [gateId] } });
    }),
};

/**
 * The receiver takes each message and begins nothing. A crash after the message was taken on outlasts the lease: the run is
 * pushed once more.
 */
const pushes: Chore = {
  id: "pushes",
  promises: ["P11", "P12"],
  passes: "0 minutes",
  unrest: `${runsThat("status <> 'running' or not pushed or lease_expires_at <= tidebase.now()")}
    union all select 'nobody was told of a run' from tidebase.runs r where not exists (
      select from tidebase.deliveries d where (d.run_id, d.epoch) = (r.run_id, r.epoch) and d.last_status = 204)`,
  async prepare(bench) {
    await bench.call("webhooks.create", { name: "push", url: bench.receiverUrl, everyRun: false });
    await bench.call("queues.update", { queue: "q", webhook: "push" });
    await several(() => queued(bench, {}));
  },
};

/** To one endpoint that takes all and one that refuses each once; a due timer makes the process look. */
const deliveries: Chore = {
  id: "deliveries",
  promises: ["P12"],
  passes: "10 minutes",
  isLater: true, // what an endpoint has refused
  unrest: `select 'a delivery of ' || type as what from tidebase.deliveries where status = 'pending'`,
  async prepare(bench) {
    const url = bench.receiverUrl;
    await bench.call("webhooks.create", { name: "good", url, events: ["run.*"] });
    await bench.call("webhooks.create", { name: "flaky", url, events: ["run.created"] });
    await bench.call("runs.create", run);
    await dueWaits.prepare(bench);
  },
};

const staleDeliveries: Chore = {
  id: "stale_deliveries",
  promises: ["P12"],
  passes: "2 days",
  unrest: `select 'a delivery of ' || type as what from tidebase.deliveries where status = 'pending'`,
  async prepare(bench) {
    const hook = { name: "off", url: bench.receiverUrl, events: ["run.created"] };
    const { webhookId } = await bench.call("webhooks.create", hook);
    await several(() => bench.call("runs.create", run));
    await bench.call("webhooks.update", { webhookId, disabled: true });
  },
};

/** Trees that have ended, one that is kept by an open gate's run, and one that has not ended. */
const retention: Chore = {
  id: "retention",
  promises: ["P15"],
  passes: "31 days",
  unrest: `${runsThat("status in ('completed', 'cancelled')")}
    union all select 'its turn is not over' from tidebase.retention where next_at <= tidebase.now()`,
  async prepare(bench) {
    await several(async () => {
      const parent = await begun(bench);
      const children = [{ name: "c", key: "1", workflow: "w" }];
      await bench.call("children.create", { ...parent, children });
      await bench.call("runs.cancel", { runId: parent.runId });
    });
    await several(async () => {
      const lease = await begun(bench);
      await bench.call("runs.complete", { items: [lease] });
    });
    await bench.call("runs.create", run);
  },
};

/** Every sweep of core, and its dispatcher. */
export const chores: readonly Chore[] = [
  ...[lostWorkers, dueWaits, deadlines, unclaimedRuns, orphanedChildren, schedules],
  ...[supersededRuns, expiredGates, pushes, deliveries, staleDeliveries, retention],
];
