import type { Evidence, Op } from "../history/evidence.ts";
import { bare } from "./rows.ts";

/** What workloads record, and so all that a check can ask of; `chaos/test` holds them to it. */
export const RECORDED = [
  "attempt",
  "events.left",
  "events.read",
  "gates.get",
  "gates.open",
  "gates.resolve",
  "queues.enqueue",
  "queues.update",
  "run",
  "runs.cancel",
  "runs.create",
  "runs.get",
  "runs.recover",
  "schedules.pause",
  "schedules.put",
  "schedules.trigger",
  "signals.send",
  "state.append",
  "state.read",
  "step",
  "usage.record",
  "webhooks.create",
] as const;
export type Recorded = (typeof RECORDED)[number];

/** A call of a client: what it asked, and what it heard if it heard anything. */
export interface Call {
  readonly f: string;
  /** As recorded: a run id, gate id, dedupe key. */
  readonly key: string;
  readonly proc: string;
  readonly from: number;
  /** When the answer came; Infinity when it was lost: what was asked may happen at any time. */
  readonly to: number;
  readonly type: "ok" | "fail" | "info";
  /** The value that was sent. */
  readonly asked: unknown;
  /** The value that came back. */
  readonly got: unknown;
}

/** The calls of these operations, in the order in which they began. One recorded by its end alone took no time. */
export function calls(evidence: Evidence, ...names: readonly Recorded[]): readonly Call[] {
  const wanted = new Set<string>(names);
  const open = new Map<string, Op>();
  const found: Call[] = [];
  for (const op of evidence.ops) {
    if (!wanted.has(op.f)) continue;
    if (op.type === "invoke") open.set(op.call, op);
    else {
      found.push(callOf(open.get(op.call) ?? op, op));
      open.delete(op.call);
    }
  }
  for (const op of open.values()) found.push(callOf(op, { ...op, type: "info" }));
  return found.sort((a, b) => a.from - b.from);
}

function callOf(invoke: Op, end: Op): Call {
  const type = end.type === "invoke" ? "info" : end.type;
  return {
    f: invoke.f,
    key: invoke.key,
    proc: invoke.proc,
    from: invoke.at,
    to: type === "info" ? Number.POSITIVE_INFINITY : end.at,
    type,
    asked: invoke.value,
    got: end.value,
  };
}

const ID = /^(?:run|gate|delivery|schedule)_[0-9a-f]{8}-[0-9a-f-]{27}$/;

/** The uuids of all ids of the noun that stand anywhere in the value. */
export function idsIn(value: unknown, noun?: "run" | "gate"): readonly string[] {
  if (typeof value === "string") {
    const fits = ID.test(value) && (noun === undefined || value.startsWith(`${noun}_`));
    return fits ? [bare(value)] : [];
  }
  if (typeof value !== "object" || value === null) return [];
  return Object.values(value).flatMap((inner) => idsIn(inner, noun));
}
