import type { Evidence, Row } from "../history/evidence.ts";
import { spansIn } from "./lifecycle.ts";
import { isGrant, logs } from "./log.ts";
import { bare, count, grouped, indexed, instant, readClock, rows, text } from "./rows.ts";

/** The last so many ms in which somebody asked a queue for work. */
interface Window {
  readonly since: number;
  readonly until: number;
}

/**
 * Jobs that were due for the whole of the time, in queues that workers asked for and that gave nothing all the while,
 * although there was room for the job and its key. Where a queue goes on giving, its jobs wait for their turn.
 */
export function starvedJobs(evidence: Evidence, forMs: number): readonly Row[] {
  const limits = indexed(evidence, "queues", "queue");
  const windows = windowsOf(evidence, forMs);
  const busyIn = workIn(evidence);
  return rows(evidence, "runs").filter((row) => {
    const window = windows.get(text(row["queue"]));
    const due = instant(row["run_at"]);
    if (row["status"] !== "queued" || window === undefined || due === undefined) return false;
    if (due >= window.since) return false;
    const { busy, gave } = busyIn(text(row["queue"]), window);
    return !gave && hasRoom(row, limits.get(text(row["queue"])), busy);
  });
}

/**
 * Who asks is noted now and then only, and the workers end before the read: where nobody has asked for twice the time,
 * the read itself counts.
 */
function windowsOf(evidence: Evidence, forMs: number): Map<string, Window> {
  const now = readClock(evidence) ?? 0;
  const byQueue = grouped(rows(evidence, "workers"), (row) => text(row["queue"]));
  const windows = new Map<string, Window>();
  for (const [queue, all] of byQueue) {
    const last = Math.max(...all.map((row) => instant(row["seen_at"]) ?? 0));
    const until = now - last > 2 * forMs ? now : Math.min(last, now);
    windows.set(queue, { since: until - forMs, until });
  }
  return windows;
}

/** Looks up the jobs that ran within a window, and whether one was given to a worker in it. */
function workIn(evidence: Evidence) {
  const jobs = grouped(rows(evidence, "runs"), (row) => text(row["queue"]));
  const running = spansIn(evidence, ["running"]);
  const all = logs(evidence);
  return (queue: string, { since, until }: Window) => {
    const ran = (job: Row) =>
      running.get(bare(job["run_id"]))?.some(({ from, to }) => from <= until && to >= since);
    const busy = (jobs.get(queue) ?? []).filter((job) => ran(job) === true);
    const logged = busy.flatMap((job) => all.get(bare(job["run_id"])) ?? []);
    const gave = logged.some((entry) => isGrant(entry) && entry.at >= since && entry.at <= until);
    return { busy, gave };
  };
}

function hasRoom(row: Row, queue: Row | undefined, busy: readonly Row[]): boolean {
  const key = text(row["concurrency_key"]);
  const alike = key === "" ? [] : busy.filter((job) => job["concurrency_key"] === key);
  const isUnder = (n: number, limit: unknown) => n < (count(limit) ?? Number.POSITIVE_INFINITY);
  return (
    isUnder(busy.length, queue?.["concurrency"]) &&
    isUnder(alike.length, queue?.["key_concurrency"]) &&
    isUnder(alike.length, row["key_limit"]) &&
    isUnder(count(queue?.["rate_used"]) ?? 0, queue?.["rate_per_minute"]) &&
    (queue === undefined || queue["paused_at"] === null)
  );
}
