import type { Bench } from "./bench.ts";
import type { Ids } from "./copies.ts";
import type { Run } from "./model.ts";

/** The run as the store has it, and what must be true of it whatever happened. */
export interface FinalRead {
  readonly run: Run;
  readonly lastSeq: number;
  /** Promises that its rows break, as sentences. */
  readonly broken: readonly string[];
}

interface Row {
  status: string | null;
  has_queue: boolean;
  epoch: number;
  grant_id: string | null;
  is_live: boolean;
  has_lease: boolean;
  attempts: number;
  failure_class: string | null;
  waits: string[] | null;
  last_seq: number;
  step: string | null;
  gate: string | null;
  child: string | null;
  signals: number;
  forks: number;
  versions: number[];
  rows: number;
  events: [number, string, number | null][];
}

const READ = `select r.status, r.queue is not null as has_queue, r.epoch::int as epoch, r.grant_id,
    coalesce(r.lease_expires_at > tidebase.now(), false) as is_live, r.lease_expires_at is not null as has_lease,
    r.attempts, r.failure_class, r.waits, r.last_seq::int as last_seq,
    (select s.status from tidebase.steps s where s.run_id = x.run_id) as step,
    (select g.status from tidebase.gates g where g.run_id = x.run_id) as gate,
    (select c.status from tidebase.children e join tidebase.runs c on c.run_id = e.child_run_id
      where e.parent_run_id = x.run_id) as child,
    (select count(*)::int from tidebase.signals s where s.run_id = x.run_id) as signals,
    (select count(*)::int from tidebase.runs f where f.forked_from_run_id = x.run_id) as forks,
    array(select v.version::int from tidebase.versions v where v.run_id = x.run_id order by 1) as versions,
    (select count(*)::int from tidebase.events e where e.run_id = x.run_id)
      + (select count(*)::int from tidebase.steps e where e.run_id = x.run_id)
      + (select count(*)::int from tidebase.versions e where e.run_id = x.run_id)
      + (select count(*)::int from tidebase.gates e where e.run_id = x.run_id) as rows,
    coalesce((select json_agg(json_build_array(e.seq, e.type, e.data -> 'epoch') order by e.seq)
      from tidebase.events e where e.run_id = x.run_id), '[]') as events
  from (select $1::uuid as run_id) x left join tidebase.runs r using (run_id)`;

/** Reads the run; `since` is the number of its last event before the case, `grants` names its grants. */
export async function readRun(
  { query }: Bench,
  { run }: Pick<Ids, "run">,
  { since, grants }: { since: number; grants: ReadonlyMap<string, string> },
): Promise<FinalRead> {
  const [row] = await query<Row>(READ, [run], "read");
  if (row === undefined) throw new Error("the read says nothing");
  const grant = row.grant_id === null ? null : (grants.get(row.grant_id) ?? "unknown");
  const { attempts, step, gate, child, signals, forks, epoch } = row;
  return {
    lastSeq: row.last_seq,
    broken: row.status === null ? brokenByDeletion(row) : broken(row),
    run: {
      isGone: row.status === null,
      status: row.status ?? "",
      ...{ hasQueue: row.has_queue, epoch, grant, isLive: row.is_live && row.status === "running" },
      ...{
        attempts,
        failureClass: row.failure_class,
        step,
        gate,
        child,
        signals,
        forks,
        versions: row.versions.length,
      },
      waits: [...new Set((row.waits ?? []).map((wait) => wait.replace(/_.*/, "")))].sort(),
      events: row.events.filter(([seq]) => seq > since).map(([, type]) => type),
    },
  };
}

function brokenByDeletion({ rows, forks }: Row): string[] {
  return rows === 0 ? [] : [`${rows} rows are left of a deleted run (${forks} forks)`];
}

const ENDS = ["run.completed", "run.cancelled"];
const DECISIONS = ["gate.resolved", "gate.expired"];

/** What no order of anything may break. */
function broken({ events, last_seq, status, has_lease, epoch, versions }: Row): string[] {
  const problems: string[] = [];
  const told = (isBroken: boolean, sentence: string) => isBroken && problems.push(sentence);
  const types = events.map(([, type]) => type);
  const epochs = events.flatMap(([, type, of]) => (type === "run.begun" ? [Number(of)] : []));
  const end = types.findIndex((type) => ENDS.includes(type));
  told(
    events.some(([seq], n) => seq !== n + 1) || events.length !== last_seq,
    `events are not numbered 1 to ${last_seq}: ${events.map(([seq]) => seq)}`,
  );
  told(
    epochs.some((one, n) => n > 0 && one !== Number(epochs[n - 1]) + 1) ||
      (epochs.at(-1) ?? epoch) !== epoch,
    `grants have the epochs ${epochs}, the run has ${epoch}`,
  );
  told(
    end >= 0 && end < types.length - 1,
    `after ${types[end]} came ${types.slice(end + 1).join(", ")}`,
  );
  told(end >= 0 && types[end] !== `run.${status}`, `after ${types[end]} it is ${status}`);
  told(
    versions.some((version, n) => version !== n + 1),
    `versions of its state are not numbered from 1: ${versions}`,
  );
  told(types.filter((type) => DECISIONS.includes(type)).length > 1, "a gate was decided twice");
  told(has_lease !== (status === "running"), `a ${status} run and its lease do not agree`);
  return problems;
}
