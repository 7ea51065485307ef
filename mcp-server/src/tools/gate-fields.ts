import { ASSURANCES, GATE_STATUSES } from "@tidebase/core";
import { z } from "zod";
import { Age, age, Instant } from "../answers/time.ts";
import { quote } from "../answers/untrusted.ts";
import { optional } from "./run-fields.ts";

const GATE_ID = /^gate_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** As core makes it; checked as a run's id is. */
export const GateId = z
  .string()
  .max(41)
  .refine((text) => GATE_ID.test(text), "must be gate_ and a lower-case uuid");

export const GateStatus = z.enum(GATE_STATUSES);

/** What every answer about a gate says of it in our words. */
export const gateFields = {
  gateId: z.string(),
  runId: z.string(),
  status: GateStatus,
  risk: z.enum(["low", "normal", "high", "critical"]),
  required: z.enum(ASSURANCES).describe("How sure it must be that a human decides."),
  approvals: z.int().optional().describe("So many different people must approve."),
  votes: z.int().optional().describe("Have approved so far."),
  openedAt: Instant,
  age: Age,
  expiresAt: Instant.optional(),
  decidedAt: Instant.optional(),
};

/** What every answer about a gate says of it in the words of others. */
export const foreignGateFields = {
  gateId: z.string(),
  workflow: z.string(),
  name: z.string(),
  key: z.string().optional(),
  prompt: z.string(),
  decidedBy: z.string().optional(),
};

interface Gate {
  readonly gateId: string;
  readonly runId: string;
  readonly workflow: string;
  readonly name: string;
  readonly key: string;
  readonly status: (typeof GATE_STATUSES)[number];
  readonly prompt: string;
  readonly risk: "low" | "normal" | "high" | "critical";
  readonly required: (typeof ASSURANCES)[number];
  readonly approvals: number;
  readonly votes: number;
  readonly openedAt: string;
  readonly expiresAt: string | null;
  readonly decidedAt: string | null;
  readonly decidedBy: string | null;
}

/** The members of `gateFields`. */
export function ofGate(gate: Gate): z.output<z.ZodObject<typeof gateFields>> {
  const { gateId, runId, status, risk, required, approvals, votes, openedAt } = gate;
  return {
    gateId,
    runId,
    status,
    risk,
    required,
    ...(approvals > 1 ? { approvals, votes } : {}),
    openedAt,
    age: age(openedAt),
    ...optional("expiresAt", gate.expiresAt),
    ...optional("decidedAt", gate.decidedAt),
  };
}

const NAME_LENGTH = 100;

/** The members of `foreignGateFields`; `text` caps the prompt. */
export function foreignOfGate(
  { gateId, workflow, name, key, prompt, decidedBy }: Gate,
  text: number,
): z.output<z.ZodObject<typeof foreignGateFields>> {
  const short = Math.min(text, NAME_LENGTH);
  return {
    gateId,
    workflow: quote(workflow, short),
    name: quote(name, short),
    ...(key === "" ? {} : { key: quote(key, short) }),
    prompt: quote(prompt, text),
    ...(decidedBy === null ? {} : { decidedBy: quote(decidedBy, short) }),
  };
}

/** A word of ours that core recorded, such as `form` or the id of a key; any other is not shown. */
export function viaOf(via: string | null): string | null {
  return via !== null && /^[a-z]{1,20}(_[0-9a-f-]{36})?$/.test(via) ? via : null;
}

/** Whether the client itself is executing the run, whose questions are not its to answer. */
export function isOwnRun(runId: string, ownRunId: string | undefined): boolean {
  return ownRunId !== undefined && ownRunId.trim().toLowerCase() === runId;
}
