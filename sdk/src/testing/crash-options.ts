import type { Tidebase } from "../client.ts";
import { TidebaseError } from "../errors.ts";
import { LONGEST_TIMER_MS } from "../pause.ts";
import type { EffectRecorder } from "./effects.ts";
import type { When } from "./life.ts";

/** How a workflow is executed in a crash check. */
export interface CrashOptions<Input> {
  readonly input?: Input;
  /** The name of the workflow; by default that of its function. */
  readonly name?: string;
  /** What the fakes of the outside world write to. */
  readonly effects?: EffectRecorder;
  /** Called before each run, for fakes that keep something. */
  readonly reset?: () => unknown;
  /** Called with each new client, to register the workflows of children. */
  readonly register?: (tide: Tidebase) => unknown;
  /** Called whenever the run is suspended, before time is moved: to send a signal, say. */
  readonly whenWaiting?: (run: {
    readonly runId: string;
    readonly waits: readonly string[];
  }) => unknown;
  /** A run that takes longer counts as failed, in milliseconds of real time. Default 30,000. */
  readonly timeoutMs?: number;
}

/** Where a run's worker is to die. */
export interface CrashAtOptions<Input> extends CrashOptions<Input> {
  /** The name of the step; of a child's step, `child › step`. */
  readonly step: string;
  readonly key?: string;
  readonly when: When;
}

const WHEN: readonly unknown[] = ["before", "during", "after"] satisfies When[];

/** Before anything is run. Throws `input_invalid`. */
export function checkOptions(options: CrashOptions<unknown>): void {
  const { timeoutMs = 1, reset, register, whenWaiting } = options;
  if (typeof timeoutMs !== "number" || !(timeoutMs > 0 && timeoutMs <= LONGEST_TIMER_MS))
    throw invalid("`timeoutMs` is milliseconds: a number above 0, of 24 days at most.");
  for (const [name, hook] of Object.entries({ reset, register, whenWaiting }))
    if (hook !== undefined && typeof hook !== "function")
      throw invalid(`\`${name}\` is a function.`);
}

/** As `checkOptions`, and the place. */
export function checkPlace({ step, key, when, ...options }: CrashAtOptions<unknown>): void {
  if (typeof step !== "string" || step === "")
    throw invalid("`step` is the name of the step at which the worker dies.");
  if (key !== undefined && typeof key !== "string") throw invalid("`key` is the key of that step.");
  if (!WHEN.includes(when)) throw invalid('`when` is "before", "during" or "after".');
  checkOptions(options);
}

function invalid(says: string): TidebaseError {
  return new TidebaseError("input_invalid", `Of a crash check: ${says}`);
}
