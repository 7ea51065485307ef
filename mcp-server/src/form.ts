/** A question to the human, as every MCP client that knows forms can show it. */
export interface Form {
  readonly message: string;
  readonly properties: Readonly<Record<string, FormField>>;
  readonly required: readonly string[];
  /** When an answer decides nothing any more, by the store's clock. */
  readonly expiresAt: string;
}

/** The subset of JSON Schema that forms are made of; never a `default`: nobody answers by doing nothing. */
export interface FormField {
  readonly type: "string" | "number" | "integer" | "boolean";
  readonly title: string;
  readonly description?: string;
  readonly enum?: readonly string[];
  /** What the human reads in place of each of `enum`. */
  readonly enumNames?: readonly string[];
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
}

/** What came back. An accepted form's content is whatever the client sent: nothing of it is checked. */
export type FormAnswer =
  | {
      readonly action: "accept";
      readonly content: Readonly<Record<string, unknown>>;
    }
  | {
      readonly action: "decline" | "cancel";
      /** How long the client took, in milliseconds. */
      readonly tookMs: number;
    }
  | {
      readonly action: "none";
      readonly because: "timeout" | "failed";
    };
