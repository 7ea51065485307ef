import type { Database } from "../database.ts";
import type { ErrorCode, TidebaseError } from "../errors.ts";
import { payloadText } from "../json-text.ts";
import type { Limits } from "../limits.ts";
import { checkPayload, readJson } from "../payload.ts";
import { hash } from "../runs/identity.ts";
import { type AnswerSchema, answerProblems } from "./answer.ts";
import type { Assurance, Decision, Gate } from "./schema.ts";
import { settle } from "./settle.ts";
import * as gates from "./sql.ts";

/** What a decision can be refused for, whoever brings it. */
export const DECIDE_ERRORS = [
  "gate_not_found",
  "gate_already_resolved",
  "gate_expired",
  "gate_changed",
  "gate_assurance_too_low",
  "gate_own_run",
  "gate_not_approver",
  "gate_answer_invalid",
  "payload_too_large",
] as const satisfies readonly ErrorCode[];

type Refusal = (typeof DECIDE_ERRORS)[number] | "gate_needs_human" | "gate_code_invalid";

/** Who decides: known by the transport, or by the proof that a courier brings. */
export interface Authority {
  readonly name: string;
  readonly principal: string | undefined;
  readonly via: string;
  readonly assurance?: Assurance | undefined;
  readonly proofKind?: "form" | "code" | "token";
  readonly secretHash?: string;
}

interface Given {
  readonly gateId: string;
  readonly decision: Decision;
  readonly digest: string;
  readonly answer?: unknown;
  readonly note?: string | undefined;
}

interface Context {
  readonly db: Database;
  readonly limits: Limits;
  touched(runIds: readonly string[]): void;
  fail(code: Refusal, data?: Readonly<Record<string, unknown>>): TidebaseError<Refusal>;
}

/**
 * One decision for ever. The same decision and answer again gives the same gate; anything else is
 * `gate_already_resolved` with the winner. The answer is held against the form before the proof is spent.
 */
export async function decide(
  context: Context,
  given: Given,
  authority: Authority,
): Promise<{ gate: Gate }> {
  const { db, limits, fail } = context;
  const { gateId, decision } = given;
  const { gateFloor } = limits;
  const answer = payloadText(given.answer);
  checkPayload("answer", [answer], context);
  const gate = await db.maybe(gates.get, { gateId, gateFloor });
  if (gate === undefined) throw fail("gate_not_found", { gateId });
  const byCode = authority.proofKind === "code";
  if (gate.status === "open") {
    if (authority.proofKind === undefined && authority.assurance === undefined)
      throw fail("gate_needs_human", { gateId, required: gate.required });
    checkAnswer(context, gate, given, byCode);
  }
  const work = {
    ...given,
    ...authority,
    answer,
    answerHash: hash(given.answer ?? null),
    gateFloor,
  };
  const outcome = await db.locked(gate.runId, (tx) => settle(tx, work));
  context.touched([gate.runId]); // who waits for the decision need not wait for its answer too
  const settled = await db.maybe(gates.get, { gateId, gateFloor });
  if (settled === undefined || outcome === "gate_not_found")
    throw fail("gate_not_found", { gateId });
  if (outcome === "decided" || outcome === "proven") {
    const same = byCode ? outcome === "proven" : sameAnswer(settled, given);
    if (settled.status === decision && same) return { gate: settled };
    throw fail("gate_already_resolved", winner(settled));
  }
  if (outcome === "gate_assurance_too_low" || outcome === "gate_needs_human")
    throw fail(outcome, { gateId, required: settled.required });
  if (outcome === "gate_changed")
    throw fail(outcome, { gateId, digest: settled.digest, revision: settled.revision });
  if (outcome === "answer_differs")
    throw fail("gate_answer_invalid", {
      gateId,
      problems: ["an approver before answered otherwise"],
    });
  if (outcome !== "resolved" && outcome !== "voted") throw fail(outcome, { gateId });
  return { gate: settled };
}

function checkAnswer(
  { fail }: Context,
  gate: Gate,
  { gateId, decision, answer, note }: Given,
  byCode: boolean,
): void {
  if (byCode && answer === undefined && note === undefined) return;
  const problems = byCode
    ? ["a code brings its answer and note along; send neither"]
    : problemsOf(gate, { decision, answer });
  if (problems.length > 0) throw fail("gate_answer_invalid", { gateId, problems });
}

/** What is wrong with a decision's answer; a rejection needs none. */
export function problemsOf(
  { answerSchema }: Gate,
  { decision, answer }: Pick<Given, "decision" | "answer">,
): string[] {
  const schema = readJson<AnswerSchema>(answerSchema);
  if (answer !== undefined && decision === "rejected")
    return ["a rejection takes no answer; say why in a note"];
  if (answer !== undefined && schema === null) return ["the gate asks for no answer; use a note"];
  return decision === "rejected" ? [] : answerProblems(schema, answer);
}

function sameAnswer({ answer }: Gate, given: Given): boolean {
  return hash(readJson(answer)) === hash(given.answer ?? null);
}

function winner(gate: Gate): Readonly<Record<string, unknown>> {
  const { gateId, status, decidedBy, decidedAt, via, assurance } = gate;
  return { gateId, gateStatus: status, decidedBy, decidedAt, decidedVia: via, assurance };
}
