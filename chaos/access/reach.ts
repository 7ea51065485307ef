import { operations, type Scope } from "@tidebase/core";

/*
 * Written by hand, and never read from an operation's own declaration: so that a wrong declaration is seen.
 * Every operation stands in exactly one group; whoever adds one has to say here whose it is.
 */

const STARTING = ["runs.create", "runs.enqueue", "signals.send"];

const WORKING = [
  ...[
    "runs.begin",
    "runs.heartbeat",
    "runs.watch",
    "runs.release",
    "runs.suspend",
    "runs.complete",
  ],
  ...[
    "runs.fail",
    "runs.deadline",
    "cleanups.begin",
    "cleanups.end",
    "queues.claim",
    "steps.begin",
  ],
  ...[
    "steps.complete",
    "steps.fail",
    "steps.journal",
    "state.write",
    "state.label",
    "usage.record",
  ],
  ...["gates.open", "timers.set", "signals.take", "children.create"],
];

const READING = [
  ...["runs.get", "runs.list", "runs.verdict", "runs.overview", "queues.list", "queues.get"],
  ...[
    "schedules.get",
    "schedules.list",
    "schedules.fires",
    "steps.list",
    "steps.get",
    "state.read",
  ],
  ...["state.versions", "state.diff", "state.streams", "usage.list", "usage.totals", "events.list"],
  ...["gates.get", "gates.list", "children.list"],
];

const OPERATING = [
  ...[
    "runs.recover",
    "runs.fork",
    "runs.cancel",
    "steps.review",
    "queues.update",
    "queues.redrive",
  ],
  ...["schedules.put", "schedules.update", "schedules.trigger", "schedules.delete"],
  ...["deliveries.list", "deliveries.redeliver"],
];

/** Bring a proof that only a human has seen; without it they decide nothing. */
const BRINGING_PROOFS = ["gates.redeem", "gates.form"];

const DECIDING = ["gates.resolve", "gates.code", "gates.extend", "sessions.link"];

const ADMINISTERING = [
  ...["keys.create", "keys.list", "keys.revoke", "audit.list", "runs.erase"],
  ...["webhooks.create", "webhooks.list", "webhooks.update", "webhooks.rotate"],
];

const GROUPS = { STARTING, WORKING, READING, OPERATING, BRINGING_PROOFS, DECIDING, ADMINISTERING };

/** What a key of one scope must never reach. */
export const NEVER: Readonly<Record<Scope, readonly string[]>> = {
  read: [...STARTING, ...WORKING, ...OPERATING, ...BRINGING_PROOFS, ...DECIDING, ...ADMINISTERING],
  work: [...STARTING, ...READING, ...OPERATING, ...BRINGING_PROOFS, ...DECIDING, ...ADMINISTERING],
  enqueue: [
    ...WORKING,
    ...READING,
    ...OPERATING,
    ...BRINGING_PROOFS,
    ...DECIDING,
    ...ADMINISTERING,
  ],
  operate: [...STARTING, ...WORKING, ...READING, ...DECIDING, ...ADMINISTERING],
  approve: [
    ...STARTING,
    ...WORKING,
    ...READING,
    ...OPERATING,
    ...BRINGING_PROOFS,
    ...ADMINISTERING,
  ],
  admin: [...STARTING, ...WORKING, ...READING, ...OPERATING, ...BRINGING_PROOFS, ...DECIDING],
};

/** All scopes that a tool cannot do without. */
export const TOOL_NEEDS: Readonly<Record<string, readonly Scope[]>> = {
  tidebase_overview: ["read"],
  tidebase_list_runs: ["read"],
  tidebase_get_run: ["read"],
  tidebase_list_events: ["read"],
  tidebase_get_state: ["read"],
  tidebase_wait_for_run: ["read"],
  tidebase_list_gates: ["read"],
  tidebase_get_gate: ["read"],
  tidebase_list_queues: ["read"],
  tidebase_list_schedules: ["read"],
  tidebase_resolve_gate: ["read", "operate"],
  tidebase_recover_run: ["operate"],
  tidebase_review_step: ["read", "operate"],
  tidebase_fork_run: ["operate"],
  tidebase_cancel_run: ["operate"],
  tidebase_manage_queue: ["read", "operate"],
  tidebase_manage_schedule: ["read", "operate"],
  tidebase_enqueue_run: ["enqueue"],
};

/** Paths of the server that are no operation: which answer without a key, and which ask for what. */
export const OTHER_PATHS: readonly {
  readonly method: "GET" | "POST";
  readonly path: string;
  /** Open to everybody; else the scope that it asks for. */
  readonly needs: "nothing" | Scope;
}[] = [
  { method: "GET", path: "/", needs: "nothing" },
  { method: "GET", path: "/health", needs: "nothing" },
  { method: "GET", path: "/ready", needs: "nothing" },
  { method: "GET", path: "/openapi.json", needs: "nothing" },
  { method: "GET", path: "/v1/errors/internal", needs: "nothing" },
  { method: "GET", path: "/v1/runs/:runId/events/stream", needs: "read" },
];

/** What is wrong with the tables of this file: operations in no group or in two, or declared otherwise. */
export function tableProblems(): string[] {
  const problems: string[] = [];
  const listed = Object.values(GROUPS).flat();
  for (const { name, scope } of operations) {
    const times = listed.filter((one) => one === name).length;
    if (times !== 1) problems.push(`${name} stands in ${times} groups of the table of scopes.`);
    if (NEVER[scope].includes(name))
      problems.push(`${name} declares the scope ${scope}, which must never reach it.`);
  }
  const gone = listed.filter((name) => operations.every((operation) => operation.name !== name));
  problems.push(...gone.map((name) => `${name} is in the table of scopes and is no operation.`));
  return problems;
}
