import { z } from "zod";
import { unread } from "../json-text.ts";
import { Name, StoredPayload, storable } from "../payload.ts";
import { RunId, UUID } from "../runs/schema.ts";
import { AnswerSchema } from "./answer.ts";

export const GateId = z
  .string()
  .regex(new RegExp(`^gate_${UUID}$`), "must be gate_ and a lower-case uuid")
  .describe("Id of the gate.");

export const GATE_STATUSES = ["open", "approved", "rejected", "expired", "closed"] as const;
export const GateStatus = z.enum(GATE_STATUSES);
export type GateStatus = z.output<typeof GateStatus>;

export const Decision = z.enum(["approved", "rejected"]);
export type Decision = z.output<typeof Decision>;

/** What shows that a human decided: a form's phrase, a one-time code, the token of a channel's link. */
export const ProofKind = z.enum(["form", "code", "token"]);
export type ProofKind = z.output<typeof ProofKind>;

export const Risk = z.enum(["low", "normal", "high", "critical"]);
export type Risk = z.output<typeof Risk>;

/** From the weakest to the strongest. */
export const ASSURANCES = ["client_form", "code", "signed_in"] as const;
/** How sure it is that a human decided (model.md §7). */
export const Assurance = z.enum(ASSURANCES);
export type Assurance = z.output<typeof Assurance>;

export const GateName = Name.min(1).describe("Name of the gate.");
export const GateKey = Name.default("").describe("Tells gates of one name apart.");
export const Digest = z
  .string()
  .max(100)
  .describe("Of all that the decider was shown: the gate's `digest`.");
export const Note = storable(2000).describe("Why, in the decider's words.");

/** What the approval would allow, for people who read it. */
const Capability = z.strictObject({
  name: z.string().min(1).max(200),
  scopes: z.array(z.string().min(1).max(200)).max(50).default([]),
  reason: z.string().max(2000).default(""),
});

/** What a worker asks: all of it is in the digest that the decision names. */
export const Question = z.strictObject({
  prompt: storable(4000).min(1).describe("What is asked, in one or a few sentences."),
  data: z.unknown().optional().describe("What the decision is about; JSON, shown to the decider."),
  answerSchema: AnswerSchema.optional().describe("The form to fill in with an approval."),
  capability: Capability.optional(),
  risk: Risk.default("normal").describe(
    "`high` asks for a code, `critical` for a signed-in human.",
  ),
  assurance: Assurance.default("client_form").describe("The least that is asked for."),
  approvers: z
    .array(Name.min(1))
    .min(1)
    .max(50)
    .optional()
    .describe("Names of the keys or people that may decide; default: whoever may approve."),
  approvals: z.int().min(1).max(10).default(1).describe("By so many different principals."),
  expiresInMs: z
    .int()
    .min(1000)
    .max(31_536_000_000)
    .optional()
    .describe("Undecided by then, the gate expires: not approved. Default: never."),
});
export type Question = z.output<typeof Question>;

/** A gate with its decision, if there is one. */
export const Gate = z.strictObject({
  gateId: GateId,
  runId: RunId,
  workflow: z.string(),
  name: z.string(),
  key: z.string(),
  revision: z.int().describe("Counts the contents that were asked under this name and key."),
  digest: z.string().describe("Of all that the decider relies on; a decision names it."),
  status: GateStatus,
  prompt: z.string(),
  data: StoredPayload,
  answerSchema: unread(AnswerSchema.nullable()),
  capability: unread(Capability.nullable()),
  risk: Risk,
  required: Assurance.describe("Of author, risk and server's floor, the highest."),
  approvers: unread(z.array(z.string()).nullable()),
  approvals: z.int(),
  votes: z.int().describe("Approvals so far."),
  openedAt: z.iso.datetime(),
  openedBy: z.string(),
  expiresAt: z.iso.datetime().nullable(),
  decidedAt: z.iso.datetime().nullable(),
  decidedBy: z.string().nullable(),
  via: z.string().nullable().describe("How the decider was known."),
  assurance: Assurance.nullable().describe("Of the decision."),
  answer: StoredPayload,
  note: z.string().nullable(),
});
export type Gate = z.output<typeof Gate>;

/** One line of the inbox. */
export const GateSummary = Gate.pick({
  gateId: true,
  runId: true,
  workflow: true,
  name: true,
  key: true,
  status: true,
  prompt: true,
  risk: true,
  required: true,
  approvals: true,
  votes: true,
  openedAt: true,
  expiresAt: true,
  decidedAt: true,
  decidedBy: true,
});
export type GateSummary = z.output<typeof GateSummary>;

/** A decision as it is sent. */
export const Deciding = z.strictObject({
  gateId: GateId,
  decision: Decision,
  digest: Digest,
  answer: z.unknown().optional().describe("The filled-in form, with an approval."),
  note: Note.optional(),
});
