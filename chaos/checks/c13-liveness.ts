import type { Evidence, Row } from "../history/evidence.ts";
import type { Check, Violation } from "./check.ts";
import { bare, count, grouped, indexed, instant, list, readClock, rows, text } from "./rows.ts";
import { starvedJobs } from "./starved-jobs.ts";

const ID = "C13";
/**
 * After an outage a lapsed lease is ended once the store was reached for 10 s; a sweep and a claim come after that. So
 * long may anything be due, counted from the healing at the earliest.
 */
const PATIENCE_MS = 15_000;
/** Receivers of the trial that take whatever reaches them. */
const GOOD = /^good-/;
const ENDED = ["completed", "cancelled", "failed"];

/** What the final read holds, and how late something is. */
interface Rest {
  readonly evidence: Evidence;
  /** Whether something that was due at this instant of the database's clock should have happened by now. */
  isLate(due: unknown): boolean;
}

/** Some while after healing, and under a fault that may hold up nothing, nothing is left undone that the store does by itself. */
export const liveness: Check = {
  id: ID,
  promises: ["P4", "P12", "P17", "P19"],
  rule: "No lapsed lease, no due job with room for it, no message past its time, no wait whose reason has come, no stuck backend.",
  find: (evidence) => [
    ...undone(evidence),
    ...evidence.faults.flatMap(({ id, look }) => {
      if (look === undefined) return [];
      const { since, at, final } = look;
      return undone({ ...evidence, healedAt: since, readAt: at, final }).map(
        ({ message, ...one }) => ({ ...one, message: `${message} So it was under ${id}.` }),
      );
    }),
  ],
};

function undone(evidence: Evidence): Violation[] {
  const rest = restOf(evidence);
  return [
    ...lapsed(rest),
    ...starved(rest),
    ...unsent(rest),
    ...asleep(rest),
    ...overdue(rest),
    ...evidence.final.stuck.map((row) =>
      violation(
        `backend ${text(row["pid"])}`,
        `is stuck: ${text(row["state"])}, ${text(row["query"])}`,
      ),
    ),
  ];
}

function violation(key: string, message: string): Violation {
  return { check: ID, key, message: `${key} ${message}` };
}

function restOf(evidence: Evidence): Rest {
  const now = readClock(evidence);
  const restedMs = evidence.readAt - evidence.healedAt;
  const isLate = (due: unknown): boolean => {
    const at = instant(due);
    if (at === undefined || now === undefined) return false;
    return Math.min(now - at, restedMs) > PATIENCE_MS;
  };
  return { evidence, isLate };
}

function lapsed({ evidence, isLate }: Rest): Violation[] {
  return rows(evidence, "runs")
    .filter((row) => row["status"] === "running" && isLate(row["lease_expires_at"]))
    .map((row) =>
      violation(
        bare(row["run_id"]),
        `is running, and its lease ended ${text(row["lease_expires_at"])}.`,
      ),
    );
}

function starved({ evidence, isLate }: Rest): Violation[] {
  return starvedJobs(evidence, PATIENCE_MS)
    .filter((row) => isLate(row["run_at"]))
    .map((row) =>
      violation(
        bare(row["run_id"]),
        `waits in ${text(row["queue"])} since ${text(row["run_at"])}, and nothing was given.`,
      ),
    );
}

/**
 * To webhooks that take messages, those that failed while something was broken as well: a bad one keeps its own waiting.
 * After failures nothing is sent until the backoff of the message, and of the webhook, is over.
 */
function unsent({ evidence, isLate }: Rest): Violation[] {
  const webhooks = indexed(evidence, "webhooks", "webhook_id");
  const isOwed = (row: Row): boolean => {
    const webhook = webhooks.get(bare(row["webhook_id"]));
    if (webhook === undefined || webhook["disabled_at"] !== null) return false;
    const isGood = count(webhook["failures"]) === 0 || GOOD.test(text(webhook["name"]));
    const closed = webhook["closed_until"] ?? undefined;
    return isGood && isLate(row["due_at"]) && (closed === undefined || isLate(closed));
  };
  return rows(evidence, "deliveries")
    .filter((row) => row["status"] === "pending" && isOwed(row))
    .map((row) =>
      violation(bare(row["run_id"]), `has a message that was due ${text(row["due_at"])}.`),
    );
}

/** Whoever makes a thing happen wakes who waits for it in the same commit: here nobody is given time. */
function asleep({ evidence, isLate }: Rest): Violation[] {
  const gates = indexed(evidence, "gates", "gate_id");
  const runs = indexed(evidence, "runs", "run_id");
  const children = grouped(rows(evidence, "children"), (row) => bare(row["parent_run_id"]));
  const signals = grouped(rows(evidence, "signals"), (row) => bare(row["run_id"]));
  const hasCome = (row: Row, wait: string): boolean => {
    const run = bare(row["run_id"]);
    const [, kind = "", name = ""] = /^(gate|signal|child|all|any|timer)_?(.*)$/s.exec(wait) ?? [];
    const ends = (children.get(run) ?? [])
      .filter((child) => child["name"] === name)
      .map((child) => text(runs.get(bare(child["child_run_id"]))?.["status"]));
    const areAllOver = ends.length > 0 && ends.every((status) => ENDED.includes(status));
    if (kind === "gate")
      return ![undefined, "open"].includes(gates.get(name)?.["status"] as string);
    if (kind === "signal")
      return (signals.get(run) ?? []).some(
        (sent) => sent["name"] === name && sent["taken_at"] === null,
      );
    if (kind === "child") return ENDED.includes(text(runs.get(name)?.["status"]));
    if (kind === "timer") return isLate(row["wake_at"]);
    return areAllOver || (kind === "any" && ends.includes("completed"));
  };
  return rows(evidence, "runs")
    .filter((row) => row["status"] === "waiting")
    .flatMap((row) =>
      list(row["waits"])
        .filter((wait) => hasCome(row, text(wait)))
        .map((wait) => violation(bare(row["run_id"]), `still waits for ${text(wait)}.`)),
    );
}

/** What sweeps do at its time. */
function overdue({ evidence, isLate }: Rest): Violation[] {
  const isOpen = ({ status }: Row) => status !== "completed" && status !== "cancelled";
  const late = (table: string, column: string, id: string, isMeant: (row: Row) => boolean) =>
    rows(evidence, table)
      .filter((row) => isMeant(row) && isLate(row[column]))
      .map((row) => violation(bare(row[id]), `is past its ${column}, ${text(row[column])}.`));
  return [
    ...late("runs", "deadline_at", "run_id", isOpen),
    ...late("runs", "expires_at", "run_id", ({ status }) => status === "queued"),
    ...late("gates", "expires_at", "gate_id", ({ status }) => status === "open"),
    ...late("cascades", "at", "run_id", () => true),
    ...late("superseded", "at", "run_id", () => true),
    ...late(
      "schedules",
      "next_fire_at",
      "name",
      (row) => row["paused_at"] === null && (count(row["failures"]) ?? 0) < 5,
    ),
  ];
}
