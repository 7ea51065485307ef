import pg from "pg";
import { JsonText, payloadText } from "./json-text.ts";

const UUID_ARRAY = 2951;
const { INT8, JSONB, TIMESTAMPTZ, UUID } = pg.types.builtins;

/** Columns and parameters of these names hold JSON text in every table and statement. */
const PAYLOADS = new Set([
  "input",
  "input_meta",
  "output",
  "output_meta",
  "result",
  "result_meta",
  "metadata",
  "error",
  "contract",
  "body",
  "target",
  "holder",
  "resume_hint",
  "orphaned",
  "journal",
  "unfinished",
  "events",
  "labels",
  "attention",
  "data",
  "answer_schema",
  "capability",
  "approvers",
  "answer",
  "payload",
]);

/** `run_id` → `runId`: the one place where SQL's names become TypeScript's. */
function camel(name: string): string {
  return name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

/** A parameter of a statement: where its value stands in the input, and the turn it needs. */
export interface Parameter {
  readonly name: string;
  write(value: unknown): unknown;
}

/** Writes a parameter by its name: ids lose their noun (`run_0190…`), payloads become JSON text. */
export function parameter(name: string): Parameter {
  return { name: camel(name), write: writer(name) };
}

function writer(name: string): Parameter["write"] {
  if (PAYLOADS.has(name)) return jsonOf;
  if (name.endsWith("_id")) return (id) => (id === undefined ? null : bare(id));
  if (name.endsWith("_ids"))
    return (ids) => (ids === undefined ? null : (ids as unknown[]).map(bare));
  return (value) => value ?? null;
}

function jsonOf(value: unknown): string | null {
  if (value === undefined) return null;
  return value instanceof JsonText ? value.text : (payloadText(value)?.text ?? null);
}

function bare(id: unknown): string {
  return String(id).slice(String(id).lastIndexOf("_") + 1);
}

/** How to read one result column: its TypeScript name, and the turn its value needs, if any. */
export interface Column {
  readonly name: string;
  read(value: unknown): unknown;
}

/**
 * Reads a column by name and type: uuid `run_id` → `run_0190…`; payloads and jsonb → JsonText,
 * unread.
 */
export function column(field: { name: string; dataTypeID: number }): Column {
  return { name: camel(field.name), read: reader(field) };
}

function reader({ name, dataTypeID }: { name: string; dataTypeID: number }): Column["read"] {
  if (PAYLOADS.has(name) || dataTypeID === JSONB)
    return (value) => (value === null ? null : new JsonText(String(value)));
  if (dataTypeID === UUID && name.endsWith("_id")) {
    const noun = name.split("_").at(-2);
    return (value) => (value === null ? null : `${noun}_${String(value)}`);
  }
  if (dataTypeID === UUID_ARRAY && name.endsWith("_ids")) {
    const noun = name.split("_").at(-2);
    return (ids) => (ids as string[]).map((id) => `${noun}_${id}`);
  }
  return (value) => value;
}

const parsers = new Map<number, (text: string) => unknown>([
  [INT8, Number], // epochs, sequences and counts stay far below 2^53
  [JSONB, (text) => text],
  [TIMESTAMPTZ, (text) => new Date(text).toISOString()],
]);

/** The text of a value → JavaScript, for every query of the pool. */
export const types: pg.CustomTypesConfig = {
  getTypeParser: (oid: number) => parsers.get(oid) ?? pg.types.getTypeParser(oid),
};
