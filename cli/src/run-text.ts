import {
  type AnyOperation,
  type getRun,
  type listChildren,
  type listRuns,
  type runVerdict,
  toJson,
} from "@tidebase/core";
import {
  type Cell,
  count,
  facts,
  type Paint,
  plain,
  seconds,
  shellLine,
  table,
  tidebaseLine,
} from "./output.ts";

/** What an operation answers, as it leaves core. */
export type Answer<Op extends AnyOperation> = Awaited<ReturnType<Op["run"]>>;

/** The answer as its reader sees it: payloads that core passes on as text are values here. */
export type Read<Value> = Value extends { toJSON(): unknown }
  ? unknown
  : Value extends readonly (infer Item)[]
    ? Read<Item>[]
    : Value extends object
      ? { [Name in keyof Value]: Read<Value[Name]> }
      : Value;

/** Reads the payloads of an answer. */
export function asRead<Value>(answer: Value): Read<Value> {
  return JSON.parse(toJson(answer)) as Read<Value>;
}

const STATUS_COLOURS = {
  pending: "dim",
  queued: "dim",
  running: "cyan",
  waiting: "yellow",
  interrupted: "yellow",
  failed: "red",
  completed: "green",
  cancelled: "dim",
} as const;

const ANSWER_COLOURS = {
  safe: "green",
  needs_review: "red",
  waiting_on_human: "yellow",
  in_progress: "cyan",
  final: "dim",
} as const;

/** `runs list`. */
export function runsText(paint: Paint, { runs, nextCursor }: Answer<typeof listRuns>): string {
  if (runs.length === 0) return nextCursor === null ? "No runs.\n" : "No runs yet.\n";
  const rows = runs.map((run): Cell[] => [
    run.runId,
    run.workflow,
    [STATUS_COLOURS[run.status], run.leaseOver ? `${run.status} (stalled)` : run.status],
    seconds(run.updatedAt),
    run.failureClass ?? "",
    run.errorMessage ?? "",
  ]);
  return table(paint, ["RUN", "WORKFLOW", "STATUS", "LAST EVENT", "FAILURE", "ERROR"], rows);
}

/** `runs children`. */
export function childrenText(
  paint: Paint,
  { children }: Read<Answer<typeof listChildren>>,
): string {
  if (children.length === 0) return "No children.\n";
  const rows = children.map((child): Cell[] => [
    child.name,
    child.key,
    [STATUS_COLOURS[child.status], child.status],
    child.runId,
    child.workflow,
    child.failureClass ?? "",
    child.errorMessage ?? "",
  ]);
  const head = ["NAME", "KEY", "STATUS", "RUN", "WORKFLOW", "FAILURE", "ERROR"];
  return table(paint, head, rows);
}

/** `runs get`. */
export function runText(paint: Paint, answer: Read<Answer<typeof getRun>>): string {
  const { run, steps, verdict } = answer;
  const version = run.version === null ? "" : `, code version ${plain(run.version)}`;
  const why = run.failureClass === null ? "" : ` (${run.failureClass})`;
  const state = run.leaseOver ? "running (stalled: its lease has lapsed)" : `${run.status}${why}`;
  const hint = run.resumeHint as { command: string[]; cwd?: string } | null;
  return (
    facts(paint, [
      ["run", `${run.runId}  ${paint("bold", plain(run.workflow))}`],
      ["status", paint(STATUS_COLOURS[run.status], state)],
      ["tags", run.tags.length === 0 ? undefined : plain(run.tags.join(", "))],
      ["steps", stepsLine(steps)],
      ["queue", run.queue === null ? undefined : queueLine(run, run.queue)],
      ["child of", run.parentRunId ?? undefined],
      ["fork of", forkedLine(run)],
      ["attempts", `${attemptsLine(run)}, epoch ${run.epoch}${version}`],
      ["created", seconds(run.createdAt)],
      ["claimable", claimableLine(run)],
      ["waits for", run.waits === null ? undefined : plain(run.waits.join(", "))],
      ["wakes", run.wakeAt === null ? undefined : seconds(run.wakeAt)],
      ["deadline", run.deadlineAt === null ? undefined : seconds(run.deadlineAt)],
      ["cancelled", run.cancelReason === null ? undefined : cancelledLine(run)],
      ["erased", run.erasedAt === null ? undefined : `its content was, ${seconds(run.erasedAt)}`],
      ["last event", `${seconds(run.updatedAt)}, number ${run.lastSeq}`],
      ["error", run.errorMessage === null ? undefined : plain(run.errorMessage)],
      ["resume hint", hint === null ? undefined : shellLine(hint.command, hint.cwd)],
      ["input", payload(answer, "input")],
      ["result", payload(answer, "result")],
    ]) +
    "\n" +
    verdictText(paint, run.runId, verdict)
  );
}

type ReadRun = Read<Answer<typeof getRun>>["run"];

