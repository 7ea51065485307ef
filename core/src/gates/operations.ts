import { v7 as uuid } from "uuid";
import { z } from "zod";
import { assuranceOf, principalOf } from "../access/rules.ts";
import { hashSecret } from "../access/secrets.ts";
import { pageOf, readCursor } from "../cursor.ts";
import type { Database } from "../database.ts";
import type { TidebaseError } from "../errors.ts";
import { payloadText } from "../json-text.ts";
import { Lease, REFUSALS } from "../leases/schema.ts";
import type { Limits } from "../limits.ts";
import { type Actor, operation } from "../operation.ts";
import { checkPayload, Name } from "../payload.ts";
import { RunId } from "../runs/schema.ts";
import { type Authority, DECIDE_ERRORS, decide, problemsOf } from "./decide.ts";
import { ISSUE_ERRORS, issueProof, whyNot } from "./proofs.ts";
import * as rules from "./rules.ts";
import {
  Deciding,
  Decision,
  Digest,
  GATE_STATUSES,
  Gate,
  GateId,
  GateKey,
  GateName,
  GateSummary,
  Note,
  ProofKind,
  Question,
} from "./schema.ts";
import * as gates from "./sql.ts";

/*
 * open → approved | rejected (decided once, a trigger refuses all else), expired (its time is over), closed (its run is final).
 * An open gate asked with other content is its next revision: whatever was issued for the old one is void.
 * Who decided, and how sure that is, comes from how the caller is known or from a proof kept here; never from the input.
 */

export const openGate = operation({
  name: "gates.open",
  summary: "Ask a human; the same question again finds the gate and its decision.",
  route: "POST /v1/runs/:runId/gates",
  effect: "write",
  scope: "work",
  fenced: true,
  because: "Only the holder speaks for the run.",
  input: z.strictObject({ ...Lease.shape, name: GateName, key: GateKey, ...Question.shape }),
  output: z.strictObject({ gate: Gate }),
  errors: [...REFUSALS, "payload_too_large", "gate_mismatch"],
  async run(context, { runId, epoch, grantId, name, key, ...question }) {
    const { db, actor, limits, fail } = context;
    const data = payloadText(question.data);
    checkPayload("data", [data], context);
    const [row] = await db.batch(gates.open, [
      {
        ...{ runId, epoch, grantId, name, key, ...question, data },
        gateId: `gate_${uuid()}`,
        digest: rules.digestOf(question),
        required: rules.requiredOf(question),
        openedBy: actor.name,
        principal: principalOf(actor),
      },
    ]);
    if (row === undefined) throw fail("run_not_found", { runId });
    if (!("gateId" in row)) throw fail(row.outcome, { runId });
    const { outcome, gateId } = row;
    if (outcome === "gate_mismatch") throw fail(outcome, { runId, gateId, name, key });
    if (outcome !== "found" || gateId === null)
      throw fail(outcome === "found" ? "run_not_found" : outcome, { runId });
    return { gate: await db.one(gates.get, { gateId, gateFloor: limits.gateFloor }) };
  },
});

export const getGate = operation({
  name: "gates.get",
  summary: "One gate in full: what is asked, and how it was decided.",
  route: "GET /v1/gates/:gateId",
  effect: "read",
  scope: "read",
  fenced: false,
  because: "It only reads.",
  input: z.strictObject({ gateId: GateId }),
  output: z.strictObject({ gate: Gate }),
  errors: ["gate_not_found"],
  run: async ({ db, limits, fail }, { gateId }) => ({
    gate: await found(db, limits, gateId, () => fail("gate_not_found", { gateId })),
  }),
});

const Filters = z.strictObject({
  status: z.enum([...GATE_STATUSES, "any"]).default("open"),
  runId: RunId.optional(),
  name: GateName.optional(),
  key: Name.optional(),
  workflow: Name.min(1).optional(),
});

