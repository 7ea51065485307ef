import type { ResumeHint } from "../leases/holder.ts";
import { readJson } from "../payload.ts";
import type { Run } from "../runs/schema.ts";
import { onlyReads } from "../steps/rules.ts";
import type { Contract, OnUnknown } from "../steps/schema.ts";
import type { OpenStep, Verdict } from "./schema.ts";

/** A step that is not completed, as it is stored. */
export interface OpenStepRow {
  readonly name: string;
  readonly key: string;
  readonly status: OpenStep["status"];
  readonly onUnknown: OnUnknown;
  readonly epoch: number;
  readonly attempt: number;
  readonly reason: string | null;
  readonly contract: OpenStep["error"];
  readonly error: OpenStep["error"];
  readonly eventSeqs: number[];
}

/** What a rerun would do with a step, and why (the outcome table of model.md §3). */
export function judge(
  row: OpenStepRow,
  run: { epoch: number; live: boolean; final: boolean },
): OpenStep {
  const contract = readJson<Contract>(row.contract) ?? {};
  const unknown = row.status === "begun" && !(run.live && row.epoch === run.epoch);
  const settled = row.status === "begun" ? row.onUnknown : row.status;
  const wouldRunAgain = settled === "failed_retryable" && !run.final;
  return {
    name: row.name,
    key: row.key,
    status: unknown ? settled : row.status,
    attempt: row.attempt,
    sideEffects: [...(contract.sideEffects ?? [])],
    idempotencyKey: contract.idempotencyKey ?? null,
    reason: unknown ? "unknown_outcome" : row.reason,
    error: row.error,
    wouldRunAgain,
    why: run.final
      ? "Its run has ended for good."
      : why(contract, { settled, unknown, reviewed: row.reason === "reviewed" }),
    eventSeqs: row.eventSeqs,
  };
}

function why(
  contract: Contract,
  { settled, unknown, reviewed }: { settled: string; unknown: boolean; reviewed: boolean },
): string {
  const happened = unknown
    ? "It was begun and never recorded as finished; whether its effects happened is unknown."
    : "It is not finished.";
  if (settled === "failed")
    return `${happened} It may not run again (replay: never, or a review said so).`;
  if (settled === "manual_review") {
    return contract.replay === "manual"
      ? `${happened} Its contract asks for a person before it runs again.`
      : `${happened} It declares side effects without an idempotency key.`;
  }
  if (reviewed) return `${happened} A review says that it did not happen and may run again.`;
  if (contract.replay === "auto") return `${happened} Its contract says that it may run again.`;
  return onlyReads(contract)
    ? `${happened} It declares no side effects.`
    : `${happened} Its idempotency key makes its effects safe to repeat.`;
}

interface Facts {
  readonly run: Pick<
    Run,
    | "status"
    | "leaseOver"
    | "failureClass"
    | "lastSeq"
    | "resumeHint"
    | "waits"
    | "wakeAt"
    | "queue"
    | "runAt"
  >;
  readonly completedSteps: number;
  readonly steps: OpenStep[];
  readonly warnings: string[];
  readonly eventSeqs: number[];
}

/** Is it safe to rerun? Decided from the record alone; a live lease outweighs everything. */
export function verdict({ run, completedSteps, steps, warnings, eventSeqs }: Facts): Verdict {
  const rest = { seq: run.lastSeq, completedSteps, steps, warnings, eventSeqs };
  const answered = (answer: Verdict["answer"], reason: string, next: Verdict["next"]): Verdict => ({
    answer,
    reason,
    next,
    ...rest,
  });
  if (run.status === "completed" || run.status === "cancelled") {
    const next = { action: "none" as const, text: "Nothing: a final run never changes." };
    return answered("final", `The run is ${run.status}.`, next);
  }
  if (run.status === "running" && !run.leaseOver) {
    const next = {
      action: "wait" as const,
      text: "Wait: the lease ends with its worker, or when it lapses.",
    };
    return answered("in_progress", "A worker holds the lease.", next);
  }
  if (run.status === "waiting") {
    const { answer, reason, next } = waiting(run);
    return answered(answer, reason, next);
  }
  if (run.status === "queued" && run.queue !== null) {
    return answered("in_progress", "The run is queued; a worker of its queue claims it.", {
      action: "wait",
      text: "Wait, and see that a worker of the queue runs. Recovering it starts it now, whatever it was delayed for.",
      queue: run.queue,
      ...(run.runAt !== null && { until: run.runAt }),
    });
  }
  const blocking = steps.find((step) => !step.wouldRunAgain);
  if (blocking !== undefined) {
    const { name, key } = blocking;
    return answered("needs_review", "A step may or may not have had its effect.", {
      action: "review_step",
      text: "Find out whether the step's effects happened and review it; until then nobody executes it again.",
      step: { name, key },
    });
  }
  const kept = `${count(completedSteps, "completed step")} will replay and never run again`;
  const again =
    steps.length === 0 ? "" : `; ${count(steps.length, "unfinished step")} will run again`;
  const reason = `${kept}${again}.`;
  if (run.queue !== null) {
    const text =
      run.status === "running"
        ? "Wait: its lease has lapsed, and its queue gives it to the next worker."
        : "Recover the run: that queues it again, with its checkpoints and fresh attempts.";
    const action = run.status === "running" ? "wait" : "recover";
    return answered("safe", reason, { action, text, queue: run.queue });
  }
  return answered("safe", reason, invoke(readJson<ResumeHint>(run.resumeHint)));
}

/** What a suspended run waits for, and who has to do something about it. */
function waiting({ waits, wakeAt }: Facts["run"]): Pick<Verdict, "answer" | "reason" | "next"> {
  const named = (prefix: string) => (waits ?? []).filter((wait) => wait.startsWith(prefix));
  const gates = named("gate_");
  const signals = named("signal_").map((wait) => wait.slice("signal_".length));
  const children = named("child_").map((wait) => wait.replace("child_", "run_"));
  const joins = [...named("all_"), ...named("any_")];
  const what = {
    ...(gates.length > 0 && { gates }),
    ...(children.length > 0 && { children }),
    ...(signals.length > 0 && { signals }),
    ...(wakeAt !== null && { until: wakeAt }),
  };
  if (gates.length > 0) {
    const text = `A human decides ${count(gates.length, "gate")}; the run is ready to go on after the first decision.`;
    return {
      answer: "waiting_on_human",
      reason: "The run is suspended until a human decides.",
      next: { action: "resolve_gate", text, ...what },
    };
  }
  const reason =
    children.length + joins.length > 0
      ? "The run is suspended until children of it end."
      : signals.length > 0
        ? "The run is suspended until a signal is sent."
        : "The run sleeps; time alone wakes it.";
  const text = "Wait: what it waits for makes it ready. Nothing has failed.";
  return { answer: "in_progress", reason, next: { action: "wait", text, ...what } };
}

function count(n: number, noun: string): string {
  return n === 1 ? `1 ${noun}` : `${n} ${noun}s`;
}

function invoke(hint: ResumeHint | null): Verdict["next"] {
  if (hint === null)
    return { action: "invoke", text: "Start the workflow again with this run id." };
  const { command, cwd } = hint;
  return {
    action: "invoke",
    text: "Start the program again with its recorded command, in its recorded folder.",
    command,
    ...(cwd === undefined ? {} : { cwd }),
  };
}
