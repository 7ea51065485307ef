import type { JsonText } from "../json-text.ts";
import { readJson } from "../payload.ts";
import { onlyReads } from "../steps/rules.ts";
import type { Contract } from "../steps/schema.ts";
import type { RunAgainStep } from "./fork-schema.ts";

/** A step of the source, as the moment of the fork sees it. */
export interface StepRow {
  readonly name: string;
  readonly key: string;
  readonly status: RunAgainStep["status"];
  readonly reason: string | null;
  /** Read only where the step is not kept. */
  readonly contract: JsonText | null;
  /** The event that completed it, where the fork keeps it. */
  readonly keptSeq: number | null;
  readonly firstSeq: number | null;
  /** Completed by then, but its results stay with the source's children. */
  readonly aside: boolean;
}

const SHOWN_MAX = 200;

/** What the plan says of the source's steps; `edited` is what becomes of the one whose output is edited. */
export function sortSteps(rows: readonly StepRow[], edit?: { name: string; key: string }) {
  const kept = rows.filter(({ keptSeq }) => keptSeq !== null);
  const again = rows.filter(({ keptSeq }) => keptSeq === null).map(judge);
  const repeating = again.filter(({ repeatsEffects }) => repeatsEffects);
  const harmless = again.filter(({ repeatsEffects }) => !repeatsEffects);
  const isEdited = ({ name, key }: StepRow) => name === edit?.name && key === edit.key;
  const place = kept.findIndex(isEdited);
  const from = Math.max(0, kept.length - SHOWN_MAX);
  const shown = kept.filter((row, index) => index >= from || isEdited(row)).slice(-SHOWN_MAX - 1);
  return {
    keptSteps: kept.length,
    kept: shown.map((row) => ({ name: row.name, key: row.key, edited: isEdited(row) })),
    runAgainSteps: again.length,
    repeatedEffects: repeating.length,
    runAgain: [...repeating, ...harmless].slice(0, SHOWN_MAX),
    edited: place >= 0 ? "kept" : rows.some(isEdited) ? "not kept" : "unknown",
    keptAfterEdit: place < 0 ? 0 : kept.length - 1 - place,
  } as const;
}

/** Whether a step that the fork executes anew does once more what it did, or may have done, in the source. */
function judge(row: StepRow): RunAgainStep {
  const contract = readJson<Contract>(row.contract) ?? {};
  const { name, key, status } = row;
  const { sideEffects = [], idempotencyKey = null } = contract;
  return { name, key, status, sideEffects, idempotencyKey, ...repeats(row, contract) };
}

function repeats(
  { status, reason, aside }: StepRow,
  contract: Contract,
): Pick<RunAgainStep, "repeatsEffects" | "why"> {
  const once = contract.replay === "never" || contract.replay === "manual";
  const no = (why: string) => ({ repeatsEffects: false, why });
  if (aside)
    return no("Its results stayed with the source's children: the fork makes children of its own.");
  if (reason === "reviewed" && status === "failed_retryable")
    return no("A review of the source says that it did not happen.");
  if (onlyReads(contract) && !once) return no("It declares no side effects.");
  if (contract.idempotencyKey !== undefined && !once)
    return no("Its idempotency key makes its effects safe to repeat, if the fork gives the same.");
  const happened =
    status === "completed" ? "Its effects happened in the source" : "Its effects may have happened";
  return {
    repeatsEffects: true,
    why: once
      ? `${happened}, and its contract says \`replay: ${contract.replay}\`: the fork is another run, and executes it.`
      : `${happened}, and it declares no idempotency key.`,
  };
}

/** What whoever decides should know before the fork is made. */
export function warnings(facts: {
  readonly keptSteps: number;
  readonly keptAfterEdit: number;
  readonly repeatedEffects: number;
  readonly hasInput: boolean;
}): string[] {
  const { keptSteps, keptAfterEdit, repeatedEffects, hasInput } = facts;
  const said: string[] = [];
  if (repeatedEffects > 0)
    said.push(
      `${repeatedEffects} ${repeatedEffects === 1 ? "step" : "steps"} would repeat effects that happened, or may have: see \`runAgain\`.`,
    );
  if (keptAfterEdit > 0)
    said.push(
      "Steps that were completed after the edited one are kept as well, with what they made of its former output. A child, and a step that declares its input, that would get another one now is a mismatch and stops the fork. Fork from the first that depends on it to run them again.",
    );
  if (hasInput && keptSteps > 0)
    said.push(
      "Kept steps answer with what they made of the former input; one that declares its own input and gets another is an `input_mismatch`. Fork from the first that depends on the input, or rerun.",
    );
  return said;
}

/** How the fork goes on; before it exists its id is left open. */
export function nextOf(
  { workflow, queue }: { readonly workflow: string; readonly queue: string | null },
  runId: string | null,
): string {
  if (queue !== null) {
    const text = `A worker of the queue "${queue}" that knows the workflow "${workflow}" claims it.`;
    return runId === null ? `Make the fork. ${text}` : `Nothing more: ${text}`;
  }
  const how = `where the workflow "${workflow}" is registered: \`tide.resume("${runId ?? "its id"}")\`, or tide.run with that \`runId\`.`;
  return runId === null ? `Make the fork, then begin it ${how}` : `Begin it ${how}`;
}
