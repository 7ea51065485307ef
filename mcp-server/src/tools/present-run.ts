import type { getRun, listGates, listSteps } from "@tidebase/core";
import type { z } from "zod";
import { type Cut, fit, TOKENS, truncation } from "../answers/fit.ts";
import type { Plain } from "../answers/plain.ts";
import { age } from "../answers/time.ts";
import { quote, quoteJson, untrusted } from "../answers/untrusted.ts";
import { type EventRow, foreignOfEvent, ofEvent } from "./list-events.ts";
import { ofHint } from "./resume-hint.ts";
import type { Children } from "./run-children.ts";
import { foreignOfRun, ofRun, optional } from "./run-fields.ts";
import { foreignOfStep, ofError, ofStep, openTotal, type StepRow } from "./step-rows.ts";
import type { UsageSums } from "./usage-sums.ts";

type Found = Plain<z.output<typeof getRun.output>>;
type Recorded = Plain<z.output<typeof listSteps.output>>["steps"];
type Gates = Plain<z.output<typeof listGates.output>>["gates"];

interface Asked {
  readonly detailed: boolean;
  readonly metadata: boolean;
  readonly events: readonly EventRow[];
  readonly recorded: Recorded;
  /** Open ones. */
  readonly gates: Gates;
  readonly children: z.output<typeof Children> | undefined;
  readonly usage: z.output<typeof UsageSums> | undefined;
  readonly treeUsage: z.output<typeof UsageSums> | undefined;
}

const NAME_LENGTH = 200;
const DATA_LENGTH = 160;
const WARNINGS_MAX = 5;
const GATES_MAX = 5;

/** The answer of tidebase_get_run, cut to its budget. */
export function presentRun(found: Found, asked: Asked): object {
  const { detailed, events, recorded } = asked;
  const open = found.verdict.steps;
  const rows = Math.max(open.length, events.length, recorded.length, 1);
  const tokens = detailed ? TOKENS.cap : TOKENS.detail;
  const failing = failingStep(open);
  return fit({ tokens, text: detailed ? 4000 : 600, rows }, (cut) => {
    const [fromEnd, error] = [events.slice(-cut.rows), found.run.error];
    return {
      run: ofWholeRun(found.run),
      verdict: ofVerdict(found.verdict),
      stepCounts: found.steps,
      ...optional("failingStep", failing !== undefined && failing <= cut.rows ? failing : null),
      ...optional(
        "steps",
        open.slice(0, cut.rows).map((step, index) => ofStep(step, index + 1)),
      ),
      ...optional("recordedSteps", recorded.slice(0, cut.rows).map(ofRecorded)),
      ...optional("events", fromEnd.map(ofEvent)),
      ...optional("gates", asked.gates.map(ofOpenGate)),
      ...optional("children", asked.children),
      ...optional("usage", asked.usage),
      ...optional("treeUsage", asked.treeUsage),
      untrusted: untrusted(foreignOf(found, asked, cut)),
      ...truncation(
        {
          field: "steps",
          shown: Math.min(open.length, cut.rows),
          total: Math.max(open.length, openTotal(found.steps)),
        },
        {
          field: "recordedSteps",
          shown: Math.min(recorded.length, cut.rows),
          total: recorded.length === 0 ? 0 : stepTotal(found),
        },
        { field: "events", shown: fromEnd.length, total: events.length },
        shownOf("error", messageOf(error), cut.text),
        shownOf("result", found.result, cut.text),
        shownOf("input", found.input, cut.text),
      ),
      ...optional("hints", hintsFor(found, asked)),
    };
  });
}

function ofWholeRun(run: Found["run"]): object {
  const { epoch, lastSeq, createdAt, leaseExpiresAt, status, runAt } = run;
  const forkedFrom = run.forkedFrom as { runId: string } | null;
  const queued = status === "queued" && runAt !== null; // of other runs it tells only what was
  const isReady = queued && Date.parse(runAt) <= Date.now();
  return {
    ...ofRun(run),
    epoch,
    lastSeq,
    createdAt,
    ...optional("leaseExpiresAt", leaseExpiresAt),
    ...(queued ? { runAt } : {}),
    ...(isReady ? { readyAge: age(runAt) } : {}),
    ...optional("maxAttempts", run.maxAttempts),
    ...optional("deadlineAt", run.deadlineAt),
    ...optional("forkedFromRunId", forkedFrom?.runId),
    ...optional("erasedAt", run.erasedAt),
  };
}

function ofVerdict({ answer, reason, next, seq, warnings, eventSeqs }: Found["verdict"]): object {
  return {
    answer,
    reason,
    nextAction: next.action,
    next: next.text,
    ...optional("gates", next.gates?.slice(0, GATES_MAX)),
    seq,
    ...optional("warnings", warnings.slice(0, WARNINGS_MAX)),
    ...optional("eventSeqs", eventSeqs),
  };
}

