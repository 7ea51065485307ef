import { createHash } from "node:crypto";
import { invalid } from "./error.ts";

/*
 * An export is JSON lines: a header; for each table a line that names it and its columns, then its rows,
 * each an array of the values as Postgres writes them (or null); the identity sequences; a trailer with
 * the number of rows and the SHA-256 of everything before it. Two exports of the same data are the same
 * bytes.
 */

/** Names the format in the header. */
export const FORMAT = "tidebase-export";
/** Raised when an older program could not read the export. */
export const FORMAT_VERSION = 1;

/** A migration that was applied, as the header lists it. */
export interface MigrationRecord {
  readonly name: string;
  readonly checksum: string;
}

/** A row of a table, column by column. */
export type Row = readonly (string | null)[];

/** Where an identity sequence stands. */
export interface Sequence {
  readonly sequence: string;
  readonly value: string;
  readonly called: boolean;
}

/** One line of an export, parsed. */
export type Line =
  | { readonly format: string; readonly version: number; readonly migrations: MigrationRecord[] }
  | { readonly table: string; readonly columns: string[] }
  | Sequence
  | { readonly rows: number; readonly sha256: string }
  | Row;

/** Hands lines on as text and keeps count of them, for the trailer. */
export function lineWriter(sink: (text: string) => Promise<void>): {
  write(lines: readonly Line[]): Promise<void>;
  end(rows: number): Promise<{ bytes: number; sha256: string }>;
} {
  const hash = createHash("sha256");
  let bytes = 0;
  async function put(text: string): Promise<void> {
    bytes += Buffer.byteLength(text);
    await sink(text);
  }
  return {
    async write(lines) {
      const text = lines.map((line) => `${JSON.stringify(line)}\n`).join("");
      hash.update(text);
      await put(text);
    },
    async end(rows) {
      const sha256 = hash.digest("hex");
      await put(`${JSON.stringify({ rows, sha256 })}\n`);
      return { bytes, sha256 };
    },
  };
}

/** The lines of an export. Throws `export_invalid` for what is none, was cut short or was changed. */
export async function* readLines(source: AsyncIterable<Uint8Array>): AsyncGenerator<Line, void> {
  const hash = createHash("sha256");
  let number = 0;
  let rows = 0;
  let ended = false;
  for await (const bytes of splitLines(source)) {
    number++;
    if (ended) throw invalid(`line ${number} follows its end`);
    const line = parse(bytes, number);
    if (Array.isArray(line)) rows++;
    if ("sha256" in line) {
      ended = true;
      if (line.rows !== rows) throw invalid(`it names ${line.rows} rows and holds ${rows}`);
      if (line.sha256 !== hash.digest("hex")) throw invalid("its checksum differs");
    } else hash.update(bytes).update("\n");
    yield line;
  }
  if (!ended) throw invalid(number === 0 ? "it is empty" : "its end is missing");
}

function parse(bytes: Uint8Array, number: number): Line {
  try {
    const line: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    if (typeof line === "object" && line !== null) return line as Line;
  } catch (cause) {
    throw invalid(`line ${number} is not JSON`, cause);
  }
  throw invalid(`line ${number} is neither an object nor an array`);
}

/** By the byte 0x0a alone: a row may hold every other character that ends lines elsewhere. */
async function* splitLines(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  let parts: Uint8Array[] = [];
  for await (const chunk of source) {
    let from = 0;
    for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, from)) {
      yield joined([...parts, chunk.subarray(from, at)]);
      parts = [];
      from = at + 1;
    }
    if (from < chunk.length) parts.push(chunk.subarray(from));
  }
  if (parts.length > 0) yield joined(parts);
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const [only, more] = parts;
  if (only !== undefined && more === undefined) return only;
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
