import { cpus, release, totalmem } from "node:os";

/** Statements that are fewer a step are not worth a line. */
const SHOWN_FROM = 0.01;

/** What the figures were measured on. */
export function machine(postgres) {
  return {
    cpus: cpus().length,
    cpu: cpus()[0]?.model.trim(),
    memoryGb: Math.round(totalmem() / 2 ** 30),
    system: `${process.platform} ${release()}`,
    node: process.versions.node,
    postgres: postgres.version,
    fsync: postgres.fsync,
    embedded: postgres.embedded,
  };
}

/** One sentence of it. */
export function machineText({
  cpus: cores,
  cpu,
  memoryGb,
  system,
  node,
  postgres,
  fsync,
  embedded,
}) {
  return `${cores} × ${cpu}, ${memoryGb} GB, ${system}, Node ${node}, Postgres ${postgres}${embedded ? " (embedded)" : ""}, fsync ${fsync}`;
}

/** The columns of every table of figures. */
export const HEAD = ["", "median", "min – max", "× best peer", "× floor", "target"];

/** The cells of a line under HEAD, without its title. */
export function cells({ unit, median, min, max, toBest, toFloor, targets = [] }) {
  return [
    `${figure(median)} ${unit}`.trim(),
    `${figure(min)} – ${figure(max)}`,
    toBest === undefined ? "" : toBest.toFixed(2),
    toFloor === undefined ? "" : toFloor.toFixed(2),
    targets.map(verdict).join("; "),
  ];
}

/** The table of a workload, for people at a terminal. */
export function printTable({ id, title }, lines) {
  const groups = grouped(lines, ({ measure }) => measure);
  const rows = [];
  for (const [measure, ofMeasure] of groups) {
    rows.push([measure, ...HEAD.slice(1).map(() => "")]);
    for (const line of ofMeasure) rows.push([`  ${line.title}`, ...cells(line)]);
  }
  console.log(`\n${id}  ${title}`);
  const widths = HEAD.map((_, n) => Math.max(...[HEAD, ...rows].map((row) => row[n].length)));
  const padded = (cell, n) =>
    n === 0 || n === HEAD.length - 1 ? cell.padEnd(widths[n]) : cell.padStart(widths[n]);
  for (const row of [HEAD, ...rows]) console.log(row.map(padded).join("  ").trimEnd());
}

/** What a step costs the database, and of Tidebase which statements those were. */
export function printCost({ contender, title, statements, commits, walBytes, each, targets = [] }) {
  const said =
    statements === undefined ? "statements not counted" : `${statements.toFixed(2)} statements`;
  const written = `${commits.toFixed(2)} commits, ${Math.round(walBytes)} bytes of WAL`;
  console.log(
    `  ${title}, a step: ${said}, ${written}  ${targets.map(verdict).join("; ")}`.trimEnd(),
  );
  const shown = contender === "tidebase" ? each : [];
  for (const { text, calls } of shown.filter((statement) => statement.calls >= SHOWN_FROM))
    console.log(`    ${calls.toFixed(2)} ${text}`);
}

/** Three digits of it, or all before its point. */
export function figure(value) {
  if (value >= 1000) return Math.round(value).toLocaleString("en-US");
  return value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

/** Lines by what `key` says of them, in their order. */
export function grouped(lines, key) {
  const groups = new Map();
  for (const line of lines) groups.set(key(line), [...(groups.get(key(line)) ?? []), line]);
  return groups;
}

/** A target, and whether it was met. */
export function verdict({ text, met }) {
  if (met === undefined) return `${text} not measured`;
  return `${text} ${met ? "met" : "MISSED"}`;
}
