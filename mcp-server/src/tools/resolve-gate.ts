import { askForm, getGate, redeemGate, TidebaseError } from "@tidebase/core";
import { z } from "zod";
import { fit, TOKENS } from "../answers/fit.ts";
import { ask } from "../answers/plain.ts";
import { Instant } from "../answers/time.ts";
import { quote, quoteJson, untrusted, untrustedOf } from "../answers/untrusted.ts";
import { DESTRUCTIVE, type ToolContext, tool } from "../tool.ts";
import { ToolFailure } from "../tool-error.ts";
import { GateId, gateFields, isOwnRun, viaOf } from "./gate-fields.ts";
import { formOf, readForm } from "./gate-form.ts";
import type { Gate } from "./get-gate.ts";
import { waysElsewhere } from "./how-to-decide.ts";
import { Hints, optional } from "./run-fields.ts";

/** A client that declines faster than anybody reads has shown nothing, in milliseconds. */
const UNSEEN_MS = 300;
const Decision = z.enum(["approved", "rejected"]);

const Input = z.strictObject({
  gateId: GateId,
  proposedDecision: Decision.describe("With a code: the decision it was made for."),
  approvalCode: z.string().min(8).max(20).optional().describe("XXXX-XXXX, from the human."),
});
type Given = z.output<typeof Input>;

export const resolveGateTool = tool({
  name: "tidebase_resolve_gate",
  title: "Resolve gate",
  toolset: "gates",
  description:
    "The human's decision on a gate: this brings the question to your human, by a form in this client or by the one-time code they tell you (approvalCode). You cannot decide; what the human chooses counts. The error pendingHuman says what to tell them; then tidebase_wait_for_run.",
  input: Input,
  output: z.object({
    gateId: z.string(),
    runId: z.string(),
    outcome: z.enum(["approved", "rejected", "expired", "closed", "voted", "declined"]),
    decidedAt: Instant.optional(),
    via: z.string().optional(),
    assurance: gateFields.required.optional(),
    votes: gateFields.votes,
    approvals: gateFields.approvals,
    untrusted: untrustedOf({
      decidedBy: z.string().optional(),
      answer: z.string().optional(),
      note: z.string().optional(),
    }).optional(),
    hints: Hints,
  }),
  annotations: DESTRUCTIVE,
  meta: { "anthropic/requiresUserInteraction": true },
  async handler(input, context) {
    const gate = await read(input.gateId, context);
    if (gate.status !== "open") return present(gate, DECIDED_BEFORE);
    if (isOwnRun(gate.runId, context.ownRunId)) throw ownRun(gate, context);
    try {
      return await (input.approvalCode === undefined
        ? byForm(gate, input, context)
        : byCode(gate, { ...input, approvalCode: input.approvalCode }, context));
    } catch (error) {
      if (!(error instanceof TidebaseError) || error.code !== "gate_already_resolved") throw error;
      return present(await read(input.gateId, context), DECIDED_BEFORE);
    }
  },
});

const DECIDED_BEFORE = "It was decided before this call, which changed nothing.";
const DECLINED =
  "The human declined the form. The gate stays open: ask again only when they want to decide.";
const OTHERWISE = "The human decided otherwise than you proposed. That stands.";

async function read(gateId: string, { backend }: ToolContext): Promise<Gate> {
  return (await ask(backend, getGate, { gateId })).gate;
}

/** The code brings the human's answer and note along; nothing is added here. */
async function byCode(
  { digest }: Gate,
  { gateId, proposedDecision: decision, approvalCode }: Given & { approvalCode: string },
  { backend }: ToolContext,
): Promise<object> {
  const proof = { kind: "code" as const, secret: approvalCode };
  const { gate } = await ask(backend, redeemGate, { gateId, decision, digest, proof });
  return present(gate);
}

