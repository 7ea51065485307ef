import type { Evidence, Row } from "../history/evidence.ts";
import { type Call, calls, idsIn, type Recorded } from "./calls.ts";
import type { Check, Violation } from "./check.ts";
import { stepName } from "./log.ts";
import { bare, count, deletedRuns, grouped, indexed, member, rows, text } from "./rows.ts";

const ID = "C3";
const AT_REST = ["completed", "cancelled", "failed"];
const OWNED = ["events", "steps", "gates", "payloads", "deliveries", "usage", "versions"];

/** What the final read has, by what the answers of calls name. */
interface Store {
  readonly runs: ReadonlyMap<string, Row>;
  readonly deleted: ReadonlyMap<string, Row>;
  readonly gates: ReadonlyMap<string, Row>;
  readonly schedules: ReadonlyMap<string, Row>;
  /** `run seq` of each event. */
  readonly events: ReadonlySet<string>;
  /** `run step` of each completed step. */
  readonly steps: ReadonlySet<string>;
}

/** Says what is missing of what a call was answered; undefined when it is there. */
type Missing = (call: Call, store: Store) => string | undefined;

/** What each operation has promised by its answer. State and usage are C11 and C12, decisions are C4. */
const PROMISED: Readonly<Partial<Record<Recorded, Missing>>> = {
  "runs.create": runIsThere,
  "queues.enqueue": runIsThere,
  "schedules.trigger": runIsThere,
  "runs.cancel": runIsCancelled,
  "gates.open": gateIsThere,
  "signals.send": eventIsThere,
  "usage.record": eventIsThere,
  "schedules.put": scheduleIsThere,
  step: stepIsThere,
};

/** What was acknowledged is there after everything: nothing that was answered is lost. */
export const durableAck: Check = {
  id: ID,
  promises: ["P7", "P15", "P17"],
  rule: "Every ok write is in the final read, what was refused is not; retention takes only what has come to rest.",
  find(evidence) {
    const store = storeOf(evidence);
    const lost = Object.entries(PROMISED).flatMap(([f, missingOf]) =>
      calls(evidence, f as Recorded).flatMap((call) => {
        const missing = call.type === "ok" ? missingOf(call, store) : undefined;
        const message = `${f} of ${call.key} was answered at ${call.to.toFixed(1)}, but ${missing}.`;
        return missing === undefined ? [] : [{ check: ID, key: bare(call.key), message }];
      }),
    );
    return [
      ...lost,
      ...refused(evidence, store),
      ...twice(evidence, store),
      ...forgotten(store),
      ...orphaned(evidence, store),
    ];
  },
};

function storeOf(evidence: Evidence): Store {
  const eventKey = (row: Row) => `${bare(row["run_id"])} ${text(row["seq"])}`;
  const stepKey = (row: Row) => `${bare(row["run_id"])} ${stepName(row["name"], row["key"])}`;
  return {
    runs: indexed(evidence, "runs", "run_id"),
    deleted: deletedRuns(evidence),
    gates: indexed(evidence, "gates", "gate_id"),
    schedules: indexed(evidence, "schedules", "name"),
    events: new Set(rows(evidence, "events").map(eventKey)),
    steps: new Set(
      rows(evidence, "steps")
        .filter(({ status }) => status === "completed")
        .map(stepKey),
    ),
  };
}

/** The run that the call is about; its answer names it, or its key does. */
function runOf({ got, key }: Call): string {
  return idsIn(got, "run")[0] ?? bare(key);
}

function runIsThere(call: Call, { runs, deleted }: Store): string | undefined {
  const ids = idsIn(call.got, "run");
  const wanted = ids.length > 0 ? ids : idsIn(call.key, "run");
  const missing = wanted.filter((id) => !runs.has(id) && !deleted.has(id));
  return missing.length > 0 ? `there is no run ${missing.join(", ")}` : undefined;
}

function runIsCancelled(call: Call, { runs, deleted }: Store): string | undefined {
  const run = runOf(call);
  const status = (runs.get(run) ?? deleted.get(run))?.["status"];
  if (status === undefined) return `there is no run ${run}`;
  return status === "cancelled" ? undefined : `the run is ${String(status)}`;
}

