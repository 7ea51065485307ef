import { plainJson } from "../encoding/plain-json.ts";
import type { Operations } from "../operations.gen.ts";
import { type Duration, milliseconds } from "../waits/duration.ts";

type Open = Operations["gates.open"]["input"];
type Asked = Omit<Open, "runId" | "epoch" | "grantId" | "name">;

/** A field of the form: a text, a choice (`enum`), a number or a yes/no. */
export interface AnswerField {
  readonly type: "string" | "number" | "integer" | "boolean";
  readonly title?: string;
  readonly description?: string;
  readonly enum?: readonly string[];
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
}

/** What a human is asked. All of it is in the digest that the decision names. */
export interface Question {
  /** Tells gates of one name apart. A new question needs a new key, once the old one is decided. */
  readonly key?: string;
  /** What is asked, in one or a few sentences. */
  readonly prompt: string;
  /** What the decision is about: plain JSON, shown to the decider. */
  readonly data?: unknown;
  /** The form to fill in with an approval: the JSON Schema of a flat object. */
  readonly answerSchema?: {
    readonly type: "object";
    readonly properties: Readonly<Record<string, AnswerField>>;
    readonly required?: readonly string[];
  };
  /** What the approval would allow, for people who read it. */
  readonly capability?: {
    readonly name: string;
    readonly scopes?: readonly string[];
    readonly reason?: string;
  };
  /** `high` asks for a one-time code, `critical` for a signed-in human. Default `normal`. */
  readonly risk?: "low" | "normal" | "high" | "critical";
  /** The least that is asked for, whatever the risk. Default `client_form`. */
  readonly assurance?: "client_form" | "code" | "signed_in";
  /** Names of the keys or people that may decide. Default: whoever may approve. */
  readonly approvers?: readonly string[];
  /** So many different people have to approve; one rejection decides. Default 1. */
  readonly approvals?: number;
  /** Undecided by then it counts as not approved; from 1 s to a year. Default: never. */
  readonly expiresIn?: Duration;
}

/** The question as it is sent. Throws `gate_not_json` and `input_invalid` before anything is. */
export function question(name: string, { expiresIn, data, ...rest }: Question): Asked {
  const what = `run.gate(${JSON.stringify(name)}, …)`;
  return {
    ...rest,
    ...(data !== undefined && { data: plainJson(data, "gate_not_json", `\`data\` of ${what}`) }),
    ...(expiresIn !== undefined && { expiresInMs: milliseconds(expiresIn, what) }),
  };
}
