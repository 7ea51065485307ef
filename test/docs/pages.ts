import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The repository, with a slash at its end. */
export const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** A fenced block of a page. */
export interface Block {
  readonly page: string;
  /** Of its opening fence, from 1; its text begins on the next. */
  readonly line: number;
  readonly language: string;
  /** What follows the language: the name of a file, or how the block is meant. */
  readonly word: string;
  readonly text: string;
}

/** A line of a page that stands outside of fenced blocks. */
export interface Line {
  readonly number: number;
  readonly text: string;
}

export interface Page {
  /** From the root of the repository, as in `docs/faq.md`. */
  readonly path: string;
  readonly text: string;
  readonly blocks: readonly Block[];
  /** Its prose: what is outside of fenced blocks. */
  readonly lines: readonly Line[];
}

/** Where a complaint is about: `docs/faq.md:12`. */
export const at = (page: string, line: number): string => `${page}:${line}`;

/** Every page that people and agents read, in the order of their paths. */
export function allPages(): Page[] {
  const paths = [
    "README.md",
    ...markdownIn("docs"),
    ...markdownIn("docs/compare"),
    "mcp-server/README.md",
    ...markdownBelow("skills"),
    ...markdownBelow("examples"),
    ...markdownIn("templates"),
  ];
  return paths.map(readPage);
}

export function readPage(path: string): Page {
  return parsePage(path, readFileSync(join(ROOT, path), "utf8"));
}

/** The page of this text, cut into prose and blocks. Throws when a block does not end. */
export function parsePage(path: string, text: string): Page {
  const blocks: Block[] = [];
  const lines: Line[] = [];
  const all = text.split("\n");
  for (let index = 0; index < all.length; index++) {
    const fence = /^(\s*)(`{3,})\s*(.*?)\s*$/.exec(all[index] ?? "");
    if (fence === null) {
      lines.push({ number: index + 1, text: all[index] ?? "" });
      continue;
    }
    const [, indent = "", ticks = "", info = ""] = fence;
    const closing = all.findIndex((line, n) => n > index && closes(line, ticks));
    if (closing === -1) throw new Error(`${at(path, index + 1)}: this block does not end.`);
    const [language = "", ...words] = info.split(/\s+/);
    const inside = all.slice(index + 1, closing).map((line) => withoutIndent(line, indent));
    const block = { page: path, line: index + 1, language, word: words.join(" ") };
    blocks.push({ ...block, text: inside.map((line) => `${line}\n`).join("") });
    index = closing;
  }
  return { path, text, blocks, lines };
}

function closes(line: string, ticks: string): boolean {
  const found = /^\s*(`{3,})\s*$/.exec(line)?.[1];
  return found !== undefined && found.length >= ticks.length;
}

function withoutIndent(line: string, indent: string): string {
  return line.startsWith(indent) ? line.slice(indent.length) : line.trimStart();
}

function markdownIn(folder: string): string[] {
  return entries(folder)
    .filter((entry) => entry.isFile() && entry.name.endsWith(".md"))
    .map(({ name }) => `${folder}/${name}`)
    .sort();
}

function markdownBelow(folder: string): string[] {
  const below = entries(folder).filter((entry) => entry.isDirectory());
  return [
    ...markdownIn(folder),
    ...below.flatMap(({ name }) => markdownBelow(`${folder}/${name}`)),
  ];
}

function entries(folder: string) {
  try {
    return readdirSync(join(ROOT, folder), { withFileTypes: true });
  } catch {
    return []; // a folder that is not there has no pages
  }
}

/** Pages of docs/ that no test executes, and why. */
const NOT_EXECUTED: Readonly<Record<string, string>> = {
  "docs/cli.md": "generated from the commands, whose examples have placeholders",
  "docs/performance.md": "the benchmark takes minutes",
};

/** The pages that are executed line by line: quickstart and guides, as far as they have something to execute. */
export function executedPages(): Page[] {
  const guides = allPages().filter(
    ({ path }) => /^docs\/[\w-]+\.md$/.test(path) && NOT_EXECUTED[path] === undefined,
  );
  return guides.filter(({ blocks }) => blocks.some(isExecuted));
}

const isExecuted = ({ language, word }: Block): boolean =>
  (language === "sh" && word !== "install") || language === "sql";
