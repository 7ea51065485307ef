import type { Evidence } from "../history/evidence.ts";
import { type Call, calls } from "./calls.ts";
import type { Check, Violation } from "./check.ts";
import { type Entry, logs } from "./log.ts";
import { bare, count, deletedRuns, grouped, member, rows, text } from "./rows.ts";

const ID = "C9";
/** So long after an event was seen, and all was healed, a reader may not have been shown it. */
const LAG_MS = 8000;
const ENDS = ["run.completed", "run.cancelled"];

/**
 * The log has no gap, and every reader is shown a piece of it: in order, nothing twice, nothing that is not there, and in
 * the end all that there is.
 */
export const log: Check = {
  id: ID,
  promises: ["P11"],
  rule: "seq is 1..n for each run; each stream of events is a contiguous piece of its log without repetition, and does not stay behind it.",
  find: (evidence) => [...gaps(evidence), ...streams(evidence), ...behind(evidence)],
};

function gaps(evidence: Evidence): Violation[] {
  const all = logs(evidence);
  return rows(evidence, "runs").flatMap((row) => {
    const key = bare(row["run_id"]);
    const entries = all.get(key) ?? [];
    const last = count(row["last_seq"]) ?? 0;
    const gap = entries.findIndex(({ seq }, i) => seq !== i + 1);
    if (gap >= 0)
      return [
        { check: ID, key, message: `Run ${key} has event ${entries[gap]?.seq} at ${gap + 1}.` },
      ];
    const message = `Run ${key} has ${entries.length} events, and has counted ${last}.`;
    return entries.length === last ? [] : [{ check: ID, key, message }];
  });
}

function streams(evidence: Evidence): Violation[] {
  const stored = logs(evidence);
  const deleted = deletedRuns(evidence);
  const reads = calls(evidence, "events.read").filter(({ type }) => type === "ok");
  const byStream = grouped(reads, ({ key, got }) => `${bare(key)} ${text(member(got, "stream"))}`);
  return [...byStream].flatMap(([stream, all]) => {
    const [key = ""] = stream.split(" ", 1);
    const shown = all.toSorted((a, b) => a.to - b.to);
    const said =
      contiguity(shown) ?? (deleted.has(key) ? undefined : phantom(shown, stored.get(key)));
    const message = `A reader of run ${key} (${text(member(all[0]?.got, "stream"))}) ${said}.`;
    return said === undefined ? [] : [{ check: ID, key, message }];
  });
}

/** Readers that have given up, or were told that there is no more, before they were shown the end of their run. */
function behind(evidence: Evidence): Violation[] {
  const stored = logs(evidence);
  const deleted = deletedRuns(evidence);
  const seen = grouped(calls(evidence, "runs.get"), ({ key }) => bare(key));
  const healedAt = Math.max(...evidence.faults.map(({ to }) => to), Number.NEGATIVE_INFINITY);
  return calls(evidence, "events.left").flatMap((left) => {
    const key = bare(left.key);
    const seq = seqOf(left);
    if (left.type !== "ok" || deleted.has(key)) return [];
    const reader = `A reader of run ${key} (${text(member(left.got, "stream"))})`;
    const end = stored.get(key)?.findLast(({ type }) => ENDS.includes(type))?.seq;
    if (member(left.got, "over") === true) {
      const message = `${reader} was told that there is no more after event ${seq}; its end is ${end ?? "not there"}.`;
      return end !== undefined && end <= seq ? [] : [{ check: ID, key, message }];
    }
    const before = left.to - LAG_MS;
    const known = (seen.get(key) ?? []).filter(({ type, to }) => type === "ok" && to <= before);
    const last = Math.max(0, ...known.map(({ got }) => count(member(got, "lastSeq")) ?? 0));
    const message = `${reader} had been shown ${seq} events when it gave up, though there were ${last} long before.`;
    return healedAt > before || last <= seq ? [] : [{ check: ID, key, message }];
  });
}

const seqOf = ({ got }: Call): number => count(member(got, "seq")) ?? 0;

function contiguity(shown: readonly Call[]): string | undefined {
  const i = shown.findIndex((call, n) => n > 0 && seqOf(call) !== seqOf(shown[n - 1] as Call) + 1);
  if (i < 0) return undefined;
  return `was shown event ${seqOf(shown[i] as Call)} after ${seqOf(shown[i - 1] as Call)}`;
}

function phantom(shown: readonly Call[], stored: readonly Entry[] = []): string | undefined {
  const wrong = shown.find(
    (call) => stored[seqOf(call) - 1]?.type !== text(member(call.got, "type")),
  );
  if (wrong === undefined) return undefined;
  const is = stored[seqOf(wrong) - 1]?.type ?? "nothing";
  return `was shown ${text(member(wrong.got, "type"))} as event ${seqOf(wrong)}, which is ${is}`;
}
