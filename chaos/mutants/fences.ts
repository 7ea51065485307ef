import type { Edit } from "./edit.ts";
import { INTERLEAVE, type Mutant, trials } from "./mutant.ts";

const STEPS = "core/src/steps/sql.ts";
const LEASES = "core/src/leases/sql.ts";
const LOST = "core/src/leases/lost-workers.ts";

const fence = `      coalesce((r.epoch, r.grant_id, r.status) = (item.epoch, item.grant_id, 'running'), false) as fenced
      from (select * from item order by run_id, i) item cross join lateral (`;

/** Who still holds a lease is not asked: whoever once did may complete a step. */
const noEpoch: Mutant = {
  id: "1-no-epoch",
  fault: "The completion of a step goes by the run's status alone, not by epoch and grant.",
  edits: [
    // Only looked at: the edits below take the condition out of this text.
    { file: "core/src/leases/fence.ts", search: fence, replace: fence },
    {
      file: STEPS,
      search: `where run_id = $run_id::uuid and (epoch, grant_id, status) = ($epoch::bigint, $grant_id::uuid, 'running')`,
      replace: `where run_id = $run_id::uuid and status = 'running'`,
    },
    {
      file: STEPS,
      search: `/** Records completions, begun before or not. A repeated request gets the recorded answer. */`,
      replace: `const unfenced = {
  sql: held.sql.replaceAll("(r.epoch, r.grant_id, r.status) = (item.epoch, item.grant_id, 'running')", "r.status = 'running'"),
};`,
    },
    {
      file: STEPS,
      search: `\${sharedItems({ ...step, output: "text", output_meta: "text" })}, \${held}, \${admitted}`,
      replace: `\${sharedItems({ ...step, output: "text", output_meta: "text" })}, \${unfenced}, \${admitted}`,
    },
  ],
  looks: [INTERLEAVE, trials("F5"), trials()],
};

const NODE_NOW = "nodeNow: new Date().toISOString()";

const begins: readonly Edit[] = [
  {
    file: LEASES,
    search: `           lease_expires_at = tidebase.now() + $lease_ms::int * interval '1 ms', failure_class = null,`,
    replace: `           lease_expires_at = $node_now::timestamptz + $lease_ms::int * interval '1 ms', failure_class = null,`,
  },
  {
    file: LEASES,
    search: `           and (held.lease_expires_at <= tidebase.now() or held.epoch = $gone_epoch::bigint)))`,
    replace: `           and (held.lease_expires_at <= $node_now::timestamptz or held.epoch = $gone_epoch::bigint)))`,
  },
  {
    file: "core/src/leases/operations.ts",
    search: `      leaseMs: given.leaseMs ?? limits.leaseMs,
    });`,
    replace: `      leaseMs: given.leaseMs ?? limits.leaseMs,
      ${NODE_NOW},
    } as never);`,
  },
];

const sweeps: readonly Edit[] = [
  {
    file: LEASES,
    search: `    ceil(extract(epoch from tidebase.now() - r.lease_expires_at) * 1000)::float8 as over_ms,`,
    replace: `    ceil(extract(epoch from $node_now::timestamptz - r.lease_expires_at) * 1000)::float8 as over_ms,`,
  },
  {
    file: LEASES,
    search: `     and (r.lease_expires_at <= tidebase.now() or h.machine = $machine::text)`,
    replace: `     and (r.lease_expires_at <= $node_now::timestamptz or h.machine = $machine::text)`,
  },
  {
    file: LEASES,
    search: `  with \${items({ run_id: "uuid", epoch: "bigint", reason: "text" })}, \${family(skipLocked)}, lost as materialized (`,
    replace: `  with \${items({ run_id: "uuid", epoch: "bigint", reason: "text", node_now: "timestamptz" })}, \${family(skipLocked)}, lost as materialized (`,
  },
  {
    file: LEASES,
    search: `       and (item.reason = 'holder_gone' or r.lease_expires_at <= tidebase.now())`,
    replace: `       and (item.reason = 'holder_gone' or r.lease_expires_at <= item.node_now)`,
  },
  {
    file: LOST,
    search: `{ machine: machine ?? "", limit: BATCH }`,
    replace: `{ machine: machine ?? "", limit: BATCH, ${NODE_NOW} } as never`,
  },
  {
    file: LOST,
    search: `db.batch(leases.interrupt, items)`,
    replace: `db.batch(leases.interrupt, items.map((item) => ({ ...item, ${NODE_NOW} })))`,
  },
];

/** A replica whose clock is ahead takes leases from those who live. */
const nodeClock: Mutant = {
  id: "2-node-clock",
  fault: "A lease is granted, taken over and swept by the clock of the Node process.",
  edits: [...begins, ...sweeps],
  looks: [{ profile: "replicas" }, trials("F17"), trials()],
};

/** What was found as lost a moment ago is ended, whatever has become of it. */
const idOnly: Mutant = {
  id: "10-id-only",
  fault: "The sweep of lost workers updates what it found by its id, without a look at the row.",
  edits: [
    {
      file: LEASES,
      search: `     where r.status = 'running' and r.epoch = item.epoch
       and (item.reason = 'holder_gone' or r.lease_expires_at <= tidebase.now())
       and \${parentHeld}`,
      replace: `     where \${parentHeld}`,
    },
  ],
  looks: [INTERLEAVE, trials("F5"), trials()],
};

/** What guards a lease, left out. */
export const fences: readonly Mutant[] = [noEpoch, nodeClock, idOnly];