export const listGates = operation({
  name: "gates.list",
  summary: "The inbox: open gates across runs, oldest first; or decided ones.",
  route: "GET /v1/gates",
  effect: "read",
  scope: "read",
  fenced: false,
  because: "It only reads.",
  input: Filters.extend({
    limit: z.coerce.number().int().min(1).max(200).default(50),
    cursor: z.string().max(500).optional().describe("`nextCursor` of the page before."),
  }),
  output: z.strictObject({ gates: z.array(GateSummary), nextCursor: z.string().nullable() }),
  errors: ["cursor_invalid"],
  async run({ db, limits, fail }, { cursor, limit, ...filters }) {
    const after = cursor === undefined ? undefined : readCursor(cursor, filters);
    if (after === "invalid") throw fail("cursor_invalid");
    const rows = await db.many(filters.runId === undefined ? gates.list : gates.listOfRun, {
      ...filters,
      statuses: filters.status === "any" ? GATE_STATUSES : [filters.status],
      gateFloor: limits.gateFloor,
      afterAt: after?.[0],
      afterId: after?.[1],
      limit: limit + 1,
    });
    const { page, nextCursor } = pageOf(rows, ({ gateId }) => gateId, { limit, filters });
    return { gates: page, nextCursor };
  },
});

export const resolveGate = operation({
  name: "gates.resolve",
  summary:
    "Decide, as a human who is known: with a key that may approve, on the page, at a terminal.",
  route: "POST /v1/gates/:gateId/resolve",
  effect: "write",
  scope: "approve",
  fenced: false,
  because: "A human's act, never the holder's: whoever holds or opened the run's key is refused.",
  input: Deciding,
  output: z.strictObject({ gate: Gate }),
  errors: [...DECIDE_ERRORS, "gate_needs_human"],
  run: (context, deciding) => decide(context, deciding, ofActor(context.actor)),
});

export const redeemGate = operation({
  name: "gates.redeem",
  summary:
    "Bring a human's decision with its proof: a one-time code, a link's token, or a filled-in form.",
  route: "POST /v1/gates/:gateId/redeem",
  effect: "write",
  scope: "operate",
  fenced: false,
  because: "The caller is a courier: the proof, issued to a human, decides.",
  input: Deciding.extend({
    proof: z.strictObject({
      kind: ProofKind,
      secret: z.string().min(1).max(200).describe("The typed phrase, the code or the token."),
    }),
  }),
  output: z.strictObject({ gate: Gate }),
  errors: [...DECIDE_ERRORS, "gate_code_invalid"],
  run: (context, { proof, ...deciding }) =>
    decide(context, deciding, {
      name: context.actor.name,
      principal: principalOf(context.actor),
      via: proof.kind,
      proofKind: proof.kind,
      secretHash: hashSecret(
        deciding.gateId,
        proof.kind === "code" ? rules.readCode(proof.secret) : proof.secret,
      ),
    }),
});

export const askForm = operation({
  name: "gates.form",
  summary:
    "Begin to ask a human by a form: the phrase they have to type, good once, for five minutes.",
  route: "POST /v1/gates/:gateId/form",
  effect: "write",
  scope: "operate",
  fenced: false,
  because: "It decides nothing; a form is the weakest proof, and a gate may ask for more.",
  input: z.strictObject({ gateId: GateId }),
  output: z.strictObject({ phrase: z.string(), digest: Digest, expiresAt: z.iso.datetime() }),
  errors: ["gate_not_found", "gate_assurance_too_low", ...ISSUE_ERRORS],
  async run({ db, actor, limits, fail }, { gateId }) {
    const gate = await found(db, limits, gateId, () => fail("gate_not_found", { gateId }));
    if (gate.required !== "client_form")
      throw fail("gate_assurance_too_low", { gateId, required: gate.required });
    const phrase = rules.newPhrase();
    const issued = await issueProof(db, {
      ...{ gateId, digest: gate.digest, kind: "form", secret: phrase, lastsMs: rules.FORM_MS },
      issuedBy: actor.name,
      principal: principalOf(actor),
    });
    if (issued?.expiresAt == null) throw await whyNot(db, gate, fail);
    return { phrase, digest: gate.digest, expiresAt: issued.expiresAt };
  },
});

