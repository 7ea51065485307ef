import { escapeHidden, visibleLine } from "@tidebase/core";

const COLOURS = { red: 31, green: 32, yellow: 33, cyan: 36, dim: 2, bold: 1 } as const;

export type Paint = (colour: keyof typeof COLOURS, text: string) => string;

/** Colours text, or leaves it alone. */
export function painter(colour: boolean): Paint {
  return (name, text) => (colour ? `\u001b[${COLOURS[name]}m${text}\u001b[0m` : text);
}

/** One visible line of what a run or a person wrote. */
export function plain(text: string): string {
  return visibleLine(text);
}

/** The same JSON value, with nothing in its text that a terminal obeys. */
export function plainJson(json: string): string {
  return escapeHidden(json, (character) =>
    [...Array(character.length).keys()]
      .map((n) => `\\u${character.charCodeAt(n).toString(16).padStart(4, "0")}`)
      .join(""),
  );
}

/** An indented JSON document; nothing a terminal obeys but our own line ends. */
export function plainDocument(value: unknown): string {
  return JSON.stringify(value, null, 2).split("\n").map(plainJson).join("\n");
}

/** A cell is text, or text and the colour it is shown in. */
export type Cell = string | readonly [colour: keyof typeof COLOURS, text: string];

/** Columns as wide as their widest cell. */
export function table(
  paint: Paint,
  head: readonly string[],
  rows: readonly (readonly Cell[])[],
): string {
  const all: Cell[][] = [head.map((title) => ["dim", title] as const), ...rows.map((r) => [...r])];
  const widths = head.map((_, n) => Math.max(...all.map((row) => length(textOf(row[n] ?? "")))));
  return all
    .map((row) =>
      row
        .map((cell, n) => {
          const text = textOf(cell);
          const gap = n === row.length - 1 ? "" : " ".repeat((widths[n] ?? 0) - length(text) + 2);
          return (typeof cell === "string" ? text : paint(cell[0], text)) + gap;
        })
        .join(""),
    )
    .map((line) => `${line.trimEnd()}\n`)
    .join("");
}

/** A title and a value on each line; those without a value are left out. */
export function facts(
  paint: Paint,
  entries: readonly (readonly [title: string, value: string | undefined])[],
): string {
  const shown = entries.filter(([, value]) => value !== undefined);
  const width = Math.max(...shown.map(([title]) => title.length));
  return shown.map(([title, value]) => `${paint("dim", title.padEnd(width))}  ${value}\n`).join("");
}

function textOf(cell: Cell): string {
  return plain(typeof cell === "string" ? cell : cell[1]);
}

function length(text: string): number {
  return [...text].length;
}

/** The beginning of a long text. */
export function clipped(text: string, most: number): string {
  const characters = [...text];
  return characters.length <= most ? text : `${characters.slice(0, most - 1).join("")}…`;
}

/** An instant to the second. */
export function seconds(instant: string | null): string {
  return instant === null ? "" : `${instant.slice(0, 19)}Z`;
}

/** `12.3 MB`. */
export function size(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  const units = ["kB", "MB", "GB", "TB"];
  const power = Math.min(units.length, Math.floor(Math.log10(bytes) / 3));
  return `${(bytes / 1000 ** power).toFixed(1)} ${units[power - 1]}`;
}

/** `1 row`, `2 rows`. */
export function count(n: number, noun: string, nouns = `${noun}s`): string {
  return `${n} ${n === 1 ? noun : nouns}`;
}

/** A command as a shell takes it, on one visible line. */
export function shellLine(command: readonly string[], cwd?: string): string {
  const line = command.map(shellWord).join(" ");
  return cwd === undefined ? line : `cd ${shellWord(cwd)} && ${line}`;
}

/** A command of ours, to be copied: as the documentation writes it. */
export function tidebaseLine(command: readonly string[]): string {
  return shellLine(["npx", "tidebase", ...command]);
}

function shellWord(word: string): string {
  const visible = plain(word);
  return /^[\w@%+=:,./-]+$/.test(visible) ? visible : `'${visible.replaceAll("'", "'\\''")}'`;
}