function gateIsThere(call: Call, { gates, deleted }: Store): string | undefined {
  const gate = idsIn(call.got, "gate")[0] ?? idsIn(call.key, "gate")[0];
  const isGone = deleted.has(runOf(call));
  return gate === undefined || isGone || gates.has(gate) ? undefined : `there is no gate ${gate}`;
}

/** The answer gives the number of the event that the write took. */
function eventIsThere(call: Call, { events, deleted }: Store): string | undefined {
  const seq = count(member(call.got, "seq") ?? member(member(call.got, "usage"), "seq"));
  const run = runOf(call);
  if (seq === undefined || deleted.has(run) || events.has(`${run} ${seq}`)) return undefined;
  return `the run has no event ${seq}`;
}

function scheduleIsThere({ key, got }: Call, { schedules }: Store): string | undefined {
  const name = text(member(member(got, "schedule") ?? got, "name") ?? key);
  return schedules.has(name) ? undefined : `there is no schedule ${name}`;
}

function stepIsThere({ key, got }: Call, { steps, deleted }: Store): string | undefined {
  const run = bare(key);
  const step = text(member(got, "step"));
  return deleted.has(run) || steps.has(`${run} ${step}`) ? undefined : `${step} is not completed`;
}

/** A call that was refused has done nothing: so where all calls of a new run were, it does not exist. */
function refused(evidence: Evidence, { runs }: Store): Violation[] {
  const created = calls(evidence, "runs.create", "queues.enqueue");
  const byRun = grouped(created, ({ asked, key }) => idsIn([asked, key], "run")[0] ?? "");
  byRun.delete("");
  return [...byRun].flatMap(([run, all]) => {
    const wasRefused = all.every(({ type }) => type === "fail") && runs.has(run);
    const message = `Run ${run} exists, although all ${all.length} calls to make it were refused.`;
    return wasRefused ? [{ check: ID, key: run, message }] : [];
  });
}

/**
 * One run for an idempotency key, whoever was answered; and where an answer was lost, no other run of those that were
 * asked for under it.
 */
function twice(evidence: Evidence, { runs, deleted }: Store): Violation[] {
  const isThere = (run: string) => runs.has(run) || deleted.has(run);
  const keyed = calls(evidence, "runs.create", "queues.enqueue", "schedules.trigger")
    .map((call) => ({ key: text(member(call.asked, "idempotencyKey")), call }))
    .filter(({ key }) => key !== "");
  return [...grouped(keyed, ({ key }) => key)].flatMap(([key, all]) => {
    const answered = all.filter(({ call }) => call.type === "ok").map(({ call }) => runOf(call));
    const asked = all.flatMap(({ call }) => idsIn(member(call.asked, "runId"), "run"));
    const made = [...new Set([...answered, ...asked.filter(isThere)])];
    const message = `The idempotency key ${key} has made ${made.join(" and ")}.`;
    return made.length > 1 ? [{ check: ID, key, message }] : [];
  });
}

/** Retention deletes what is final or has failed, whatever else happens at that moment. */
function forgotten({ deleted }: Store): Violation[] {
  return [...deleted].flatMap(([run, { status }]) => {
    const message = `Run ${run} was deleted while it was ${String(status)}.`;
    return AT_REST.includes(String(status)) ? [] : [{ check: ID, key: run, message }];
  });
}

/** Whatever a run owns goes with it. */
function orphaned(evidence: Evidence, { runs }: Store): Violation[] {
  const owners = OWNED.flatMap((table) =>
    rows(evidence, table).map((row) => ({ table, run: bare(row["run_id"]) })),
  );
  const left = owners.filter(({ run }) => !runs.has(run));
  return [...grouped(left, ({ table, run }) => `${run} ${table}`)].map(([key, all]) => {
    const [run = "", table] = key.split(" ");
    const message = `There are ${all.length} rows in ${table} of run ${run}, which does not exist.`;
    return { check: ID, key: run, message };
  });
}
