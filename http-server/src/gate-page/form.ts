import { type AnswerSchema, type Field, readField, TidebaseError, visible } from "@tidebase/core";
import { html } from "hono/html";
import type { Html } from "./layout.ts";

/** The fields of a form as they were sent. */
export type Sent = ReadonlyMap<string, string>;

const PREFIX = "answer.";
/** A text that may be longer than this gets more than one line. */
const LINE_MAX = 200;

/** The form of a gate's answer. Nothing is filled in but what this human has sent before. */
export function answerFields(schema: AnswerSchema | null, form: string, sent?: Sent): Html[] {
  return Object.entries(schema?.properties ?? {}).map(([name, field]) => {
    const [id, before] = [`${form}-${name}`, sent?.get(PREFIX + name) ?? ""];
    const required = schema?.required?.includes(name) ?? false;
    const hint = field.description === undefined ? false : visible(field.description);
    return html`<div class="field">
      <label for="${id}">${visible(field.title ?? name)} <small>${required ? "" : "optional"}</small></label>
      ${control(field, { id, name: PREFIX + name, required, before, described: hint !== false })}
      ${hint !== false && html`<p class="hint" id="${id}-hint">${hint}</p>`}
    </div>`;
  });
}

interface Control {
  readonly id: string;
  readonly name: string;
  readonly required: boolean;
  readonly before: string;
  readonly described: boolean;
}

function control(field: Field, { id, name, required, before, described }: Control): Html {
  const must = html`${required && html` required`}${described && html` aria-describedby="${id}-hint"`}`;
  if (field.type === "boolean") return select({ id, name, before }, must, ["yes", "no"]);
  if (field.type !== "string")
    return html`<input id="${id}" name="${name}" value="${before}" type="number" inputmode="${field.type === "integer" ? "numeric" : "decimal"}"
      step="${field.type === "integer" ? "1" : "any"}" autocomplete="off"${field.minimum !== undefined && html` min="${field.minimum}"`}${field.maximum !== undefined && html` max="${field.maximum}"`}${must}>`;
  if (field.enum !== undefined) return select({ id, name, before }, must, field.enum);
  const { minLength, maxLength } = field;
  const limits = html`${minLength !== undefined && html` minlength="${minLength}"`}${maxLength !== undefined && html` maxlength="${maxLength}"`}`;
  if (maxLength !== undefined && maxLength <= LINE_MAX)
    return html`<input id="${id}" name="${name}" value="${before}" autocomplete="off"${limits}${must}>`;
  return html`<textarea id="${id}" name="${name}" rows="2"${limits}${must}>
${before}</textarea>`;
}

/** Its first option is empty: what nobody chose is no answer. */
function select(
  { id, name, before }: Pick<Control, "id" | "name" | "before">,
  must: Html,
  options: readonly string[],
): Html {
  return html`<select id="${id}" name="${name}"${must}><option value=""></option>${options.map(
    (one) =>
      html`<option value="${one}"${one === before && html` selected`}>${visible(one)}</option>`,
  )}</select>`;
}

/**
 * The answer that a human has given; what was left empty is not in it. A text that means nothing to its
 * field goes on as a text, for core to refuse. Throws `input_invalid` for a field the form does not have.
 */
export function readAnswer(schema: AnswerSchema | null, sent: Sent): unknown {
  const answer: Record<string, unknown> = {};
  for (const [key, text] of sent) {
    if (!key.startsWith(PREFIX)) continue;
    const name = key.slice(PREFIX.length);
    const fields = schema?.properties ?? {};
    const field = Object.hasOwn(fields, name) ? fields[name] : undefined;
    if (field === undefined)
      throw new TidebaseError("input_invalid", {
        issues: [{ path: name, message: "is no field of the gate's form" }],
      });
    if (text !== "") answer[name] = readField(field, text) ?? text;
  }
  return schema === null ? undefined : answer;
}
