import type { ElicitRequestFormParams, ElicitResult } from "@modelcontextprotocol/sdk/types.js";
import { operationNamed, type TestDatabase } from "../../core/test/support/database.ts";
import type { AnswerForm } from "./support.ts";

type Json = Record<string, unknown>;

/** A human at a terminal of this machine. */
const ADA = { name: "ada", scopes: ["read", "approve"], via: "tty" } as const;

export interface OpenGate {
  readonly gateId: string;
  readonly runId: string;
  /** Asks under the same name with this content. */
  ask(question: Json): Promise<string>;
}

/** A gate of a run that is being worked on. */
export async function openGate(db: TestDatabase, question: Json = {}): Promise<OpenGate> {
  const lease = await db.begun();
  const ask = async (content: Json): Promise<string> => {
    const { gate } = await db.call("gates.open", {
      ...{ ...lease, name: "send-report", prompt: "Send the report?", ...content },
    });
    return String((gate as Json)["gateId"]);
  };
  return { gateId: await ask(question), runId: lease.runId, ask };
}

/** The gate as it is stored. */
export async function gateOf(db: TestDatabase, gateId: string): Promise<Json> {
  return (await db.call("gates.get", { gateId }))["gate"] as Json;
}

/** A one-time code, as a human at a terminal gets it. */
export async function codeFor(
  db: TestDatabase,
  gateId: string,
  decision: "approved" | "rejected" = "approved",
  name = "ada",
  more: object = {},
): Promise<string> {
  const issued = await db.core.execute(
    operationNamed("gates.code"),
    { gateId, decision, ...more },
    { ...ADA, name },
  );
  return String((issued as Json)["code"]);
}

/** The decision of a human at a terminal. */
export async function decide(
  db: TestDatabase,
  gateId: string,
  decision: "approved" | "rejected",
): Promise<void> {
  const { digest } = await gateOf(db, gateId);
  await db.core.execute(operationNamed("gates.resolve"), { gateId, decision, digest }, ADA);
}

/** The phrase that a form asks its reader to type. */
export function phraseIn({ message }: ElicitRequestFormParams): string {
  return /type (\S+) as the phrase/.exec(message)?.[1] ?? "";
}

/** Stands in for the client and its human; each test says what they answer. */
export interface Human {
  readonly answerForm: AnswerForm;
  /** The forms shown, the latest last. */
  readonly forms: ElicitRequestFormParams[];
  will(answer: AnswerForm): void;
  /** Reads, decides and types the phrase. */
  fillsIn(content: Json): void;
}

export function newHuman(): Human {
  const forms: ElicitRequestFormParams[] = [];
  let next: AnswerForm = () => ({ action: "decline" });
  const will = (answer: AnswerForm): void => {
    next = answer;
  };
  return {
    forms,
    will,
    answerForm(form) {
      forms.push(form);
      return next(form);
    },
    fillsIn: (content) =>
      will((form) => {
        const filled = { phrase: phraseIn(form), ...content };
        return { action: "accept", content: filled as ElicitResult["content"] };
      }),
  };
}