export const issueCode = operation({
  name: "gates.code",
  summary: "A one-time code for one decision, for a human who is known; the older one is void.",
  route: "POST /v1/gates/:gateId/code",
  effect: "write",
  scope: "approve",
  fenced: false,
  because: "It decides nothing by itself; whoever holds or opened the run's key is refused.",
  input: z.strictObject({
    gateId: GateId,
    decision: Decision,
    digest: Digest.optional().describe("Refused when the gate asks something else by now."),
    answer: z.unknown().optional().describe("The filled-in form, which the code brings along."),
    note: Note.optional(),
  }),
  output: z.strictObject({ code: z.string(), decision: Decision, expiresAt: z.iso.datetime() }),
  errors: [
    "gate_not_found",
    "gate_needs_human",
    "gate_own_run",
    "gate_assurance_too_low",
    "gate_answer_invalid",
    "payload_too_large",
    ...ISSUE_ERRORS,
  ],
  async run(context, { gateId, decision, digest, answer, note }) {
    const { db, actor, limits, fail } = context;
    if (assuranceOf(actor) === undefined) throw fail("gate_needs_human", { gateId });
    const gate = await found(db, limits, gateId, () => fail("gate_not_found", { gateId }));
    const principal = principalOf(actor);
    const asked = await db.maybe(gates.asked, { gateId });
    if (asked === undefined) throw fail("gate_not_found", { gateId });
    if (principal !== undefined && asked.own.includes(principal))
      throw fail("gate_own_run", { gateId });
    if (gate.required === "signed_in")
      throw fail("gate_assurance_too_low", { gateId, required: gate.required });
    const text = payloadText(answer);
    checkPayload("answer", [text], context);
    const problems = problemsOf(gate, { decision, answer });
    if (problems.length > 0) throw fail("gate_answer_invalid", { gateId, problems });
    const code = rules.newCode();
    const shown = { gateId, digest: digest ?? gate.digest };
    const issued = await issueProof(db, {
      ...{ ...shown, kind: "code", secret: code, decision, answer: text, note },
      ...{ issuedBy: actor.name, principal, lastsMs: rules.CODE_MS },
    });
    if (issued?.expiresAt == null) throw await whyNot(db, shown, fail);
    return { code, decision, expiresAt: issued.expiresAt };
  },
});

export const extendGate = operation({
  name: "gates.extend",
  summary: "Give an open gate another end: so long from now; 0 ends it now.",
  route: "POST /v1/gates/:gateId/extend",
  effect: "write",
  scope: "approve",
  fenced: false,
  because: "An approver's act on a question that nobody has decided.",
  input: z.strictObject({ gateId: GateId, expiresInMs: z.int().min(0).max(31_536_000_000) }),
  output: z.strictObject({ gate: Gate }),
  errors: ["gate_not_found", "gate_already_resolved", "gate_needs_human"],
  async run({ db, actor, limits, fail }, { gateId, expiresInMs }) {
    if (assuranceOf(actor) === undefined) throw fail("gate_needs_human", { gateId });
    const row = await db.maybe(gates.extend, { gateId, expiresInMs });
    const gate = await found(db, limits, gateId, () => fail("gate_not_found", { gateId }));
    if (row?.outcome !== "extended")
      throw fail("gate_already_resolved", { gateId, gateStatus: gate.status });
    return { gate };
  },
});

/** A caller that the transport itself knows. */
function ofActor(actor: Actor): Authority {
  return {
    name: actor.name,
    principal: principalOf(actor),
    via: actor.via,
    assurance: assuranceOf(actor),
  };
}

async function found(
  db: Database,
  { gateFloor }: Limits,
  gateId: string,
  missing: () => TidebaseError,
): Promise<Gate> {
  const gate = await db.maybe(gates.get, { gateId, gateFloor });
  if (gate === undefined) throw missing();
  return gate;
}
