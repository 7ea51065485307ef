import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { table } from "../research-agent/terminal.ts";
import { TRACES, type Trace } from "./trace.ts";

/** What became of all calls of the function of one step. */
interface StepCount {
  readonly step: string;
  readonly calls: number;
  readonly done: number;
  readonly threw: number;
  /** Begun by a process that was killed before it could end them. */
  readonly cutOff: number;
  /** Done although they had been done before. */
  readonly doneAgain: number;
}

/** The counts, and every sentence that tells of a broken promise. */
export interface Evidence {
  readonly steps: readonly StepCount[];
  readonly violations: readonly string[];
}

/** Counts what the processes left behind. Only what the killed one was in may have been done again. */
export function gather(out: string, killed: number): Evidence {
  const calls = byCall(readTraces(out));
  const names = [...new Set([...calls.values()].map(({ step }) => step))];
  const steps = names.map((step) =>
    count(
      step,
      [...calls.values()].filter((one) => one.step === step),
    ),
  );
  return { steps, violations: [...calls.values()].flatMap((one) => complaints(one, killed)) };
}

/** As a table. */
export function render({ steps }: Evidence): string {
  const head = ["step", "calls", "done", "threw", "cut off by kill -9", "done twice"];
  return table(
    head,
    steps.map(({ step, ...counts }) => [
      step,
      ...[counts.calls, counts.done, counts.threw, counts.cutOff, counts.doneAgain].map(String),
    ]),
  );
}

/** All that was ever written about one step of one run. */
interface Calls {
  readonly step: string;
  readonly path: string;
  readonly lines: Trace[];
}

function readTraces(out: string): Trace[] {
  const folder = join(out, TRACES);
  return readdirSync(folder).flatMap((name) =>
    readFileSync(join(folder, name), "utf8")
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as Trace),
  );
}

function byCall(traces: readonly Trace[]): Map<string, Calls> {
  const calls = new Map<string, Calls>();
  for (const trace of traces) {
    const { runId, step, path } = trace;
    const id = `${step} ${runId}`;
    const known = calls.get(id) ?? { step, path, lines: [] };
    known.lines.push(trace);
    calls.set(id, known);
  }
  return calls;
}

function count(step: string, calls: readonly Calls[]): StepCount {
  const sum = (at: (lines: readonly Trace[]) => number) =>
    calls.reduce((total, { lines }) => total + at(lines), 0);
  const ended = (lines: readonly Trace[], how: Trace["at"]) =>
    lines.filter(({ at }) => at === how).length;
  const begun = sum((lines) => ended(lines, "begun"));
  const done = sum((lines) => ended(lines, "done"));
  const threw = sum((lines) => ended(lines, "threw"));
  return {
    ...{ step, calls: begun, done, threw },
    cutOff: begun - done - threw,
    doneAgain: sum((lines) => Math.max(0, ended(lines, "done") - 1)),
  };
}

function complaints({ step, path, lines }: Calls, killed: number): string[] {
  const of = `"${step}" of ${path}`;
  const done = lines.filter(({ at }) => at === "done");
  const others = done.filter(({ pid }) => pid !== killed);
  const found = others.length > 1 ? [`${of} was done twice, by nobody who was killed.`] : [];
  if (done.length === 0) found.push(`${of} was begun and never done.`);
  for (const pid of new Set(lines.map((line) => line.pid))) {
    const own = lines.filter((line) => line.pid === pid);
    const open = own.filter(({ at }) => at === "begun").length * 2 - own.length;
    if (pid !== killed && open > 0) found.push(`${of} was cut off in process ${pid}.`);
  }
  return found;
}
