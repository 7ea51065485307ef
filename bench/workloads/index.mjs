import { gates } from "./gates.mjs";
import { history, lists } from "./history.mjs";
import { mcp } from "./mcp.mjs";
import { pickup, queue } from "./queues.mjs";
import { readers } from "./readers.mjs";
import { resume } from "./resume.mjs";
import { concurrentRuns, sequentialSteps } from "./steps.mjs";

/**
 * What is measured, in parts that each have fresh tables and processes:
 *
 *   id, title    of the workload, see ../../docs/performance.md; several parts may share an id
 *   warmUps      rounds before those that count; 1 unless given
 *   measures     id, title, unit; `better: "more"` for rates; `floor` and `targets` as summary.mjs reads them
 *   open(stage)  starts what takes part: contenders with a `name`, a `title`, a `kind` (ours, peer, floor, other) and
 *                `measure()`, which answers figures by the ids of the measures; with `cost`, what they cost the database
 */
export const WORKLOADS = [
  sequentialSteps,
  concurrentRuns,
  resume,
  queue,
  pickup,
  history,
  lists,
  gates,
  readers,
  mcp,
];
