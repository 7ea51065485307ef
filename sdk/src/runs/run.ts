import type { RunChild } from "../children/child.ts";
import type { RunFanout } from "../children/fanout.ts";
import type { GateDecision, GateOptions, Gates } from "../gates/gates.ts";
import type { CancelHook } from "../leases/clean-up.ts";
import type { RunState } from "../state.ts";
import type { Step } from "../steps/steps.ts";
import type { RunUsage } from "../usage/run-usage.ts";
import type { Duration } from "../waits/duration.ts";
import type { SleepOptions, Until } from "../waits/sleep.ts";
import type { WaitForOptions, WaitOutcome } from "../waits/wait-for.ts";

/** What the workflow function is given. */
export interface Run<Input> {
  readonly runId: string;
  readonly input: Input;
  /** Aborted when the run is lost, cancelled, given up or suspended. */
  readonly signal: AbortSignal;
  readonly step: Step;
  readonly state: RunState;
  /** What the run uses and what it costs. */
  readonly usage: RunUsage;
  /**
   * Asks a human, and waits for the decision: the first one is for ever, and every replay gets it.
   * Throws `gate_mismatch` when the gate was decided on other content, `gate_not_json`.
   *
   * Like every wait it suspends the run once all branches wait: this attempt then ends, its `tide.run`
   * rejects with `run_suspended`, and what still waits here **never settles** (no `finally` runs; clean
   * up when `signal` is aborted). The next begin runs the workflow again from its start, replays what
   * is recorded and goes on. With `onWait: "block"` the process and the lease are kept instead.
   */
  gate<Answer = unknown>(name: string, options: GateOptions): Promise<GateDecision<Answer>>;
  /** Gates for code that cannot wait. */
  readonly gates: Gates;
  /**
   * Sleeps so long, or until then, counted from the first time it is asked. A step like others: its
   * name and key are its own, and a replay skips it. Up to 30 s are spent in the process; more
   * suspends the run as at a gate.
   */
  sleep(name: string, time: Duration | Until, options?: SleepOptions): Promise<void>;
  /**
   * Waits for the oldest signal of the name that nothing has taken yet, also one that came before. A
   * step like others: a replay gets the same. A timeout is an outcome, no error. Throws
   * `signal_invalid` when the payload does not fit the schema. Suspends the run as at a gate.
   *
   * In a `Promise.race` of waits the first wins in the attempt that sees it. To keep the winner for
   * later attempts record it, as in `step("winner", () => first)`; a wait that lost still takes its
   * signal when it comes.
   */
  waitFor<Payload = unknown>(
    name: string,
    options?: WaitForOptions<Payload>,
  ): Promise<WaitOutcome<Payload>>;
  /** A part of the work as a run of its own; see `RunChild`. Suspends the run as at a gate. */
  readonly child: RunChild;
  /** Many such parts at once, joined; see `RunFanout`. Suspends the run as at a gate. */
  readonly fanout: RunFanout;
  /**
   * Cleans up when the run is cancelled while this process works on it: the hooks run once in the life
   * of the run, the latest first, within a grace of 30 s whose end aborts their signal. Not when the
   * lease was merely lost: whoever took it over registers its own. The result takes the hook out again.
   */
  onCancel(hook: CancelHook): () => void;
  /**
   * The run is cancelled, with the reason `deadline`, when it has not ended so long after this call.
   * Gives the moment. No step: a replay does it again.
   */
  extendDeadline(duration: Duration): Promise<Date>;
}

/** The code of a workflow. What it returns is the result of the run. */
export type Workflow<Input, Result> = (run: Run<Input>) => Result | Promise<Result>;
