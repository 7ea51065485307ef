import { diffPaths } from "../encoding/input-hash.ts";
import { isTidebaseError, TidebaseError } from "../errors.ts";
import type { Lanes } from "../transport/lanes.ts";
import type { StepItem } from "./item.ts";

/** Every answer about a step that is not a go-ahead. */
export type Refusal = Exclude<
  Awaited<ReturnType<Lanes["begin" | "complete" | "fail"]>>["outcome"],
  "execute" | "replayed"
>;

interface StepIdentity {
  readonly name: string;
  readonly key: string;
}

interface StepOfRun extends StepIdentity {
  readonly runId: string;
}

/** The server's refusal of a step, with what to do about it. */
export function refusedStep(outcome: Refusal, step: StepOfRun): TidebaseError {
  return new TidebaseError(codeOf(outcome), advice(outcome, step), { ...step });
}

/** Hashes of another version, or given on one side only, are not compared. */
export function hashesDiffer(given: string | undefined, recorded: string | undefined): boolean {
  if (given === undefined || recorded === undefined) return false;
  return given.split(":", 1)[0] === recorded.split(":", 1)[0] && given !== recorded;
}

/** Both hashes, and the paths that differ where the recorded input was stored. */
export function mismatch(
  { name, key, inputHash, input }: StepItem,
  recordedHash: string | undefined,
  stored: unknown,
): TidebaseError {
  const isKept = stored !== undefined && stored !== null && input !== undefined;
  const paths = isKept ? diffPaths(stored, JSON.parse(input)) : [];
  const places = paths.map((path) => (path === "" ? "the whole value" : path));
  const where = places.length === 0 ? "" : ` They differ at ${places.join(", ")}.`;
  return new TidebaseError(
    "input_mismatch",
    `Step ${called({ name, key })} was recorded with another input.${where} Its recorded output is not used. Give the step another name or key if this is other work, or run it with the recorded input.`,
    { name, key, recordedHash, inputHash, paths },
  );
}

/** Two steps of one attempt must not share a name and key. */
export function duplicateStep({ name, key }: StepIdentity): TidebaseError {
  return new TidebaseError(
    "duplicate_step",
    `Step ${called({ name, key })} was asked for twice in one attempt. Give each its own key: run.step("${name}", { key: … }, …).`,
    { name, key },
  );
}

/** The step's effect has happened; its output is what cannot be kept. */
export function outputTooLarge(
  { name, key }: StepItem,
  bytes: number,
  limitBytes: number | undefined,
): TidebaseError {
  const limit = limitBytes === undefined ? "" : ` of ${limitBytes}`;
  return new TidebaseError(
    "output_too_large",
    `The output of step ${called({ name, key })} has ${bytes} bytes, more than the limit${limit}. Store it elsewhere and return its address.`,
    { name, key, bytes, limitBytes },
  );
}

/** A request that is refused for its size holds one output that is too large; else throws on. */
export function tooLargeToSend(error: unknown): {
  readonly outcome: "output_too_large";
  readonly limitBytes?: number;
} {
  if (!isTidebaseError(error, "body_too_large", "payload_too_large")) throw error;
  const { limitBytes } = error.data;
  return { outcome: "output_too_large", ...(typeof limitBytes === "number" && { limitBytes }) };
}

function codeOf(outcome: Refusal): TidebaseError["code"] {
  if (outcome === "manual_review") return "manual_review_required";
  if (outcome === "failed" || outcome === "failed_retryable") return "step_failed";
  return outcome === "completed" ? "server_answer_invalid" : outcome;
}

function advice(outcome: Refusal, of: StepOfRun): string {
  const step = `Step ${called(of)} of run ${of.runId}`;
  if (outcome === "manual_review_required")
    return `${step} may have had its effect, and is not run again before somebody reviews it: retry, completed or failed.`;
  if (outcome === "step_failed")
    return `${step} has failed for good and may not run again. Review it as retry, or go on without it.`;
  if (outcome === "run_too_long")
    return `${step} is one more than a run may have. Split the work over several runs.`;
  return `${step} was refused: ${outcome}.`;
}

/** The step as messages name it. */
export function called({ name, key }: StepIdentity): string {
  return key === "" ? `"${name}"` : `"${name}" with key "${key}"`;
}