async function byForm(gate: Gate, given: Given, context: ToolContext): Promise<object> {
  const { gateId } = gate;
  if (gate.required !== "client_form" || !context.client.forms) {
    // Core is asked all the same: so every try is in its audit trail.
    await ask(context.backend, askForm, { gateId }).catch(tooWeak(gate, context));
    throw pending(gate, context, "This client shows no forms.");
  }
  const prepared = { gate }; // read anew when it is this form's turn
  const answered = await context.ask(async () => {
    const asked = await ask(context.backend, askForm, { gateId }).catch(tooWeak(gate, context));
    prepared.gate = await read(gateId, context);
    if (prepared.gate.digest !== asked.digest) throw new TidebaseError("gate_changed", { gateId });
    return formOf(prepared.gate, asked);
  });
  if (answered.action === "none") throw pending(gate, context, UNANSWERED[answered.because]);
  if (answered.action !== "accept") {
    if (answered.tookMs >= UNSEEN_MS) return presentDeclined(gate);
    throw pending(gate, context, "This client declined at once: it probably showed no form.");
  }
  const filled = readForm(answered.content, prepared.gate);
  if (filled === undefined)
    throw pending(gate, context, "This client accepted the form without filling it in.");
  const { phrase, ...deciding } = filled;
  const { digest } = prepared.gate;
  const proof = { kind: "form" as const, secret: phrase };
  const settled = await ask(context.backend, redeemGate, { gateId, digest, ...deciding, proof });
  return present(
    settled.gate,
    ...(deciding.decision === given.proposedDecision ? [] : [OTHERWISE]),
  );
}

const UNANSWERED = {
  timeout: "The human did not answer the form in time.",
  failed: "This client could not show the form.",
} as const;

/** What a gate requires may have risen since it was read. */
function tooWeak(gate: Gate, context: ToolContext): (error: unknown) => never {
  return (error) => {
    const weak = error instanceof TidebaseError && error.code === "gate_assurance_too_low";
    throw weak
      ? pending(stronger(gate), context, "This gate asks for more than a form in this client.")
      : error;
  };
}

function stronger(gate: Gate): Gate {
  return gate.required === "client_form" ? { ...gate, required: "code" } : gate;
}

/** An error, so that agents stop: only a human can go on from here. */
function pending(gate: Gate, context: ToolContext, because: string): ToolFailure {
  const { gateId, required } = gate;
  return new ToolFailure({
    code: "gate_needs_human",
    outcome: "pendingHuman",
    message: `${because} Nothing is decided; the gate is open and waits for a human.`,
    fix: 'Tell the human one of the ways; run none yourself. Then call tidebase_wait_for_run with until "gate".',
    retryable: false,
    gateId,
    required,
    ways: waysElsewhere(gate, context),
  });
}

function ownRun(gate: Gate, context: ToolContext): ToolFailure {
  return new ToolFailure({
    code: "gate_own_run",
    message: "You are executing the run that asks: whoever asks cannot answer or bring the answer.",
    fix: "Tell the human one of the ways; run none yourself.",
    retryable: false,
    gateId: gate.gateId,
    ways: waysElsewhere(gate, context, false),
  });
}

function presentDeclined({ gateId, runId }: Gate): object {
  return { gateId, runId, outcome: "declined", hints: [DECLINED] };
}

function present(gate: Gate, ...hints: string[]): object {
  const { gateId, runId, status, decidedAt, via, assurance, votes, approvals } = gate;
  const open = status === "open";
  return fit({ tokens: TOKENS.outcome, text: 300, rows: 1 }, ({ text }) => {
    const foreign = {
      ...(gate.decidedBy === null ? {} : { decidedBy: quote(gate.decidedBy, Math.min(text, 100)) }),
      ...(gate.answer === null ? {} : { answer: quoteJson(gate.answer, text) }),
      ...(gate.note === null ? {} : { note: quote(gate.note, text) }),
    };
    return {
      gateId,
      runId,
      outcome: open ? "voted" : status,
      ...optional("decidedAt", decidedAt),
      ...optional("via", viaOf(via)),
      ...optional("assurance", assurance),
      ...(approvals > 1 ? { votes, approvals } : {}),
      ...(Object.keys(foreign).length === 0 ? {} : { untrusted: untrusted(foreign) }),
      ...optional("hints", open ? [...hints, "Others must approve it too."] : hints),
    };
  });
}