function queueLine({ priority, dedupeKey, concurrencyKey }: ReadRun, queue: string): string {
  const parts = [
    queue,
    ...(priority === 0 ? [] : [`priority ${priority}`]),
    ...(dedupeKey === null ? [] : [`dedupe key ${dedupeKey}`]),
    ...(concurrencyKey === null ? [] : [`concurrency key ${concurrencyKey}`]),
  ];
  return plain(parts.join(", "));
}

function attemptsLine({ attempts, maxAttempts }: ReadRun): string {
  if (maxAttempts === null) return `${count(attempts, "failure")} so far`;
  return `${attempts} of ${count(maxAttempts, "failure")} allowed`;
}

function forkedLine(run: ReadRun): string | undefined {
  const from = run.forkedFrom as { runId: string; atSeq: number } | null;
  if (from === null) return undefined;
  return `${from.runId}, ${from.atSeq === 0 ? "from its start" : `after its event ${from.atSeq}`}`;
}

function claimableLine({ runAt, status }: ReadRun): string | undefined {
  return runAt === null || status !== "queued" ? undefined : `from ${seconds(runAt)} on`;
}

function cancelledLine({ cancelReason, cancelledBy }: ReadRun): string {
  return plain(`${cancelReason ?? ""}${cancelledBy === null ? "" : ` (by ${cancelledBy})`}`);
}

function stepsLine(steps: {
  completed: number;
  begun: number;
  failed: number;
  manualReview: number;
}): string {
  const { completed, begun, failed, manualReview } = steps;
  const parts = [`${completed} completed`];
  if (begun > 0) parts.push(`${begun} begun`);
  if (failed > 0) parts.push(`${failed} failed`);
  if (manualReview > 0) parts.push(`${manualReview} to review`);
  return parts.join(", ");
}

function payload(answer: object, name: string): string | undefined {
  return name in answer ? plain(JSON.stringify(Reflect.get(answer, name))) : undefined;
}

/** `runs verdict`. */
export function verdictText(
  paint: Paint,
  runId: string,
  verdict: Read<Answer<typeof runVerdict>>,
): string {
  const { answer, reason, next, steps, warnings } = verdict;
  const { command, cwd, step, gates = [], signals = [], children = [], queue, until } = next;
  const about = step === undefined ? "" : ` (${stepName(step)})`;
  return (
    facts(paint, [
      ["verdict", `${paint(ANSWER_COLOURS[answer], answer)}: ${reason}`],
      ...warnings.map((warning) => ["warning", paint("yellow", warning)] as const),
      ["next", `${next.text}${about}`],
      ...gates.map((gate) => ["gate", tidebaseLine(["gates", "show", gate])] as const),
      ...children.map((child) => ["child", tidebaseLine(["runs", "get", child])] as const),
      ["queue", queue === undefined ? undefined : tidebaseLine(["queues", "show", queue])],
      ["signals", signals.length === 0 ? undefined : plain(signals.join(", "))],
      ["until", until === undefined ? undefined : seconds(until)],
      ["review it", step === undefined ? undefined : reviewLine(runId, step)],
      ["command", command === undefined ? undefined : shellLine(command, cwd)],
    ]) + (steps.length === 0 ? "" : `\n${openStepsText(paint, steps)}`)
  );
}

function reviewLine(runId: string, { name, key }: { name: string; key: string }): string {
  const which = key === "" ? [name] : [name, "--key", key];
  return `${tidebaseLine(["runs", "review", runId, ...which])} --decision … --reason …`;
}

type OpenSteps = Read<Answer<typeof runVerdict>>["steps"];

/** Steps that are not completed, what a rerun would do with each, and why. */
export function openStepsText(paint: Paint, steps: OpenSteps): string {
  return steps
    .map((step) => {
      const rerun = step.wouldRunAgain
        ? paint("green", "a rerun executes it again")
        : paint("red", "stops a rerun until it is reviewed");
      const { sideEffects: effects } = step;
      const error = messageOf(step.error);
      const about = facts(paint, [
        ["why", plain(step.why)],
        ["effects", effects.length === 0 ? undefined : plain(effects.join(", "))],
        ["error", error === "" ? undefined : plain(error)],
      ]);
      const head = `${paint("bold", stepName(step))}: ${step.status}, attempt ${step.attempt}; ${rerun}\n`;
      return head + about.replace(/^/gm, "  ").trimEnd();
    })
    .map((block) => `${block}\n`)
    .join("");
}

/** `name`, or `name [key]`. */
export function stepName({ name, key }: { name: string; key: string }): string {
  return key === "" ? plain(name) : `${plain(name)} [${plain(key)}]`;
}

/** The message of a recorded failure; empty when there is none. */
export function messageOf(error: unknown): string {
  if (typeof error !== "object" || error === null) return "";
  return String(Reflect.get(error, "message") ?? "");
}
