import { type AnswerSchema, type Field, readField } from "@tidebase/core";
import { CommandError, UsageError } from "./failure.ts";
import { plain } from "./output.ts";
import type { Terminal } from "./terminal.ts";

/** A form's answer by the names of its fields. */
export type Answer = Record<string, unknown>;

/** The answer that `--set name=value` spell out. Throws UsageError for what the form does not have. */
export function answerOf(schema: AnswerSchema | null, settings: readonly string[]): Answer {
  return Object.fromEntries(
    settings.map((setting) => {
      const [, name = "", text = ""] = /^([^=]+)=(.*)$/s.exec(setting) ?? [];
      if (name === "")
        throw new UsageError(`--set ${setting} has no name.`, "Write --set name=value.");
      const field =
        schema !== null && Object.hasOwn(schema.properties, name) && schema.properties[name];
      if (!field) throw new UsageError(`The form has no ${name}.`, `It has ${fieldNames(schema)}.`);
      const read = readField(field, text);
      if (read === undefined)
        throw new UsageError(`--set ${setting} does not fit.`, `${name} is ${kindOf(field)}.`);
      return [name, read];
    }),
  );
}

function fieldNames(schema: AnswerSchema | null): string {
  const names = Object.keys(schema?.properties ?? {});
  return names.length === 0 ? "no fields at all" : names.join(", ");
}

/** The required fields that an answer lacks, in the form's order. */
export function missingFields(
  { properties, required = [] }: AnswerSchema,
  given: Answer,
): (readonly [name: string, field: Field])[] {
  return required.flatMap((name) => {
    const field = properties[name];
    return field === undefined || Object.hasOwn(given, name) ? [] : [[name, field] as const];
  });
}

/**
 * Asks for every required field that is missing; nothing is filled in for the human. Throws
 * `not_decided` for one that is left empty.
 */
export async function askFields(
  { ask, note }: Terminal,
  schema: AnswerSchema,
  given: Answer,
): Promise<Answer> {
  const answer = { ...given };
  for (const [name, field] of missingFields(schema, given)) {
    if (field.description !== undefined) note(plain(field.description));
    answer[name] = await askField({ ask, note }, name, field);
  }
  return answer;
}

async function askField(
  { ask, note }: Pick<Terminal, "ask" | "note">,
  name: string,
  field: Field,
): Promise<unknown> {
  const title = field.title === undefined ? name : `${name}, ${field.title}`;
  for (;;) {
    const typed = await ask(plain(`${title} (${kindOf(field)}): `));
    if (typed === "") throw notDecided(`${name} was left empty.`);
    const read = readField(field, typed);
    if (read !== undefined) return read;
    note(plain(`It must be ${kindOf(field)}.`));
  }
}

/** The end of a decision that the human did not go through with. */
export function notDecided(why: string): CommandError {
  return new CommandError("not_decided", {
    message: `Nothing was decided: ${why}`,
    fix: "Run the command again when you want to decide.",
  });
}

/** What the field takes, in words. */
export function kindOf(field: Field): string {
  if (field.type === "boolean") return "yes or no";
  if (field.type === "string") {
    if (field.enum !== undefined) return `one of ${field.enum.join(", ")}`;
    const { minLength: least, maxLength: most } = field;
    const limits = [
      ...(least === undefined ? [] : [`at least ${least}`]),
      ...(most === undefined ? [] : [`at most ${most}`]),
    ];
    return limits.length === 0 ? "text" : `text of ${limits.join(" and ")} characters`;
  }
  const { minimum, maximum } = field;
  const kind = field.type === "integer" ? "a whole number" : "a number";
  const from = minimum === undefined ? "" : `, ${minimum} or more`;
  return `${kind}${from}${maximum === undefined ? "" : `, ${maximum} or less`}`;
}
