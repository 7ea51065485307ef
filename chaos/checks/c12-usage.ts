import type { Evidence, Row } from "../history/evidence.ts";
import { type Call, calls } from "./calls.ts";
import type { Check } from "./check.ts";
import { logs } from "./log.ts";
import { bare, count, deletedRuns, grouped, member, rows, text } from "./rows.ts";

const ID = "C12";

/** Usage is counted once for each key, however often it was sent. */
export const usage: Check = {
  id: ID,
  promises: [], // P14 without its budgets, which do not exist
  rule: "The amounts of a run are those of its distinct keys: none is lost, none counted twice, none made up.",
  find(evidence) {
    const deleted = deletedRuns(evidence);
    const stored = grouped(rows(evidence, "usage"), (row) => bare(row["run_id"]));
    const recorded = grouped(calls(evidence, "usage.record"), ({ key }) => bare(key));
    const runs = new Set([...stored.keys(), ...recorded.keys()]);
    return [...runs].flatMap((run) => {
      if (deleted.has(run)) return [];
      const kept = stored.get(run) ?? [];
      const found = [...sums(recorded.get(run) ?? [], kept), ...told(evidence, run, kept)];
      return found.map((message) => ({ check: ID, key: run, message: `Run ${run}: ${message}` }));
    });
  },
};

/** By the keys of the calls: what was acknowledged is in the total once, and what may have happened at most once. */
function sums(recorded: readonly Call[], kept: readonly Row[]): string[] {
  if (recorded.length === 0) return [];
  const byKey = grouped(recorded, ({ asked }) => text(member(asked, "key")));
  const rowsOf = grouped(kept, (row) => text(row["write_key"]));
  const found = [...byKey].flatMap(([key, all]) => {
    const have = rowsOf.get(key) ?? [];
    const amount = count(member(all[0]?.asked, "amount"));
    const isOwed = all.some(({ type }) => type === "ok");
    if (have.length > 1) return [`${key} is counted ${have.length} times.`];
    if (have.length === 0) return isOwed ? [`${key} was acknowledged, and is not counted.`] : [];
    const is = count(have[0]?.["quantity"]);
    return amount === undefined || is === amount
      ? []
      : [`${key} counts ${is} instead of ${amount}.`];
  });
  const strange = [...rowsOf.keys()].filter((key) => !byKey.has(key));
  return [...found, ...strange.map((key) => `${key} is counted, though nobody recorded it.`)];
}

/** Each row is told by an event of its number. */
function told(evidence: Evidence, run: string, kept: readonly Row[]): string[] {
  const log = logs(evidence).get(run) ?? [];
  const events = log.filter(({ type }) => type === "usage.recorded").map(({ seq }) => seq);
  const seqs = kept.map((row) => count(row["seq"]) ?? 0).sort((a, b) => a - b);
  return events.join() === seqs.join()
    ? []
    : [`its log tells of usage at ${events.join(", ")}, and its rows are ${seqs.join(", ")}.`];
}
