import type { Evidence, Row } from "../history/evidence.ts";
import type { Check } from "./check.ts";
import { type Entry, isGrant, logs, stepName, stepOf } from "./log.ts";
import { bare, count, grouped, indexed, member, parsed, rows } from "./rows.ts";

const ID = "C2";
const WRITES = new Set(["step.begun", "step.completed", "step.failed"]);

/** A grant of the run's lease, by its event. */
interface Grant {
  readonly seq: number;
  readonly epoch: number;
  /** The process that began, where workers give its name as their version. */
  readonly holder: unknown;
}

/** Who did what. */
interface Works {
  readonly processes: ReadonlySet<unknown>;
  /** The process that made each nonce. */
  readonly made: ReadonlyMap<string, string>;
}

/** Grants raise the epoch, each epoch has one holder, and what is accepted was written under the epoch of its time. */
export const fencing: Check = {
  id: ID,
  promises: ["P2", "P3"],
  rule: "Epochs rise strictly with each grant, each has one holder, and accepted writes do not go back.",
  find(evidence) {
    const runs = indexed(evidence, "runs", "run_id");
    const holders = indexed(evidence, "holders", "run_id");
    const steps = grouped(rows(evidence, "steps"), (row) => bare(row["run_id"]));
    const works = {
      processes: new Set([...evidence.ops, ...evidence.effects].map(({ proc }) => proc)),
      made: new Map(evidence.effects.map(({ nonce, proc }) => [nonce, proc])),
    };
    return [...logs(evidence)].flatMap(([run, log]) => {
      const grants = log.filter(isGrant).map(grantOf);
      const messages = [
        ...rising(grants),
        ...stale(log, grants, steps.get(run) ?? [], works),
        ...ended(grants, runs.get(run)),
        ...ended(grants, holders.get(run)),
        ...held(grants, holders.get(run)),
        ...finished(evidence, run, grants),
      ];
      return messages.map((message) => ({ check: ID, key: run, message: `${run}: ${message}` }));
    });
  },
};

function grantOf({ seq, data }: Entry): Grant {
  return { seq, epoch: count(data["epoch"]) ?? 0, holder: data["version"] };
}

function rising(grants: readonly Grant[]): string[] {
  return grants.flatMap(({ seq, epoch }, i) => {
    const before = grants[i - 1];
    const isHigher = before === undefined || epoch > before.epoch;
    return isHigher
      ? []
      : [`event ${seq} grants epoch ${epoch} after event ${before.seq} granted ${before.epoch}.`];
  });
}

/** The grant under which an event was written. */
function grantAt(grants: readonly Grant[], seq: number): Grant | undefined {
  return grants.findLast((grant) => grant.seq < seq);
}

/** The epoch that a step's row was last written under is that of the run at the step's last event. */
function stale(
  log: readonly Entry[],
  grants: readonly Grant[],
  steps: readonly Row[],
  { processes, made }: Works,
): string[] {
  const last = new Map<string, Entry>();
  for (const entry of log) if (WRITES.has(entry.type)) last.set(stepOf(entry), entry);
  return steps.flatMap((row) => {
    const step = stepName(row["name"], row["key"]);
    const entry = last.get(step);
    const epoch = count(row["epoch"]) ?? 0;
    const grant = entry === undefined ? undefined : grantAt(grants, entry.seq);
    if (entry === undefined || grant === undefined) return [];
    const told = `event ${entry.seq} (${entry.type} ${step})`;
    if (epoch > grant.epoch) return [`${told} has epoch ${epoch} before it was granted.`];
    const nonce = member(parsed(row["output"]), "nonce");
    if (row["status"] !== "completed" || typeof nonce !== "string") return [];
    if (epoch < grant.epoch)
      return [`${told} was accepted under epoch ${epoch}, while ${grant.epoch} held the run.`];
    const worker = made.get(nonce);
    return processes.has(grant.holder) && worker !== undefined && worker !== grant.holder
      ? [`${told} is ${worker}'s work, accepted while ${String(grant.holder)} held the run.`]
      : [];
  });
}

/** The epoch of the run, and of the row of its holder, is the last one granted. */
function ended(grants: readonly Grant[], row: Row | undefined): string[] {
  const last = grants.at(-1);
  if (row === undefined || last === undefined) return [];
  const epoch = count(row["epoch"]);
  return epoch === last.epoch ? [] : [`is at epoch ${epoch}, but ${last.epoch} was granted last.`];
}

/** Who holds the run is who was granted it last, where workers give their names. */
function held(grants: readonly Grant[], row: Row | undefined): string[] {
  const holder = grants.at(-1)?.holder;
  const is = row?.["version"];
  if (typeof holder !== "string" || typeof is !== "string" || is === holder) return [];
  return [`is held by ${is}, but was granted to ${holder} last.`];
}

/** A result that names the process (`proc`) which made it is the last holder's. */
function finished(evidence: Evidence, run: string, grants: readonly Grant[]): string[] {
  const holder = grants.at(-1)?.holder;
  const row = resultsOf(evidence).get(run);
  const proc = member(parsed(row?.["result"]), "proc");
  if (typeof proc !== "string" || typeof holder !== "string" || proc === holder) return [];
  return [`was completed by ${proc}, while ${holder} held it.`];
}

const known = new WeakMap<Evidence, Map<string, Row>>();

function resultsOf(evidence: Evidence): Map<string, Row> {
  const results = known.get(evidence) ?? indexed(evidence, "payloads", "run_id");
  known.set(evidence, results);
  return results;
}
