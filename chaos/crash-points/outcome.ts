import type { PointDatabase } from "./databases.ts";

/** What a trial has come to, without what differs from trial to trial: the same wherever a process died. */
export type Outcome = Readonly<Record<string, readonly string[]>>;

/** What the statements of the tables below have in common: runs are named by their workflow and how they were made. */
const PARTS: Readonly<Record<string, string>> = {
  runs: `select r.workflow || ' ' || r.status || ' ' || coalesce(r.failure_class, '-') || ' ' || coalesce(p.result, '-') || ' '
      || coalesce(p.cancel_reason, '-') from tidebase.runs r left join tidebase.payloads p using (run_id)`,
  steps: `select r.workflow || ' ' || s.name || ' ' || s.key || ' ' || s.status || ' ' || coalesce(s.output, '-')
      from tidebase.steps s join tidebase.runs r using (run_id)`,
  state: `select r.workflow || ' ' || v.stream || ' ' || v.version || ' ' || v.kind || ' ' || v.body
      from tidebase.versions v join tidebase.runs r using (run_id)`,
  labels: `select r.workflow || ' ' || l.stream || ' ' || l.version || ' ' || l.label
      from tidebase.labels l join tidebase.runs r using (run_id)`,
  usage: `select r.workflow || ' ' || u.kind || ' ' || coalesce(u.total_tokens, 0) || ' ' || coalesce(u.cost_usd, 0)
      from tidebase.usage u join tidebase.runs r using (run_id)`,
  gates: `select r.workflow || ' ' || g.name || ' ' || g.status || ' ' || g.revision
      from tidebase.gates g join tidebase.runs r using (run_id)`,
  signals: `select r.workflow || ' ' || s.name || ' ' || s.payload || ' ' || (s.taken_at is not null)
      from tidebase.signals s join tidebase.runs r using (run_id)`,
  children: "select name || ' ' || key || ' ' || ordinal from tidebase.children",
  fires:
    "select fire_at || ' ' || kind || ' ' || outcome || ' ' || count from tidebase.schedule_fires",
};

/** Sorted lines by what they tell of. */
export async function readOutcome(database: PointDatabase): Promise<Outcome> {
  const outcome: Record<string, readonly string[]> = {};
  for (const [part, text] of Object.entries(PARTS)) {
    const lines = await database.query(`select line from (${text}) t (line) order by line`);
    outcome[part] = lines.map(({ line }) => String(line));
  }
  return outcome;
}

/** What differs from the outcome of a trial without a crash, a sentence each. */
export function differences(outcome: Outcome, calm: Outcome): string[] {
  return Object.entries(calm).flatMap(([part, lines]) => {
    const got = outcome[part] ?? [];
    const missing = without(lines, got);
    const besides = without(got, lines);
    if (missing.length + besides.length === 0) return [];
    return [`${part}: missing ${JSON.stringify(missing)}, besides ${JSON.stringify(besides)}`];
  });
}

/** The lines of one that are not in the other, as often as they are not. */
function without(lines: readonly string[], others: readonly string[]): string[] {
  const left = [...others];
  return lines.filter((line) => {
    const index = left.indexOf(line);
    if (index >= 0) left.splice(index, 1);
    return index < 0;
  });
}
