import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

/** A few lines of one file that can be cited. */
export interface Passage {
  /** Relative to the repository, with forward slashes. */
  readonly path: string;
  readonly kind: "docs" | "source";
  /** 1-based, inclusive. */
  readonly firstLine: number;
  readonly lastLine: number;
  readonly text: string;
}

const SKIPPED = new Set([
  "node_modules",
  "dist",
  "test",
  "examples",
  "bench",
  "chaos",
  "tidebase-demo",
]);
const NOT_ABOUT_TIDEBASE = new Set(["CHANGELOG.md", "CONTRIBUTING.md", "LICENSE.md"]);

/** The Markdown and TypeScript files of a repository, sorted, relative to its root. */
export async function listSources(root: string): Promise<string[]> {
  const entries = await readdir(root, { withFileTypes: true, recursive: false });
  const found: string[] = [];
  for (const entry of entries) {
    if (entry.name.startsWith(".") || SKIPPED.has(entry.name)) continue;
    if (entry.isDirectory()) {
      const below = await listSources(join(root, entry.name));
      found.push(...below.map((path) => `${entry.name}/${path}`));
    } else if (/\.(md|ts)$/.test(entry.name) && !isLeftOut(entry.name)) found.push(entry.name);
  }
  return found.sort();
}

function isLeftOut(name: string): boolean {
  return NOT_ABOUT_TIDEBASE.has(name) || /\.(d|gen|test|config)\.ts$/.test(name);
}

/** The paragraphs of a Markdown file, or the commented declarations of a source file. */
export async function readPassages(root: string, path: string): Promise<Passage[]> {
  const lines = (await readFile(join(root, path), "utf8")).split(/\r?\n/);
  return path.endsWith(".md") ? paragraphs(path, lines) : comments(path, lines);
}

function paragraphs(path: string, lines: readonly string[]): Passage[] {
  const found: Passage[] = [];
  let start = 0;
  let fenced = false;
  const close = (end: number): void => {
    const text = lines.slice(start, end).join("\n").trim();
    if (/\w{3}/.test(text) && !/^(#|```|<)/.test(text))
      found.push({ path, kind: "docs", firstLine: start + 1, lastLine: end, text });
    start = end;
  };
  for (const [index, line] of lines.entries()) {
    if (line.startsWith("```")) fenced = !fenced;
    const begins = !fenced && /^(\s*([-*]|\d+\.)\s|#|\||```)/.test(line);
    if (line.trim() === "" && !fenced) {
      close(index);
      start = index + 1;
    } else if (begins) close(index);
  }
  close(lines.length);
  return found;
}

/** Doc comments, each with the first line of what it is about. */
function comments(path: string, lines: readonly string[]): Passage[] {
  const found: Passage[] = [];
  let start = -1;
  for (const [index, line] of lines.entries()) {
    if (/^\s*\/\*\*/.test(line)) start = index;
    if (start < 0 || !line.includes("*/")) continue;
    const text = lines.slice(start, index + 2).join("\n");
    found.push({ path, kind: "source", firstLine: start + 1, lastLine: index + 2, text });
    start = -1;
  }
  return found;
}

/** The sentences of a passage, without its markup. Code and tables have none. */
export function sentencesOf({ kind, text }: Passage): string[] {
  const prose =
    kind === "docs"
      ? text.replace(/^\s*([-*]|\d+\.)\s+/, "").replace(/^\|.*\|$/gm, "")
      : text.replace(/^[\s\S]*?\/\*\*|\*\/[\s\S]*$/g, "").replace(/^\s*\*/gm, "");
  return prose
    .replace(/```[\s\S]*?```/g, "")
    .replace(/\[([^\]]*)\]\([^)]*\)/g, "$1")
    .replace(/\*\*/g, "")
    .replace(/\s+/g, " ")
    .split(/(?<=[.!?])\s+(?=[A-Z`*"])/)
    .map((sentence) => sentence.trim())
    .filter((sentence) => sentence.length >= 40 && sentence.length <= 360);
}
