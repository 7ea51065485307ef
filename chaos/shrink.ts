import { idsIn } from "./checks/calls.ts";
import type { Check, Violation } from "./checks/check.ts";
import { bare, text } from "./checks/rows.ts";
import type { Evidence, FinalRead, Op, Row } from "./history/evidence.ts";

export { timeline, timelineHtml } from "./checks/timeline.ts";

/** Columns that name what a row is about. */
const NAMING = [
  "run_id",
  "child_run_id",
  "parent_run_id",
  "gate_id",
  "schedule_id",
  "delivery_id",
  "dedupe_key",
  "idempotency_key",
];

/** Each part of the evidence with the keys that it mentions. */
interface Mentions {
  readonly of: ReadonlyMap<object, readonly string[]>;
  readonly keys: readonly string[];
}

/**
 * The part of the evidence in which the check still finds its first violation, in the same words: whole runs, gates and
 * keys are left out, by halves first and one by one in the end, with all that mentions them. The same evidence when the
 * check finds none. Asks the check some dozens of times.
 */
export function shrink(evidence: Evidence, check: Check): Evidence {
  const [target] = check.find(evidence);
  if (target === undefined) return evidence;
  const mentions = mentionsOf(evidence);
  const without = (dropped: ReadonlySet<string>) => withoutKeys(evidence, mentions, dropped);
  const isStill = (dropped: ReadonlySet<string>) => finds(check, without(dropped), target);
  return without(mostDropped(mentions.keys, isStill));
}

function finds(check: Check, evidence: Evidence, { key, message }: Violation): boolean {
  return check.find(evidence).some((one) => one.key === key && one.message === message);
}

/** As many of the keys as can go at once; none of those that are left can go alone. */
function mostDropped(
  keys: readonly string[],
  isStill: (dropped: ReadonlySet<string>) => boolean,
): ReadonlySet<string> {
  let dropped: ReadonlySet<string> = new Set();
  for (let size = keys.length; size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let isSmaller = true; isSmaller; ) {
      isSmaller = false;
      const left = keys.filter((key) => !dropped.has(key));
      for (let i = 0; i < left.length; i += size) {
        const more = new Set([...dropped, ...left.slice(i, i + size)]);
        if (!isStill(more)) continue;
        dropped = more;
        isSmaller = true;
      }
      if (size > 1) break; // only the last round is repeated until nothing goes
    }
  }
  return dropped;
}

function mentionsOf(evidence: Evidence): Mentions {
  const of = new Map<object, readonly string[]>();
  for (const op of evidence.ops) of.set(op, ofOp(op));
  for (const effect of evidence.effects) of.set(effect, [bare(effect.run)]);
  for (const delivered of evidence.deliveries)
    of.set(delivered, [bare(delivered.runId), bare(delivered.id)]);
  const reads = [evidence.final, ...evidence.faults.flatMap(({ look }) => look?.final ?? [])];
  for (const { tables } of reads)
    for (const row of Object.values(tables).flat()) of.set(row, ofRow(row));
  for (const ended of evidence.processes) of.set(ended, [ended.name]);
  const keys = [...new Set([...of.values()].flat())];
  return { of, keys };
}

function ofOp({ key, value }: Op): readonly string[] {
  return [...new Set([bare(key), ...idsIn(value)])].filter((one) => one !== "");
}

function ofRow(row: Row): readonly string[] {
  const named = NAMING.map((column) => (column.endsWith("_id") ? bare : text)(row[column]));
  return [...new Set(named)].filter((one) => one !== "");
}

/** What mentions none of these keys. */
function withoutKeys(evidence: Evidence, { of }: Mentions, dropped: ReadonlySet<string>): Evidence {
  const keep = (part: object) => !(of.get(part) ?? []).some((key) => dropped.has(key));
  const kept = (final: FinalRead): FinalRead => {
    const tables = Object.entries(final.tables).map(([name, rows]): [string, readonly Row[]] => [
      name,
      rows.filter(keep),
    ]);
    return { ...final, tables: Object.fromEntries(tables) };
  };
  return {
    ...evidence,
    ops: evidence.ops.filter(keep),
    effects: evidence.effects.filter(keep),
    deliveries: evidence.deliveries.filter(keep),
    processes: evidence.processes.filter(keep),
    faults: evidence.faults.map((fault) =>
      fault.look === undefined
        ? fault
        : { ...fault, look: { ...fault.look, final: kept(fault.look.final) } },
    ),
    final: kept(evidence.final),
  };
}
