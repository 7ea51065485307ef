import { randomUUID } from "node:crypto";
import { bare } from "../checks/rows.ts";
import type { Caller } from "../crash-points/chore.ts";
import { CANCEL_ALONE } from "../crash-points/chores.ts";

/** What was planted: the row that is to be refused, and all runs that came with it. Bare uuids. */
interface Planted {
  readonly row: string;
  readonly runs: readonly string[];
}

/** Rows of a sweep, or of a claim. */
interface Kind {
  /** As core names the sweep. */
  readonly name: string;
  /** Makes one that is not due yet. */
  plant(call: Caller): Promise<Planted>;
  /** Makes the runs' rows due ($1, bare uuids). */
  readonly due: string;
  /** The load has sound ones of its own beside it, and nobody could settle a planted one. */
  readonly isAlone?: true;
}

/** So far off that nothing happens by itself. */
const DAY = 86_400_000;
const HOUR = 3_600_000;
const workflow = "hostile";
/** What everything planted is called that has a name: also the queue, which no worker asks. */
export const NAME = "hostile";

async function created(call: Caller, more: object = {}): Promise<string> {
  return String((await call("runs.create", { workflow, ...more }))["runId"]);
}

async function queued(call: Caller, more: object): Promise<Planted> {
  const item = { workflow, queue: NAME, ...more };
  const { results } = await call("runs.enqueue", { items: [item] });
  const run = bare((results as { runId: string }[])[0]?.runId);
  return { row: run, runs: [run] };
}

async function begun(call: Caller, runId: string) {
  const grantId = `grant_${randomUUID()}`;
  const { epoch } = await call("runs.begin", { runId, grantId, leaseMs: HOUR });
  return { runId, grantId, epoch };
}

const alone = (runId: string): Planted => ({ row: bare(runId), runs: [bare(runId)] });
const now = (column: string) =>
  `update tidebase.runs set ${column} = tidebase.now() where run_id = any ($1::uuid[])`;

const lostWorkers: Kind = {
  name: "lost_workers",
  async plant(call) {
    return alone((await begun(call, await created(call))).runId);
  },
  due: now("lease_expires_at"),
};

const dueWaits: Kind = {
  name: "due_waits",
  async plant(call) {
    const lease = await begun(call, await created(call));
    await call("timers.set", { ...lease, name: NAME, ms: DAY });
    await call("runs.suspend", { ...lease, waits: { timers: [{ name: NAME, key: "" }] } });
    return alone(lease.runId);
  },
  due: `with rung as (update tidebase.timers set due_at = tidebase.now() where run_id = any ($1::uuid[])) ${now("wake_at")}`,
};

const deadlines: Kind = {
  name: "deadlines",
  plant: (call) => queued(call, { delayMs: DAY, deadlineMs: DAY }),
  due: now("deadline_at"),
};

const unclaimedRuns: Kind = {
  name: "unclaimed_runs",
  plant: (call) => queued(call, { ttlMs: DAY }),
  due: now("expires_at"),
};

const orphanedChildren: Kind = {
  name: "orphaned_children",
  async plant(call) {
    const parent = await begun(call, await created(call));
    const children = [{ name: NAME, key: "", workflow }];
    const { results } = await call("children.create", { ...parent, children });
    const child = bare((results as { runId: string }[])[0]?.runId);
    return { row: child, runs: [child, bare(parent.runId)] };
  },
  due: CANCEL_ALONE,
};

const supersededRuns: Kind = {
  name: "superseded_runs",
  plant: (call) => queued(call, { delayMs: DAY }),
  due: "insert into tidebase.superseded (run_id, at) select unnest($1::uuid[]), tidebase.now()",
};

const expiredGates: Kind = {
  name: "expired_gates",
  async plant(call) {
    const lease = await begun(call, await created(call));
    const { gate } = await call("gates.open", {
      ...{ ...lease, name: NAME, prompt: "May it?", expiresInMs: DAY },
    });
    return { row: bare((gate as { gateId: string }).gateId), runs: [bare(lease.runId)] };
  },
  due: "update tidebase.gates set expires_at = tidebase.now() where run_id = any ($1::uuid[])",
};

/** In a queue that the trial's workers ask, of a workflow that they know, and before all others there. */
const claims: Kind = {
  name: "claims",
  plant: (call) => queued(call, { queue: "work", workflow: "tick", delayMs: DAY }),
  due: "update tidebase.runs set run_at = tidebase.now() - interval '1 hour' where run_id = any ($1::uuid[])",
  isAlone: true,
};

/** Every kind of row that a trial's sweeps come across within seconds, and that one row may spoil. */
export const KINDS: readonly Kind[] = [
  ...[lostWorkers, dueWaits, deadlines, unclaimedRuns, orphanedChildren, supersededRuns],
  ...[expiredGates, claims],
];
