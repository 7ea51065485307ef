import { TidebaseError } from "../errors.ts";

/** How often, and after which pauses in milliseconds, a failed step is tried again. */
export interface RetryPolicy {
  /** Attempts in all, the first one included. Default 1: a failure is final. */
  readonly maxAttempts?: number;
  /** Each pause is this many times the one before. Default 2. */
  readonly factor?: number;
  /** The first pause. Default 1,000. */
  readonly minMs?: number;
  /** No pause is longer. Default 60,000. */
  readonly maxMs?: number;
  /** Shortens each pause by up to a half, at random. Default true. */
  readonly jitter?: boolean;
}

/** What a step says of itself, so that others know whether it may run again. All optional. */
export interface StepContract {
  /** Tells steps of one name apart, in loops and in parallel. */
  readonly key?: string;
  /** What the step depends on: replaying a recorded step with another input is refused. */
  readonly input?: unknown;
  /**
   * What the step does to the world; `read` means it only looks. Other effects are announced
   * durably before the function is called.
   */
  readonly sideEffects?: readonly string[];
  /** Makes the effects safe to repeat: an unknown outcome then needs no review. */
  readonly idempotencyKey?: string;
  /** May the step run again when its outcome is unknown? Default: the effects decide. */
  readonly replay?: "auto" | "manual" | "never";
  readonly retry?: RetryPolicy;
  /** Aborts the step's signal after so long; see `Step`. */
  readonly timeoutMs?: number;
  /** What must hold once the step is done, for people who review it. */
  readonly checkpointInvariant?: string;
  /** How a person finds out whether the step took effect. */
  readonly verifiedBy?: string;
  /** Names this step had in older code: what was recorded under one of them counts. */
  readonly was?: readonly string[];
}

/** What of the contract is stored with the step. */
type Declared = Omit<StepContract, "key" | "input" | "was">;

/**
 * The contract as it is sent, JSON text; undefined when nothing was declared. Refuses here, before
 * any effect, what the server would refuse afterwards.
 */
export function declare(name: string, contract: StepContract): string | undefined {
  checkText("name", name, name, { least: 1 });
  checkText("key", contract.key ?? "", name);
  for (const former of contract.was ?? []) checkText("was", former, name, { least: 1 });
  const { key: _key, input: _input, was: _was, ...declared } = contract;
  if (Object.keys(declared).length === 0) return undefined;
  checkDeclared(name, declared);
  const text = JSON.stringify(declared);
  return text === "{}" ? undefined : text;
}

/** For callers without types: `run.step(name)` alone, or something else in the places. */
export function checkWork(name: string, contract: unknown, work: unknown): void {
  if (typeof work !== "function")
    throw invalid(name, "its function is missing, as in run.step(name, () => …)");
  if (typeof contract !== "object" || contract === null)
    throw invalid(name, "what stands between name and function must be an object");
}

/** Whether the step's begin is recorded before its function is called. */
export function isAnnounced({ sideEffects, replay }: StepContract): boolean {
  if (replay === "manual" || replay === "never") return true;
  return sideEffects?.some((effect) => effect !== "read") ?? false;
}

/** The pause after so many failures, or undefined when the failure is final. */
export function retryInMs(policy: RetryPolicy | undefined, failures: number): number | undefined {
  const { maxAttempts = 1, factor = 2, minMs = 1000, maxMs = 60_000, jitter = true } = policy ?? {};
  if (failures >= maxAttempts) return undefined;
  const longest = Math.min(maxMs, minMs * factor ** (failures - 1));
  return Math.round(jitter ? longest * (1 - Math.random() / 2) : longest);
}

function checkDeclared(name: string, declared: Declared): void {
  const { sideEffects = [], idempotencyKey, replay, retry = {}, timeoutMs } = declared;
  if (!Array.isArray(sideEffects) || sideEffects.length > 50)
    throw invalid(name, "sideEffects must be a list of at most 50 names");
  for (const effect of sideEffects) checkText("sideEffects", effect, name, { least: 1 });
  if (idempotencyKey !== undefined)
    checkText("idempotencyKey", idempotencyKey, name, { least: 1, most: 500 });
  if (replay !== undefined && !["auto", "manual", "never"].includes(replay))
    throw invalid(name, "replay must be auto, manual or never");
  for (const text of ["checkpointInvariant", "verifiedBy"] as const)
    checkText(text, declared[text] ?? "", name, { most: 2000 });
  const day = 86_400_000;
  checkNumber("timeoutMs", timeoutMs, name, [1, day]);
  checkNumber("retry.maxAttempts", retry.maxAttempts, name, [1, 1000]);
  checkNumber("retry.minMs", retry.minMs, name, [0, day]);
  checkNumber("retry.maxMs", retry.maxMs, name, [0, day]);
  checkNumber("retry.factor", retry.factor, name, [1, 100], false);
}

function checkNumber(
  field: string,
  value: number | undefined,
  step: string,
  [least, most]: readonly [number, number],
  whole = true,
): void {
  if (value === undefined) return;
  const fits = whole ? Number.isInteger(value) : Number.isFinite(value);
  if (!fits || value < least || value > most)
    throw invalid(
      step,
      `${field} must be ${whole ? "a whole" : "a"} number from ${least} to ${most}`,
    );
}

/** NUL and lone surrogates cannot be stored in a name without changing it. */
const UNSTORABLE = /\0|\p{Surrogate}/u;

function checkText(
  field: string,
  text: unknown,
  step: string,
  { least = 0, most = 200 }: { least?: number; most?: number } = {},
): void {
  if (typeof text !== "string") throw invalid(step, `${field} must be a string`);
  if (text.length < least || text.length > most)
    throw invalid(step, `${field} must have ${least} to ${most} characters`);
  if (UNSTORABLE.test(text))
    throw invalid(step, `${field} must not contain NUL or half of a surrogate pair`);
}

function invalid(step: string, problem: string): TidebaseError {
  return new TidebaseError("input_invalid", `Step ${JSON.stringify(step)}: ${problem}.`, { step });
}
