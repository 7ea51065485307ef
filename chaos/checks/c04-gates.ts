import type { Evidence, Row } from "../history/evidence.ts";
import { type Call, calls, idsIn } from "./calls.ts";
import type { Check, Violation } from "./check.ts";
import { type Access, unexplained } from "./linear.ts";
import { logs } from "./log.ts";
import { bare, deletedRuns, grouped, indexed, member, rows, text } from "./rows.ts";

const ID = "C4";
/** The key that workers use; it can read and work, and decides nothing. */
const WORKER = "worker";
const DECISIONS = ["approved", "rejected"];

/** One decision a gate, which every later read sees, and no worker makes. */
export const gates: Check = {
  id: ID,
  promises: ["P5"],
  rule: "One decision a gate; every read after it returns it, in real time; no worker's key resolves.",
  find(evidence) {
    return [
      ...decidedTwice(evidence),
      ...contradicted(evidence),
      ...disordered(evidence),
      ...byWorkers(evidence),
    ];
  },
};

/** The status that an answer shows of its gate. */
function statusIn({ got }: Call): string {
  return text(member(member(got, "gate") ?? got, "status") ?? member(got, "decision"));
}

function gateOf({ key, got }: Call): string {
  return idsIn(key, "gate")[0] ?? idsIn(got, "gate")[0] ?? bare(key);
}

/** A gate's log has one decision, and it is the one of its row. */
function decidedTwice(evidence: Evidence): Violation[] {
  const stored = indexed(evidence, "gates", "gate_id");
  return [...logs(evidence).values()].flatMap((log) => {
    const ends = log.filter(({ type }) => type === "gate.resolved" || type === "gate.expired");
    return [...grouped(ends, ({ data }) => bare(data["gateId"]))].flatMap(([key, all]) => {
      const told = all.map(({ type, data }) =>
        type === "gate.expired" ? "expired" : text(data["status"]),
      );
      const row = text(stored.get(key)?.["status"]);
      if (told.length > 1)
        return [{ check: ID, key, message: `Gate ${key} was decided ${told.join(" and ")}.` }];
      const message = `Gate ${key} was decided ${told[0]}, and is ${row === "" ? "gone" : row}.`;
      return row === told[0] ? [] : [{ check: ID, key, message }];
    });
  });
}

/** Whoever was told that his decision stands has decided as the final read says. */
function contradicted(evidence: Evidence): Violation[] {
  const stored = indexed(evidence, "gates", "gate_id");
  const forgotten = forgottenGates(evidence);
  return calls(evidence, "gates.resolve").flatMap((call) => {
    const key = gateOf(call);
    const told = statusIn(call);
    const row = stored.get(key);
    const isGone = row === undefined && forgotten.has(key);
    if (call.type !== "ok" || !DECISIONS.includes(told) || isGone) return [];
    const asked = text(member(call.asked, "decision"));
    if (asked !== "" && asked !== told)
      return [{ check: ID, key, message: `${call.proc} asked ${asked} and was answered ${told}.` }];
    const message = `${call.proc} was answered ${told}, but gate ${key} is ${text(row?.["status"] ?? "gone")}.`;
    return row?.["status"] === told ? [] : [{ check: ID, key, message }];
  });
}

/** Gates of runs that retention has deleted: who opened a gate knows whose it is. */
function forgottenGates(evidence: Evidence): ReadonlySet<string> {
  const deleted = deletedRuns(evidence);
  const opened = calls(evidence, "gates.open").filter(({ key }) => deleted.has(bare(key)));
  return new Set(opened.map(gateOf));
}

/** Decisions and reads of each gate fit one order: the gate is a register that is written once. */
function disordered(evidence: Evidence): Violation[] {
  const byGate = grouped(calls(evidence, "gates.resolve", "gates.get"), gateOf);
  const stored = indexed(evidence, "gates", "gate_id");
  return [...byGate].flatMap(([key, all]) => {
    const row = stored.get(key);
    const accesses = [...all.flatMap(accessesOf), ...finalAccesses(row, evidence.readAt)];
    const left = unexplained("open", accesses);
    const message = `No order explains gate ${key}: ${left?.map(({ told }) => told).join("; ")}.`;
    return left === undefined ? [] : [{ check: ID, key, message }];
  });
}

function accessesOf(call: Call): Access<string>[] {
  const { from, to, type, f, proc } = call;
  const status = statusIn(call);
  const told = `${proc} ${f} ${type} ${status}`;
  if (f === "gates.get" || (type === "ok" && !DECISIONS.includes(status)))
    return type === "ok" && status !== "" ? [reading(told, from, to, status)] : [];
  if (type === "fail") {
    const wasDecided = text(member(call.got, "code")) === "gate_already_resolved";
    const apply = (state: string) => (state === "open" ? undefined : state);
    return wasDecided
      ? [{ told: `${told} refused`, from, to, certain: true, settles: true, apply }]
      : [];
  }
  const decision = type === "ok" ? status : text(member(call.asked, "decision"));
  const apply = (state: string) => (state === "open" || state === decision ? decision : undefined);
  return decision === "" ? [] : [{ told, from, to, certain: type === "ok", settles: true, apply }];
}

function reading(told: string, from: number, to: number, status: string): Access<string> {
  const apply = (state: string) => (state === status ? state : undefined);
  return { told, from, to, certain: true, settles: true, apply };
}

/** What the final read shows; how the store itself ends a gate may come at any time. */
function finalAccesses(row: Row | undefined, readAt: number): Access<string>[] {
  if (row === undefined) return [];
  const status = text(row["status"]);
  const ended: Access<string> = {
    told: `the store ${status}`,
    from: Number.NEGATIVE_INFINITY,
    to: Number.POSITIVE_INFINITY,
    certain: false,
    settles: true,
    apply: (state) => (state === "open" ? status : undefined),
  };
  const byItself = status === "expired" || status === "closed" ? [ended] : [];
  const read = reading(`the final read ${status}`, readAt, readAt, status);
  return [...byItself, read];
}

function byWorkers(evidence: Evidence): Violation[] {
  const accepted = calls(evidence, "gates.resolve").filter(
    ({ type, asked }) => type === "ok" && member(asked, "as") === WORKER,
  );
  const decided = rows(evidence, "gates").filter((row) => row["decided_by"] === WORKER);
  return [
    ...accepted.map((call) => gateOf(call)),
    ...decided.map((row) => bare(row["gate_id"])),
  ].map((key) => ({ check: ID, key, message: `A worker's key has resolved gate ${key}.` }));
}
