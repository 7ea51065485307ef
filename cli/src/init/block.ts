import { createHash } from "node:crypto";

/** What the block looks like; counts up when the marks themselves change. */
const VERSION = 1;
/** Said by the mark where the text had no line end of its own before the block. */
const JOINED = " no-line-end";
const BEGIN = /^<!-- tidebase:begin v(\d{1,6}) ([0-9a-f]{12})( no-line-end)? -->[ \t]*$/;
const ANY_BEGIN = /^<!-- tidebase:begin\b.*-->[ \t]*$/;
const END = /^<!-- tidebase:end -->[ \t]*$/;

/** Our block in a text. All positions count from the beginning of the text. */
interface Found {
  readonly kind: "found";
  /** Of the first character of the mark that begins it. */
  readonly start: number;
  /** Behind the mark that ends it, its line end included. */
  readonly end: number;
  /** What stands between the marks, with `\n` for line ends. */
  readonly content: string;
  readonly eol: "\n" | "\r\n";
  readonly version: number;
  /** Somebody changed what is between the marks. */
  readonly edited: boolean;
  /** The line end before the block is ours, and ends the last line of a text that had none. */
  readonly joined: boolean;
}

/** What a text holds of our block. */
export type Reading =
  | { readonly kind: "none" }
  | { readonly kind: "broken"; readonly why: string }
  | Found;

/** Looks for the marks: each alone on a line, the one that begins before the one that ends. */
export function readBlock(text: string): Reading {
  const marks = [...linesOf(text)].filter(({ line }) => ANY_BEGIN.test(line) || END.test(line));
  const [first, second, third] = marks;
  if (first === undefined) return { kind: "none" };
  if (third !== undefined) return broken(`there are ${marks.length} marks of the block`, marks);
  if (END.test(first.line)) return broken("the block ends before it begins", marks);
  if (second === undefined) return broken("the block begins and never ends", marks);
  if (!END.test(second.line)) return broken("the block begins twice", marks);
  const [, version, hash, joined] = BEGIN.exec(first.line) ?? [];
  if (version === undefined) return broken("the mark that begins the block was changed", marks);
  const content = unix(text.slice(first.next, second.start));
  return {
    kind: "found",
    start: first.start,
    end: second.next,
    content,
    eol: text.slice(first.start, first.next).endsWith("\r\n") ? "\r\n" : "\n",
    version: Number(version),
    edited: hashOf(content) !== hash,
    joined: joined !== undefined,
  };
}

/** Whether the block was written by a program that knows more than this one. */
export function isNewer({ version }: Found): boolean {
  return version > VERSION;
}

/** Whether the block says this. */
export function saysBlock(found: Found, content: string): boolean {
  return !found.edited && found.version === VERSION && found.content === content;
}

/** The block alone, as a new file holds it. */
export function blockOf(content: string, eol = "\n", joined = false): string {
  const begin = `<!-- tidebase:begin v${VERSION} ${hashOf(content)}${joined ? JOINED : ""} -->`;
  return `${begin}\n${content}<!-- tidebase:end -->\n`.replaceAll("\n", eol);
}

/**
 * The text with the block behind everything else, set apart by one line end that goes with it; or in the
 * place of the one that is there. The text around it stays as it is, byte for byte.
 */
export function withBlock(text: string, reading: Reading, content: string): string {
  if (reading.kind === "found") {
    const block = blockOf(content, reading.eol, reading.joined);
    const last = reading.end === text.length && !text.endsWith("\n");
    return (
      text.slice(0, reading.start) + (last ? block.trimEnd() : block) + text.slice(reading.end)
    );
  }
  const eol = /^[^\n]*\r\n/.test(text) ? "\r\n" : "\n";
  return text + eol + blockOf(content, eol, !/(^|\n)$/.test(text));
}

/**
 * The text without the block and, where it stood last, without the line end that set it apart: an empty
 * line, unless the mark says that it ended the user's last one.
 */
export function withoutBlock(text: string, { start, end, eol, joined }: Found): string {
  const [before, behind] = [text.slice(0, start), text.slice(end)];
  if (behind !== "" || !before.endsWith(eol)) return before + behind;
  const own = before.slice(0, before.length - eol.length);
  return joined || /(^|\n)$/.test(own) ? own : before;
}

interface Line {
  readonly line: string;
  readonly start: number;
  /** Where the next one begins. */
  readonly next: number;
}

function* linesOf(text: string): Generator<Line> {
  for (let start = text.startsWith("\uFEFF") ? 1 : 0; start < text.length; ) {
    const at = text.indexOf("\n", start);
    const next = at === -1 ? text.length : at + 1;
    yield { line: text.slice(start, next).replace(/\r?\n$|\r$/, ""), start, next };
    start = next;
  }
}

function broken(why: string, marks: readonly Line[]): Reading {
  return { kind: "broken", why: `${why} (${marks.map(({ line }) => line.trim()).join(", ")})` };
}

function unix(text: string): string {
  return text.replaceAll("\r\n", "\n");
}

/** Short: it tells an edit, and is no protection. */
function hashOf(content: string): string {
  return createHash("sha256").update(content).digest("hex").slice(0, 12);
}
