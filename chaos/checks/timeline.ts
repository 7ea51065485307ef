import type { Evidence } from "../history/evidence.ts";
import { logs } from "./log.ts";

/** Something that happened at an instant of the machine's clock. */
interface Moment {
  readonly at: number;
  /** Where: a process, or who of the trial's own saw it. */
  readonly proc: string;
  readonly kind: "invoke" | "ok" | "fail" | "info" | "effect" | "delivery" | "fault";
  readonly told: string;
}

function momentsOf({ ops, effects, deliveries, faults, healedAt, readAt }: Evidence): Moment[] {
  const moments: Moment[] = [
    ...ops.map(({ at, proc, type, f, key, value }): Moment => {
      const said = value === undefined ? "" : ` ${JSON.stringify(value)}`;
      return { at, proc, kind: type, told: `${type} ${f} ${key}${said}` };
    }),
    ...effects.map(({ at, proc, seq, run, step, attempt, nonce }): Moment => {
      const told = `effect ${seq} of ${run} ${step}, attempt ${attempt}, nonce ${nonce}`;
      return { at, proc, kind: "effect", told };
    }),
    ...deliveries.map(({ at, receiver, id, type, runId, signed, status }): Moment => {
      const told = `got ${id}, ${type} of ${runId}${signed ? "" : ", not signed"}; answered ${status}`;
      return { at, proc: receiver, kind: "delivery", told };
    }),
    ...faults.flatMap(({ id, told, from, to }): Moment[] => [
      { at: from, proc: "nemesis", kind: "fault", told: `${id} begins: ${told}` },
      { at: to, proc: "nemesis", kind: "fault", told: `${id} is healed` },
    ]),
    { at: healedAt, proc: "nemesis", kind: "fault", told: "all is healed" },
    { at: readAt, proc: "nemesis", kind: "fault", told: "the store is read" },
  ];
  return moments.sort((a, b) => a.at - b.at);
}

/** Seconds since the first of them. */
function clockOf(moments: readonly Moment[]): (at: number) => string {
  const first = moments[0]?.at ?? 0;
  return (at) => `${((at - first) / 1000).toFixed(3)} s`;
}

/** The logs of the runs as the final read has them: by the database's clock, which is another. */
function logLines(evidence: Evidence): string[] {
  return [...logs(evidence)].flatMap(([run, log]) => [
    "",
    `log of run_${run}`,
    ...log.map(({ seq, at, type, data }) => {
      const said = Object.keys(data).length === 0 ? "" : ` ${JSON.stringify(data)}`;
      return `  ${String(seq).padStart(4)}  ${new Date(at).toISOString()}  ${type}${said}`;
    }),
  ]);
}

/** The history as plain text: time, process and what happened, a line each; then the logs of its runs. */
export function timeline(evidence: Evidence): string {
  const moments = momentsOf(evidence);
  const clock = clockOf(moments);
  const width = Math.max(...moments.map(({ proc }) => proc.length));
  const lines = moments.map(
    ({ at, proc, told }) => `${clock(at).padStart(12)}  ${proc.padEnd(width)}  ${told}`,
  );
  return [`seed ${evidence.seed}`, "", ...lines, ...logLines(evidence), ""].join("\n");
}

const STYLE = `
body { font: 13px/1.5 ui-monospace, monospace; margin: 2rem; color: #1c2430; background: #fff }
table { border-collapse: collapse } td, th { padding: 1px 10px; text-align: left; vertical-align: top }
th { position: sticky; top: 0; background: #fff; border-bottom: 1px solid #98a4b3 }
td:first-child { text-align: right; color: #5b6877; white-space: nowrap }
td { overflow-wrap: anywhere; border-bottom: 1px solid #eef1f4 }
tr.faulty td:first-child { border-left: 4px solid #d9822b }
.ok { color: #0a6b3d } .fail { color: #8a5a00 } .info { color: #a02020 } .effect { color: #5b2a9d }
.delivery { color: #0b5a8a } .fault { background: #fdf0e1 } pre { white-space: pre-wrap }`;

/**
 * The same as a page that needs nothing else: a column for each process, and a bar beside the moments at which a fault
 * was on.
 */
export function timelineHtml(evidence: Evidence): string {
  const moments = momentsOf(evidence);
  const clock = clockOf(moments);
  const procs = [...new Set(moments.map(({ proc }) => proc))].sort();
  const isFaulty = (at: number) => evidence.faults.some(({ from, to }) => from <= at && at <= to);
  const rows = moments.map(({ at, proc, kind, told }) => {
    const cells = procs.map((one) =>
      one === proc ? `<td class="${kind}">${escaped(told)}</td>` : "<td></td>",
    );
    return `<tr${isFaulty(at) ? ' class="faulty"' : ""}><td>${clock(at)}</td>${cells.join("")}</tr>`;
  });
  const heads = procs.map((proc) => `<th>${escaped(proc)}</th>`).join("");
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Trial of seed ${evidence.seed}</title><style>${STYLE}
</style></head><body><h1>Trial of seed ${evidence.seed}</h1>
<table><thead><tr><th>time</th>${heads}</tr></thead><tbody>
${rows.join("\n")}
</tbody></table>
<pre>${escaped(logLines(evidence).join("\n"))}</pre></body></html>
`;
}

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);
}
