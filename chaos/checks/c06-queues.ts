import type { Evidence, Row } from "../history/evidence.ts";
import type { Check, Violation } from "./check.ts";
import { movesOf, spansIn } from "./lifecycle.ts";
import { type Entry, isGrant, logs } from "./log.ts";
import { bare, count, grouped, indexed, rows, text } from "./rows.ts";

const ID = "C6";
const WINDOW_MS = 60_000;
/** The claim takes its instant before its event does. */
const RATE_SLACK_MS = 100;

/** A run's life, as far as its queue is concerned. */
interface Job {
  readonly run: string;
  readonly row: Row;
  readonly log: readonly Entry[];
}

/** Claims take each job once at a time, within the limits of its queue, and within its attempts. */
export const queues: Check = {
  id: ID,
  promises: ["P8"],
  rule: "Claims of a job are disjoint, attempts rise by one and stay within their number, limits hold at every point of the log.",
  find(evidence) {
    const limits = indexed(evidence, "queues", "queue");
    const jobs = jobsOf(evidence);
    const byQueue = grouped(jobs, ({ row }) => text(row["queue"]));
    const full = [...byQueue].flatMap(([queue, all]) => [
      ...overfull(evidence, all, limits.get(queue)),
      ...tooFast(all, limits.get(queue)),
    ]);
    return [...jobs.flatMap(disjoint), ...jobs.flatMap(attempts), ...full];
  },
};

function jobsOf(evidence: Evidence): readonly Job[] {
  const all = logs(evidence);
  return rows(evidence, "runs")
    .filter((row) => text(row["queue"]) !== "")
    .map((row) => ({ run: bare(row["run_id"]), row, log: all.get(bare(row["run_id"])) ?? [] }));
}

/** Between two grants of a job something has ended the first; but a push is taken over by who begins it. */
function disjoint({ run, log }: Job): Violation[] {
  const taken = movesOf(log).filter(({ entry, legal }) => isGrant(entry) && !legal);
  return taken.map(({ entry, from }) => ({
    check: ID,
    key: run,
    message: `Run ${run} was claimed by event ${entry.seq} while it was ${from}.`,
  }));
}

/** Each loss and failure costs one; a recovery and a review begin anew. */
function attempts({ run, row, log }: Job): Violation[] {
  const max = count(row["max_attempts"]) ?? Number.POSITIVE_INFINITY;
  const found: Violation[] = [];
  let spent = 0;
  let isForgiven = false;
  for (const { seq, type, data } of log) {
    if (type === "recovery.requested") spent = 0;
    if (type === "step.reviewed" || type === "run.pushed") isForgiven = true;
    const told = count(data["attempts"]);
    if (told === undefined || (type !== "run.queued" && type !== "run.failed")) continue;
    const message = `Run ${run} has spent ${told} of ${max} attempts at event ${seq}, after ${spent}.`;
    if (!isForgiven && (told !== spent + 1 || told > max))
      found.push({ check: ID, key: run, message });
    spent = told;
  }
  return found;
}

/** How many run at each begin: of the queue, and of the run's key in it. */
function overfull(evidence: Evidence, jobs: readonly Job[], limits: Row | undefined): Violation[] {
  const rowOf = new Map(jobs.map(({ run, row }) => [run, row]));
  const running = spansIn(evidence, ["running"]);
  const turns = jobs
    .flatMap(({ run }) => running.get(run) ?? [])
    .flatMap(({ run, from, to }) => [
      { run, at: from, begins: true },
      { run, at: to, begins: false },
    ])
    .sort((a, b) => a.at - b.at || Number(a.begins) - Number(b.begins));
  const busy = new Map<string, number>();
  const add = (key: string, by: number): number => {
    busy.set(key, (busy.get(key) ?? 0) + by);
    return busy.get(key) ?? 0;
  };
  return turns.flatMap(({ run, at, begins }) => {
    const row = rowOf.get(run);
    const key = text(row?.["concurrency_key"]);
    const ofQueue = add("", begins ? 1 : -1);
    const ofKey = key === "" ? 0 : add(`key ${key}`, begins ? 1 : -1);
    const caps = [
      { what: "the queue", n: ofQueue, cap: count(limits?.["concurrency"]) },
      { what: `key ${key}`, n: ofKey, cap: count(limits?.["key_concurrency"]) },
      { what: `key ${key}`, n: ofKey, cap: count(row?.["key_limit"]) },
    ];
    const over = caps.filter(({ n, cap }) => begins && cap !== undefined && n > cap);
    return over.map(({ what, n, cap }) => ({
      check: ID,
      key: text(row?.["queue"]),
      message: `${n} runs of ${what} run at ${new Date(at).toISOString()}, as ${run} begins; ${cap} may.`,
    }));
  });
}

/** At most N claims in each minute that begins with its first claim. */
function tooFast(jobs: readonly Job[], limits: Row | undefined): Violation[] {
  const rate = count(limits?.["rate_per_minute"]);
  if (rate === undefined) return [];
  const claims = jobs
    .flatMap(({ log }) =>
      log.filter((entry) => isGrant(entry) && entry.data["queue"] !== undefined),
    )
    .map(({ at }) => at)
    .sort((a, b) => a - b);
  let from = Number.NEGATIVE_INFINITY;
  let used = 0;
  for (const at of claims) {
    if (at - from >= WINDOW_MS - RATE_SLACK_MS) {
      from = at;
      used = 0;
    }
    used += 1;
    const key = text(limits?.["queue"]);
    if (used > rate)
      return [{ check: ID, key, message: `${key} gave ${used} runs in a minute; ${rate} may.` }];
  }
  return [];
}
