import type { Check, Violation } from "./check.ts";
import { type Span, spansIn } from "./lifecycle.ts";
import { bare, grouped, rows, text } from "./rows.ts";

const ID = "C5";
const ACTIVE = ["queued", "running", "waiting", "interrupted"] as const;

/** At most one active run for a queue and dedupe key, at every moment of the trial and in the end. */
export const dedupe: Check = {
  id: ID,
  promises: ["P6"],
  rule: "The times in which runs of one queue and dedupe key were active do not overlap.",
  find(evidence) {
    const keyed = rows(evidence, "runs").filter((row) => text(row["dedupe_key"]) !== "");
    const byKey = grouped(keyed, (row) => `${text(row["queue"])} ${text(row["dedupe_key"])}`);
    const spans = spansIn(evidence, ACTIVE);
    return [...byKey].flatMap(([key, all]) => {
      const active = all.filter(({ status }) => ACTIVE.some((one) => one === status));
      const now = active.map((row) => bare(row["run_id"])).join(" and ");
      const message = `${key} has two active runs: ${now}.`;
      const inTheEnd = active.length > 1 ? [{ check: ID, key, message }] : [];
      const held = all.flatMap((row) => spans.get(bare(row["run_id"])) ?? []);
      return [...inTheEnd, ...overlaps(key, held)];
    });
  },
};

/** Of the spans in their order, each that begins before the one that lasts longest so far is over. */
function overlaps(key: string, spans: readonly Span[]): Violation[] {
  const sorted = spans.toSorted((a, b) => a.from - b.from || a.to - b.to);
  const found: Violation[] = [];
  let last: Span | undefined;
  for (const span of sorted) {
    if (last !== undefined && last.run !== span.run && span.from < last.to) {
      const message = `${key}: run ${span.run} became active while run ${last.run} was (${span.from} < ${last.to}).`;
      found.push({ check: ID, key, message });
    }
    if (last === undefined || span.to > last.to) last = span;
  }
  return found;
}
