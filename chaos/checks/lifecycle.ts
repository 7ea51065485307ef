import type { Evidence } from "../history/evidence.ts";
import { type Entry, isGrant, logs } from "./log.ts";

/** A status of a run; `none` before it was created. */
export type Status =
  | "none"
  | "pending"
  | "queued"
  | "running"
  | "waiting"
  | "interrupted"
  | "failed"
  | "completed"
  | "cancelled";

/** An event, and the status that the run had before and after it. */
export interface Move {
  readonly entry: Entry;
  readonly from: Status;
  readonly to: Status;
  /** Whether model.md §1 lets this happen in `from`. */
  readonly legal: boolean;
}

const OPEN: readonly Status[] = [
  "pending",
  "queued",
  "running",
  "waiting",
  "interrupted",
  "failed",
];
const FINAL: readonly Status[] = ["completed", "cancelled"];

/** Events that do not change the status, and when they may happen: fenced ones while somebody holds the run. */
const WITHIN: Readonly<Record<string, readonly Status[]>> = {
  "step.begun": ["running"],
  "step.completed": ["running"],
  "step.failed": ["running"],
  "step.reviewed": OPEN,
  "step.copied": OPEN,
  "state.set": ["running"],
  "state.patched": ["running"],
  "state.labeled": ["running"],
  "state.copied": OPEN,
  "signal.sent": OPEN,
  "signal.copied": OPEN,
  "gate.opened": ["running"],
  "gate.extended": OPEN,
  "gate.voted": OPEN,
  "gate.resolved": OPEN,
  "gate.expired": OPEN,
  "usage.recorded": ["running"],
  "child.created": ["running"],
  "child.ended": OPEN,
  "timer.fired": ["waiting"],
  "run.deadline_set": OPEN,
  "run.quarantined": [...OPEN, ...FINAL],
  "delivery.failed": [...OPEN, ...FINAL],
  "run.erased": FINAL,
  "cleanup.begun": ["cancelled"],
  "cleanup.ended": ["cancelled"],
};

interface Known {
  readonly from: Status;
  /** A job: it begins by claim only, and goes back to its queue. */
  readonly hasQueue: boolean;
  /** Its lease was granted in the name of a message to an endpoint. */
  readonly pushed: boolean;
}

type Turn = { readonly from: readonly Status[]; readonly to: Status };

/** The rows of the table of model.md §1: from where the event may come, and where it leads. */
function turnOf({ type, data }: Entry, { hasQueue, pushed, from }: Known): Turn | undefined {
  const ready: Status = hasQueue ? "queued" : "pending";
  switch (type) {
    case "run.created":
      return { from: ["none"], to: ready };
    case "run.queued":
      return { from: from === "none" ? ["none"] : hasQueue ? ["running"] : [], to: "queued" };
    case "run.begun":
      return { from: beginnable(data, hasQueue, pushed), to: "running" };
    case "run.pushed":
      return { from: ["queued"], to: "running" };
    case "run.suspended":
      return { from: ["running"], to: "waiting" };
    case "run.woken":
      return { from: ["waiting"], to: ready };
    case "run.released":
      return { from: ["running"], to: ready };
    case "run.completed":
      return { from: ["running"], to: "completed" };
    case "run.failed":
      return { from: ["running"], to: "failed" };
    case "run.interrupted":
      return { from: hasQueue ? [] : ["running"], to: "interrupted" };
    case "run.cancelled":
      return { from: OPEN, to: "cancelled" };
    case "recovery.requested":
      return { from: ["pending", "queued", "failed", "interrupted", "running"], to: ready };
    default:
      return undefined;
  }
}

/** A held run is taken over only where its log says why. */
function beginnable(data: Entry["data"], hasQueue: boolean, pushed: boolean): readonly Status[] {
  if (hasQueue) return pushed ? ["queued", "running"] : ["queued"];
  const held: Status[] = data["takeover"] === undefined ? [] : ["running"];
  return ["pending", "interrupted", "failed", "waiting", ...held];
}

/** What a run's log says of its status. An event that no rule knows is illegal. */
export function movesOf(log: readonly Entry[]): readonly Move[] {
  const hasQueue = log.some(
    ({ seq, type, data }) =>
      seq === 1 && (type === "run.queued" || typeof data["queue"] === "string"),
  );
  let from: Status = "none";
  let pushed = false;
  return log.map((entry) => {
    const turn = turnOf(entry, { from, hasQueue, pushed });
    const allowed = turn?.from ?? WITHIN[entry.type] ?? [];
    const move = { entry, from, to: turn?.to ?? from, legal: allowed.includes(from) };
    if (isGrant(entry)) pushed = entry.type === "run.pushed";
    from = move.to;
    return move;
  });
}

/** A time that a run spent in some statuses; `to` is Infinity when it still does. */
export interface Span {
  readonly run: string;
  readonly from: number;
  readonly to: number;
  /** Number of the event that began it. */
  readonly seq: number;
}

/** The spans that each run spent in any of the statuses, by the database's clock. */
export function spansIn(evidence: Evidence, statuses: readonly Status[]): Map<string, Span[]> {
  const found = new Map<string, Span[]>();
  for (const [run, log] of logs(evidence)) found.set(run, spansOf(run, movesOf(log), statuses));
  return found;
}

function spansOf(run: string, moves: readonly Move[], statuses: readonly Status[]): Span[] {
  const spans: Span[] = [];
  let open: { from: number; seq: number } | undefined;
  for (const { entry, to } of moves) {
    const isIn = statuses.includes(to);
    if (isIn) open ??= { from: entry.at, seq: entry.seq };
    else if (open !== undefined) {
      spans.push({ run, ...open, to: entry.at });
      open = undefined;
    }
  }
  if (open !== undefined) spans.push({ run, ...open, to: Number.POSITIVE_INFINITY });
  return spans;
}
