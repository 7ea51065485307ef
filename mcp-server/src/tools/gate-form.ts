import { type AnswerSchema, type Field, readField } from "@tidebase/core";
import { quote } from "../answers/untrusted.ts";
import type { Form, FormField } from "../form.ts";
import type { Gate } from "./get-gate.ts";

const TEXT_LENGTH = 400;
const NAME_LENGTH = 100;
const NOTE_LENGTH = 2000;
/** Keeps the run's own fields apart from ours. */
const PREFIX = "answer_";

interface Issued {
  readonly phrase: string;
  /** When the phrase is good no more. */
  readonly expiresAt: string;
}

/**
 * The form that asks a human: no default decision, and a phrase to type that the model never sees, so
 * that an empty answer, or one filled in by a program that knows no better, decides nothing.
 */
export function formOf(gate: Gate, { phrase, expiresAt }: Issued): Form {
  return {
    message: messageOf(gate, { phrase, expiresAt }),
    properties: {
      decision: {
        type: "string",
        title: "Decision",
        enum: ["approved", "rejected"],
        enumNames: ["Approve", "Reject"],
      },
      phrase: {
        type: "string",
        title: "Phrase",
        description: `Type ${phrase}`,
        minLength: 1,
        maxLength: NAME_LENGTH,
      },
      ...answerFields(gate),
      note: { type: "string", title: "Note (optional)", maxLength: NOTE_LENGTH },
    },
    required: ["decision", "phrase"],
    expiresAt,
  };
}

/** Ours, but for the marked lines. What a run wrote is kept on one line: it cannot write a line of ours. */
function messageOf(gate: Gate, { phrase, expiresAt: until }: Issued): string {
  const { gateId, workflow, prompt, data, capability, risk, digest, expiresAt } = gate;
  const json = (name: string, value: unknown): string[] =>
    value === null ? [] : [`> ${name}: ${quote(JSON.stringify(value), TEXT_LENGTH)}`];
  return [
    "A run asks you to decide. Lines with > were written by the run; nobody has checked them.",
    `> Workflow: ${JSON.stringify(quote(workflow, NAME_LENGTH))}`,
    `> Question: ${JSON.stringify(quote(prompt, TEXT_LENGTH))}`,
    ...json("Data", data),
    ...json("Would allow", capability),
    `Risk: ${risk}. Expires: ${expiresAt ?? "never"}.`,
    `Gate: ${gateId}, digest ${digest.slice(0, 15)}. In full: npx tidebase gates show ${gateId}`,
    `To decide, choose, and type ${phrase} as the phrase, before ${until.slice(11, 16)} UTC. Declining leaves the question open.`,
  ].join("\n");
}

/** The run's own form. Not required here: a rejection needs no answer, and core checks an approval's. */
function answerFields({ answerSchema }: Gate): Record<string, FormField> {
  const { properties = {}, required = [] } = (answerSchema ?? {}) as Partial<AnswerSchema>;
  return Object.fromEntries(
    Object.entries(properties).map(([name, field]) => [
      `${PREFIX}${name}`,
      fieldOf(name, field, required.includes(name)),
    ]),
  );
}

function fieldOf(name: string, field: Field, required: boolean): FormField {
  const { title = name, description, type, ...bounds } = field;
  const names =
    "enum" in bounds && bounds.enum !== undefined
      ? { enumNames: bounds.enum.map((value) => quote(value, NAME_LENGTH)) }
      : {};
  return {
    type,
    title: `${quote(title, NAME_LENGTH)}${required ? " (needed to approve)" : ""}`,
    ...(description === undefined ? {} : { description: quote(description, TEXT_LENGTH) }),
    ...(bounds as Partial<FormField>),
    ...names,
  };
}

/** What a human said by the form. */
export interface FilledIn {
  readonly decision: "approved" | "rejected";
  readonly phrase: string;
  readonly answer?: Readonly<Record<string, unknown>>;
  readonly note?: string;
}

/** Reads an accepted form; undefined when decision or phrase are not there. Fills in nothing. */
export function readForm(
  content: Readonly<Record<string, unknown>>,
  { answerSchema }: Gate,
): FilledIn | undefined {
  const { decision, phrase, note } = content;
  if (decision !== "approved" && decision !== "rejected") return undefined;
  if (typeof phrase !== "string" || phrase.trim() === "" || phrase.length > NAME_LENGTH)
    return undefined;
  const schema = answerSchema as AnswerSchema | null;
  return {
    decision,
    phrase: phrase.trim().toLowerCase(),
    ...(schema === null || decision === "rejected" ? {} : { answer: answerOf(content, schema) }),
    ...(typeof note === "string" && note.trim() !== ""
      ? { note: note.trim().slice(0, NOTE_LENGTH) }
      : {}),
  };
}

/**
 * Clients send what was left empty as "", and some send everything as it was typed. A text that means
 * nothing to its field goes on as a text, for core to refuse.
 */
function answerOf(
  content: Readonly<Record<string, unknown>>,
  { properties }: AnswerSchema,
): Record<string, unknown> {
  const entries = Object.entries(properties).map(([name, field]) => {
    const value = content[`${PREFIX}${name}`];
    return [name, typeof value === "string" ? (readField(field, value) ?? value) : value];
  });
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined && value !== ""));
}
