import type { AnswerSchema, getGate, listGates } from "@tidebase/core";
import { kindOf } from "./answer-form.ts";
import {
  type Cell,
  clipped,
  facts,
  type Paint,
  plain,
  plainDocument,
  seconds,
  table,
  tidebaseLine,
} from "./output.ts";
import type { Answer, Read } from "./run-text.ts";

/** A gate with its payloads as values. */
export type ReadGate = Read<Answer<typeof getGate>>["gate"];

const STATUS_COLOURS = {
  open: "yellow",
  approved: "green",
  rejected: "red",
  expired: "dim",
  closed: "dim",
} as const;

const RISK_COLOURS = { low: "dim", normal: "cyan", high: "yellow", critical: "red" } as const;

const NEEDS = {
  client_form: "a form, a one-time code, a terminal, or somebody signed in",
  code: "a one-time code, a terminal, or somebody signed in",
  signed_in: "somebody signed in: on the page, or with a key that may approve",
} as const;

/** `gates list`. */
export function gatesText(paint: Paint, { gates }: Answer<typeof listGates>): string {
  if (gates.length === 0) return "No gates.\n";
  const rows = gates.map((gate): Cell[] => [
    gate.gateId,
    gate.workflow,
    nameOf(gate),
    [STATUS_COLOURS[gate.status], gate.status],
    [RISK_COLOURS[gate.risk], gate.risk],
    gate.required,
    seconds(gate.openedAt),
    gate.decidedBy ?? "",
    clipped(gate.prompt, 80),
  ]);
  const head = [
    "GATE",
    "WORKFLOW",
    "NAME",
    "STATUS",
    "RISK",
    "NEEDS",
    "OPENED",
    "DECIDED BY",
    "QUESTION",
  ];
  return table(paint, head, rows);
}

/** `gates show`: the question and what became of it. */
export function gateText(paint: Paint, gate: ReadGate): string {
  const { gateId, status } = gate;
  const open = status === "open";
  const signedIn = gate.required === "signed_in";
  return (
    questionText(paint, gate) +
    facts(paint, [
      ["status", paint(STATUS_COLOURS[status], status)],
      ["votes", gate.approvals === 1 ? undefined : `${gate.votes} of ${gate.approvals}`],
      ["decided", gate.decidedAt === null ? undefined : decidedLine(gate)],
      ["answer", gate.answer === null ? undefined : plain(JSON.stringify(gate.answer))],
      ["note", gate.note === null ? undefined : plain(gate.note)],
      [
        "decide it",
        open && !signedIn
          ? `${tidebaseLine(["gates", "decide", gateId, "--approve"])} (or --reject)`
          : undefined,
      ],
      ["decide it", open && signedIn ? tidebaseLine(["gates", "open", gateId]) : undefined],
    ])
  );
}

/** All that the decider relies on; what matters most comes last, next to where one types. */
export function questionText(paint: Paint, gate: ReadGate): string {
  const { data, approvers, approvals, workflow, runId } = gate;
  const capability = gate.capability as { name: string; scopes: string[]; reason: string } | null;
  const who = (approvers as string[] | null)?.join(", ") ?? "whoever may approve";
  const document = data === null ? "" : `${paint("dim", "data")}\n${plainDocument(data)}\n`;
  return (
    document +
    facts(paint, [
      ["gate", `${gate.gateId}  ${paint("bold", plain(nameOf(gate)))}, revision ${gate.revision}`],
      ["run", `${runId}  ${plain(workflow)}`],
      ["asked by", plain(`${gate.openedBy}, ${seconds(gate.openedAt)}`)],
      ["allows", capability === null ? undefined : plain(capabilityLine(capability))],
      ...formLines(gate.answerSchema as AnswerSchema | null),
      ["approvers", plain(approvals === 1 ? who : `${who}; ${approvals} different ones`)],
      ["expires", gate.expiresAt === null ? "never" : seconds(gate.expiresAt)],
      ["needs", NEEDS[gate.required]],
      ["risk", paint(RISK_COLOURS[gate.risk], gate.risk)],
      ["digest", plain(gate.digest)],
      ["question", paint("bold", plain(gate.prompt))],
    ])
  );
}

function formLines(schema: AnswerSchema | null): [string, string][] {
  return Object.entries(schema?.properties ?? {}).map(([name, field]) => {
    const must = schema?.required?.includes(name) === true ? "required" : "may be left out";
    const title = field.title === undefined ? "" : ` (${field.title})`;
    return ["form", plain(`${name}${title}: ${kindOf(field)}; ${must}`)];
  });
}

function capabilityLine({
  name,
  scopes,
  reason,
}: {
  name: string;
  scopes: string[];
  reason: string;
}): string {
  const what = scopes.length === 0 ? name : `${name} [${scopes.join(", ")}]`;
  return reason === "" ? what : `${what}: ${reason}`;
}

function decidedLine({ decidedAt, decidedBy, via, assurance }: ReadGate): string {
  if (decidedBy === null) return seconds(decidedAt);
  return plain(
    `${seconds(decidedAt)} by ${decidedBy} (${[via, assurance].filter(Boolean).join(", ")})`,
  );
}

/** `gates decide`: what the gate is now. */
export function decidedText(paint: Paint, gate: ReadGate): string {
  const { gateId, status, votes, approvals } = gate;
  if (status === "open")
    return `Your approval counts: ${votes} of ${approvals}. ${gateId} is still open.\n`;
  return `${gateId} is ${paint(STATUS_COLOURS[status], status)}: ${decidedLine(gate)}\n`;
}

/** `name`, or `name [key]`; as it was given. */
function nameOf({ name, key }: { name: string; key: string }): string {
  return key === "" ? name : `${name} [${key}]`;
}
