import type { getQueue, listQueues, redriveQueue } from "@tidebase/core";
import {
  type Cell,
  count,
  facts,
  type Paint,
  plain,
  seconds,
  table,
  tidebaseLine,
} from "./output.ts";
import type { Answer, Read } from "./run-text.ts";

type Queue = Answer<typeof listQueues>["queues"][number];

/** `queues list`. */
export function queuesText(paint: Paint, { queues }: Answer<typeof listQueues>): string {
  if (queues.length === 0) return "No queues.\n";
  const rows = queues.map((queue): Cell[] => [
    queue.queue,
    stateOf(queue),
    String(queue.ready),
    queue.oldestReadyMs === null ? "" : age(queue.oldestReadyMs),
    String(queue.delayed),
    String(queue.running),
    String(queue.waiting),
    queue.failed === 0 ? "0" : ["red", String(queue.failed)],
    String(queue.workers),
    limitsOf(queue),
  ]);
  const head = [
    "QUEUE",
    "STATE",
    "READY",
    "OLDEST",
    "DELAYED",
    "RUNNING",
    "WAITING",
    "FAILED",
    "WORKERS",
    "LIMITS",
  ];
  return table(paint, head, rows);
}

/** `queues show`: the queue and its workers. */
export function queueText(paint: Paint, { queue, workers }: Read<Answer<typeof getQueue>>): string {
  if (workers.length === 0) return stateText(paint, queue);
  const rows = workers.map((worker): Cell[] => [
    worker.workerId,
    worker.version ?? "",
    whereabouts(worker.holder),
    seconds(worker.seenAt),
  ]);
  const listed = table(paint, ["WORKER", "VERSION", "WHERE", "SEEN"], rows);
  return `${stateText(paint, queue)}\n${listed}`;
}

/** Whether nothing is known of it: a queue exists as soon as it is named, so a wrong name is no error. */
export function isUnknown(queue: Queue): boolean {
  const { queue: _, ready, delayed, running, waiting, failed, workers, ...settings } = queue;
  const isEmpty = ready + delayed + running + waiting + failed + workers === 0;
  return isEmpty && Object.values(settings).every((setting) => setting === null);
}

/** The queue alone: what there is in it, and what it lets through. */
export function stateText(paint: Paint, queue: Queue): string {
  const { pausedAt, pausedBy, oldestReadyMs, webhook } = queue;
  const [colour, state] = stateOf(queue);
  const by = pausedAt === null ? "" : plain(` since ${seconds(pausedAt)} by ${pausedBy ?? ""}`);
  const oldest = oldestReadyMs === null ? "" : `, the oldest for ${age(oldestReadyMs)}`;
  const limits = limitsOf(queue);
  return facts(paint, [
    ["queue", paint("bold", plain(queue.queue))],
    ["state", paint(colour, state) + by],
    ["ready", `${queue.ready}${oldest}`],
    ["delayed", String(queue.delayed)],
    ["running", String(queue.running)],
    ["waiting", String(queue.waiting)],
    ["failed", queue.failed === 0 ? "0" : paint("red", String(queue.failed))],
    ["limits", limits === "" ? "none" : limits],
    ["pushed to", webhook === null ? undefined : plain(webhook)],
    ["workers", String(queue.workers)],
  ]);
}

function stateOf({ pausedAt, webhook }: Queue): readonly ["yellow" | "green", string] {
  if (pausedAt !== null) return ["yellow", "paused"];
  return ["green", webhook === null ? "open" : "open, pushed"];
}

function limitsOf({ concurrency, keyConcurrency, ratePerMinute }: Queue): string {
  return [
    concurrency === null ? "" : `${concurrency} at once`,
    keyConcurrency === null ? "" : `${keyConcurrency} a key`,
    ratePerMinute === null ? "" : `${ratePerMinute} a minute`,
  ]
    .filter((limit) => limit !== "")
    .join(", ");
}

/** Where a worker runs, as it said itself. */
function whereabouts(holder: unknown): string {
  if (holder === null) return "";
  const { host, pid } = holder as { host: string; pid: number };
  return `${host}, pid ${pid}`;
}

/** How long, in the largest whole unit: `45s`, `3m`, `2h`, `5d`. */
function age(milliseconds: number): string {
  const units = [
    [86_400_000, "d"],
    [3_600_000, "h"],
    [60_000, "m"],
  ] as const;
  const [length, unit] = units.find(([least]) => milliseconds >= least) ?? [1000, "s"];
  return `${Math.floor(milliseconds / length)}${unit}`;
}

/** `queues redrive`: what was done, or would be. */
export function redriveText(
  paint: Paint,
  done: Answer<typeof redriveQueue>,
  again: readonly string[],
): string {
  const { dryRun, matching, redriven, skipped, more, until } = done;
  const matches = `${count(matching, "dead letter")} failed until ${seconds(until)}`;
  const rows = skipped.map(({ runId, code, activeRunId }): Cell[] => [
    runId,
    code,
    activeRunId ?? "",
  ]);
  return (
    facts(paint, [
      [dryRun ? "dry run" : "done", dryRun ? "nothing was changed" : `${redriven} queued again`],
      ["matching", `${matches}${more ? ", and there are more" : ""}`],
      ["to do it", dryRun && matching > 0 ? tidebaseLine(again) : undefined],
      ["left alone", skipped.length === 0 ? undefined : count(skipped.length, "run")],
    ]) + (rows.length === 0 ? "" : `\n${table(paint, ["RUN", "WHY", "ACTIVE RUN"], rows)}`)
  );
}
