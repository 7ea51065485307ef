/** Markdown of what `npm run bench -- --json FILE` has written: node bench/table.mjs FILE. */
import { readFile } from "node:fs/promises";
import { cells, grouped, HEAD, machineText, verdict } from "./report.mjs";

const [file] = process.argv.slice(2);
if (file === undefined) throw new Error("node bench/table.mjs FILE: the file of bench's --json.");
const records = (await readFile(file, "utf8"))
  .trim()
  .split("\n")
  .map((line) => JSON.parse(line));
const of = (kind) => records.filter((one) => one.kind === kind);

for (const one of of("machine"))
  console.log(`${machineText(one)}; ${one.at.slice(0, 10)}, medians of ${one.rounds} rounds.`);
const systems = of("system").map(({ title, version, settings }) => [title, version, settings]);
print(["system", "version", "settings"], systems);
for (const lines of grouped(of("figure"), ({ workload, part }) => `${workload} ${part}`).values())
  printWorkload(lines);
printCosts(of("cost"));
for (const { workload, contender, reason } of of("left-out"))
  console.log(`\n${workload} was not measured of ${contender}: ${reason.split("\n")[0]}`);

function printWorkload(lines) {
  const [{ workload, part }] = lines;
  console.log(`\n**${workload}** ${part}`);
  const rows = [...grouped(lines, ({ measure }) => measure)].flatMap(([measure, ofMeasure]) =>
    ofMeasure.map((line, n) => [n === 0 ? measure : "", line.title, ...cells(line)]),
  );
  print(["", ...HEAD], rows);
}

function printCosts(costs) {
  if (costs.length === 0) return;
  console.log("\n**What a step costs the database**");
  const rows = costs.map(({ workload, title, statements, commits, walBytes, targets = [] }) => [
    ...[workload, title, statements?.toFixed(2) ?? "", commits.toFixed(2)],
    ...[Math.round(walBytes).toLocaleString("en-US"), targets.map(verdict).join("; ")],
  ]);
  print(["", "", "statements", "commits", "WAL bytes", "target"], rows);
}

/** A table without the columns that are empty in every row. */
function print(head, rows) {
  const shown = head.map((name, n) => name === "" || rows.some((row) => row[n] !== ""));
  const line = (row) => `| ${row.filter((_, n) => shown[n]).join(" | ")} |`;
  console.log(`\n${line(head)}`);
  console.log(line(head.map(() => "---")));
  for (const row of rows) console.log(line(row));
}
