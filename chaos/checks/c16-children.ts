import type { Evidence, Row } from "../history/evidence.ts";
import type { Check } from "./check.ts";
import { type Entry, logs } from "./log.ts";
import {
  bare,
  count,
  deletedRuns,
  grouped,
  indexed,
  list,
  member,
  parsed,
  rows,
  text,
} from "./rows.ts";

const ID = "C16";
/** The workflow of W8, what it calls its fan-out, and the step that records what the children gave. */
const FAN = "fan";
const PARTS = "parts";
const JOINED = `join:${PARTS}`;
const ENDED = ["completed", "cancelled", "failed"];

/** A child is made once for its name, no child is without its row, and a join has waited for all and got what each gave. */
export const children: Check = {
  id: ID,
  promises: ["P16"],
  rule: "One child for each name and key of a parent; a finished fan-out has as many as its input says, and the result of each.",
  find(evidence) {
    const edges = grouped(rows(evidence, "children"), (row) => bare(row["parent_run_id"]));
    const found = [
      ...repeated(evidence),
      ...unpaired(evidence, edges),
      ...fannedOut(evidence, edges),
    ];
    return found.map(([key, message]) => ({ check: ID, key, message: `Run ${key} ${message}` }));
  },
};

/** The parent, and what is wrong with it. */
type Found = readonly [run: string, message: string];

const nameOf = (one: Row): string => `${text(one["name"])}/${text(one["key"])}`;

/** In the rows, and in the log of the parent: rows may be written over. */
function repeated(evidence: Evidence): Found[] {
  const made = [...logs(evidence).values()].flat().filter(({ type }) => type === "child.created");
  const told = made.map(({ run, data }) => ({
    run,
    name: nameOf(data),
    child: data["childRunId"],
  }));
  const kept = rows(evidence, "children").map((row) => ({
    ...{ run: bare(row["parent_run_id"]), name: nameOf(row), child: row["child_run_id"] },
  }));
  return [...grouped([...told, ...kept], ({ run, name }) => `${run} ${name}`).values()].flatMap(
    (all): Found[] => {
      const ids = [...new Set(all.map(({ child }) => bare(child)))];
      const [first] = all;
      return first === undefined || ids.length === 1
        ? []
        : [[first.run, `has made ${first.name} ${ids.length} times: ${ids.join(" and ")}.`]];
    },
  );
}

/** Each child has its row, and each row its child: retention takes both or none. */
function unpaired(evidence: Evidence, edges: ReadonlyMap<string, readonly Row[]>): Found[] {
  const runs = indexed(evidence, "runs", "run_id");
  const deleted = deletedRuns(evidence);
  const stray = [...runs].flatMap(([run, row]): Found[] => {
    const parent = bare(row["parent_run_id"]);
    const isNamed = edges.get(parent)?.some((edge) => bare(edge["child_run_id"]) === run) === true;
    return parent === "" || isNamed ? [] : [[parent, `has no row of its child ${run}.`]];
  });
  const lost = [...edges].flatMap(([parent, all]) =>
    all.flatMap((edge): Found[] => {
      const child = bare(edge["child_run_id"]);
      if (deleted.has(parent) || deleted.has(child))
        return [[parent, `has a row of child ${child}, though one of the two was deleted.`]];
      const isIts = bare(runs.get(child)?.["parent_run_id"]) === parent;
      return isIts ? [] : [[parent, `has a row of ${child}, which is no child of it.`]];
    }),
  );
  return [...stray, ...lost];
}

/** The children of a fan-out by their numbers: each part was given its own as its input. */
function fannedOut(evidence: Evidence, edges: ReadonlyMap<string, readonly Row[]>): Found[] {
  const payloads = indexed(evidence, "payloads", "run_id");
  const joins = new Map(
    rows(evidence, "steps")
      .filter(({ name, status }) => name === JOINED && status === "completed")
      .map((row) => [bare(row["run_id"]), row]),
  );
  const fans = rows(evidence, "runs").filter(({ workflow }) => workflow === FAN);
  return fans.flatMap((row): Found[] => {
    const run = bare(row["run_id"]);
    const wanted = count(member(parsed(payloads.get(run)?.["input"]), "children"));
    const parts = (edges.get(run) ?? []).filter(({ name }) => name === PARTS);
    if (wanted === undefined) return [];
    if (parts.length > wanted) return [[run, `has ${parts.length} children, and asked ${wanted}.`]];
    const given = new Map(
      parts.map((edge) => {
        const payload = payloads.get(bare(edge["child_run_id"]));
        return [text(payload?.["input"]), parsed(payload?.["result"])];
      }),
    );
    const results = Array.from({ length: wanted }, (_, n) => given.get(String(n)));
    const join = joins.get(run);
    const isOver = row["status"] === "completed";
    const wrong = [
      ...(join === undefined ? [] : early(logs(evidence).get(run) ?? [], wanted)),
      ...(join === undefined ? [] : misjoined(list(parsed(join["output"])), results)),
      ...(isOver ? unfinished(wanted, parts.length, payloads.get(run), join) : []),
    ];
    return wrong.map((message): Found => [run, message]);
  });
}

/** The end of each child is told to its parent: all of them before the join. */
function early(log: readonly Entry[], wanted: number): string[] {
  const joined = log.find(({ type, data }) => type === "step.completed" && data["name"] === JOINED);
  const ends = log.filter(
    ({ type, data, seq }) =>
      type === "child.ended" && data["name"] === PARTS && seq < (joined?.seq ?? 0),
  );
  const n = new Set(
    ends.filter(({ data }) => ENDED.includes(text(data["status"]))).map(({ data }) => data["key"]),
  ).size;
  return n === wanted ? [] : [`joined ${wanted} children when ${n} had ended.`];
}

/** Of each child what it has given, in the order in which they were asked. */
function misjoined(joined: readonly unknown[], results: readonly unknown[]): string[] {
  if (joined.length !== results.length)
    return [`joined ${joined.length} results of ${results.length} children.`];
  const n = joined.findIndex((one, i) => !isSame(one, results[i]));
  return n < 0 ? [] : [`joined another result of child ${n} than it has.`];
}

/** With `join: settled` a child's result is told with how it ended; what has failed gives none. */
function isSame(joined: unknown, result: unknown): boolean {
  const status = member(joined, "status");
  if (status === "failed" || status === "cancelled") return true;
  const given = status === undefined ? joined : member(joined, "result");
  return JSON.stringify(given) === JSON.stringify(result);
}

function unfinished(
  wanted: number,
  made: number,
  payload: Row | undefined,
  join: Row | undefined,
): string[] {
  const told = count(member(parsed(payload?.["result"]), "made"));
  return [
    ...(join === undefined ? [`is completed, and has joined nothing.`] : []),
    ...(made === wanted ? [] : [`is completed with ${made} of ${wanted} children.`]),
    ...(told === wanted ? [] : [`says that ${told} of ${wanted} children gave something.`]),
  ];
}
