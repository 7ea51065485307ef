import { cpus, release, totalmem } from "node:os";
import { median } from "./statistics.mjs";

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

/**
 * One line a measure: median and extremes of its rounds; its ratio to the floor is the median of the ratios of each
 * round.
 */
export function summarize(measures, rounds) {
  return measures.map(({ id, title, unit, floor, target }) => {
    const values = rounds.map((round) => round[id]);
    const line = {
      id,
      title,
      unit,
      median: median(values),
      min: Math.min(...values),
      max: Math.max(...values),
      values,
    };
    const ratios =
      floor === undefined ? undefined : rounds.map((round) => round[id] / round[floor]);
    const ratio = ratios === undefined ? undefined : median(ratios);
    const reached = ratio ?? line.median;
    return {
      ...line,
      ...(ratios === undefined ? {} : { floor, ratio, ratios }),
      ...(target === undefined ? {} : { target: target.text, met: target.met(reached) }),
    };
  });
}

/** The table for people. */
export function printTable(lines) {
  const rows = lines.map((line) => [
    line.title,
    `${figure(line.median)} ${line.unit}`,
    `${figure(line.min)} – ${figure(line.max)}`,
    line.ratio === undefined ? "" : line.ratio.toFixed(2),
    line.target === undefined ? "" : `${line.target} ${line.met ? "met" : "MISSED"}`,
  ]);
  const head = ["", "median", "min – max", "× floor", "target"];
  const widths = head.map((_, n) => Math.max(...[head, ...rows].map((row) => row[n].length)));
  for (const row of [head, ...rows])
    console.log(
      row
        .map((cell, n) => (n === 0 ? cell.padEnd(widths[n]) : cell.padStart(widths[n])))
        .join("  "),
    );
}

/** What a step costs the database, and which statements those were. */
export function printCost({ id, statements, commits, walBytes, counted, each }) {
  const said =
    statements === undefined ? "statements not counted" : `${statements.toFixed(2)} statements`;
  const written = `${commits.toFixed(2)} commits, ${Math.round(walBytes)} bytes of WAL`;
  console.log(`${id} a step: ${said} (${counted}), ${written}`);
  for (const { text, calls } of each.filter((statement) => statement.calls >= SHOWN_FROM))
    console.log(`  ${calls.toFixed(2)} ${text}`);
}

function figure(value) {
  if (value >= 1000) return Math.round(value).toLocaleString("en-US");
  return value >= 10 ? value.toFixed(1) : value.toFixed(2);
}