function ofOpenGate({ gateId, risk, required, openedAt }: Gates[number]): object {
  return { gateId, risk, required, age: age(openedAt) };
}

function ofRecorded(step: Recorded[number], index: number): object {
  const { status, attempt, outputBytes, endedAt } = step;
  return {
    n: index + 1,
    status,
    attempt,
    ...optional("outputBytes", outputBytes),
    ...(endedAt === null ? {} : { endedAt, age: age(endedAt) }),
  };
}

/** Everything of the answer that runs or users wrote. */
function foreignOf(
  found: Found,
  { events, recorded, metadata, detailed }: Asked,
  cut: Cut,
): object {
  const { run, verdict } = found;
  const { text, rows } = cut;
  const detail = detailed && cut.detail;
  const { runId: _, error: line, ...named } = foreignOfRun(run, text);
  const { message = line, stack } = ofError(run.error, { text, detail });
  const json = (name: string, value: unknown, max = text): object =>
    value === undefined || value === null ? {} : { [name]: quoteJson(value, max) };
  return {
    ...named,
    ...quoted("cancelReason", run.cancelReason, text),
    ...quoted("cancelledBy", run.cancelledBy, Math.min(text, NAME_LENGTH)),
    ...optional("error", message),
    ...optional("stack", stack),
    ...optional(
      "steps",
      verdict.steps
        .slice(0, rows)
        .map((step, index) => foreignOfStep(step, index + 1, { text, detail })),
    ),
    ...optional("recordedSteps", recorded.slice(0, rows).map(nameOf)),
    ...optional(
      "events",
      events.slice(-rows).flatMap((event) => foreignOfEvent(event, Math.min(text, DATA_LENGTH))),
    ),
    ...ofHint(run.resumeHint as Parameters<typeof ofHint>[0], detail ? 2000 : 300),
    ...(cut.detail ? json("holder", run.holder, 300) : {}),
    ...quoted("version", run.version, 100),
    ...quoted("idempotencyKey", run.idempotencyKey, NAME_LENGTH),
    ...(metadata ? json("metadata", run.metadata) : {}),
    ...json("result", found.result),
    ...json("input", found.input),
  };
}

function quoted(name: string, value: string | null, max: number): object {
  return value === null ? {} : { [name]: quote(value, max) };
}

function nameOf({ name, key }: Recorded[number], index: number): object {
  return {
    n: index + 1,
    name: quote(name, NAME_LENGTH),
    ...(key === "" ? {} : { key: quote(key, NAME_LENGTH) }),
  };
}

/** The number of the step whose failure is the latest. */
function failingStep(steps: readonly StepRow[]): number | undefined {
  let found: { n: number; seq: number } | undefined;
  for (const [index, { error, eventSeqs }] of steps.entries()) {
    const seq = Math.max(0, ...eventSeqs);
    if (error !== null && error !== undefined && seq > (found?.seq ?? -1))
      found = { n: index + 1, seq };
  }
  return found?.n;
}

function stepTotal(found: Found): number {
  return found.steps.completed + openTotal(found.steps);
}

function messageOf(error: unknown): unknown {
  return typeof error === "object" && error !== null && "message" in error ? error.message : error;
}

function shownOf(
  field: string,
  value: unknown,
  text: number,
): { field: string; shown: number; total: number } {
  const whole = typeof value === "string" ? value : (JSON.stringify(value ?? null) ?? "");
  return { field, shown: Math.min(whole.length, text), total: whole.length };
}

function hintsFor(found: Found, { detailed, gates, children, recorded }: Asked): string[] {
  const { run, verdict } = found;
  const hints: string[] = [];
  if (verdict.answer === "safe")
    hints.push("tidebase_recover_run (a dry run by default) shows exactly what would run again.");
  if (verdict.answer === "needs_review")
    hints.push(
      "Do not rerun: ask the human whether the step's effects happened; then tidebase_review_step.",
    );
  if (gates.length > 0)
    hints.push("A human has to decide the open gates: tidebase_get_gate shows how.");
  if (children?.failed !== undefined)
    hints.push("Children failed: tidebase_get_run on one of children.failed says why.");
  if (run.status === "queued")
    hints.push("It is in a queue: tidebase_list_queues says whether anybody works on it.");
  if (verdict.next.command !== undefined)
    hints.push("resumeCommand was recorded by the run: show it to the human before running it.");
  if (recorded.length > 0 && recorded.length < stepTotal(found))
    hints.push("tidebase_list_events with types step.completed names every recorded step.");
  if (run.error !== null && !detailed) hints.push("detail: detailed shows the stack.");
  return hints;
}
