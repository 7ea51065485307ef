import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

/** What the report is made of, as it stands in the repository. */
export interface Sources {
  /** Entries of the changelog that are not released yet, without their Markdown. */
  readonly changes: readonly string[];
  /** Titles of the decisions, oldest first. */
  readonly decisions: readonly string[];
  readonly pages: readonly Page[];
}

interface Page {
  readonly path: string;
  readonly title: string;
  readonly words: number;
}

/** Reads changelog, decisions and documentation of the repository. */
export async function readSources(root: string): Promise<Sources> {
  const adr = join("docs", "adr");
  const decisions = await Promise.all(
    (await markdownIn(root, adr)).map(async (path) => titleOf(await read(root, path))),
  );
  const paths = ["README.md", ...(await markdownIn(root, "docs"))];
  const pages = await Promise.all(
    paths.map(async (path) => {
      const text = await read(root, path);
      return { path: path.replaceAll("\\", "/"), title: titleOf(text), words: wordsOf(text) };
    }),
  );
  return { changes: unreleased(await read(root, "CHANGELOG.md")), decisions, pages };
}

/** The report as it would be sent: the same sources always give the same text. */
export function composeReport(issue: string, { changes, decisions, pages }: Sources): string {
  const words = pages.reduce((sum, page) => sum + page.words, 0);
  return [
    `# Project report ${issue}`,
    `${changes.length} changes wait for a release, ${decisions.length} decisions are on record, and the documentation has ${words} words.`,
    "## What the next release brings",
    ...bullets(changes),
    "## Decisions",
    ...bullets(decisions),
    "## Documentation",
    ...bullets(pages.map(({ path, title, words: n }) => `${title} (${path}, ${n} words)`)),
  ]
    .join("\n\n")
    .replace(/\n\n- /g, "\n- ")
    .concat("\n");
}

function bullets(lines: readonly string[]): string[] {
  return lines.length === 0 ? ["Nothing."] : lines.map((line) => `- ${line}`);
}

/** A list entry goes on in the lines below that are indented. */
function unreleased(changelog: string): string[] {
  const [, section = ""] = changelog.split(/^## \[Unreleased\].*$/m);
  const [newest = ""] = section.split(/^## /m);
  return [...newest.matchAll(/^- (.+(?:\n {2,}.+)*)/gm)].map(([, entry = ""]) =>
    entry.replace(/\s+/g, " ").replace(/[`*]/g, ""),
  );
}

async function markdownIn(root: string, folder: string): Promise<string[]> {
  const names = await readdir(join(root, folder));
  return names
    .filter((name) => name.endsWith(".md"))
    .sort()
    .map((name) => join(folder, name));
}

function read(root: string, path: string): Promise<string> {
  return readFile(join(root, path), "utf8");
}

function titleOf(text: string): string {
  return /^# (.+)$/m.exec(text)?.[1]?.trim() ?? "Untitled";
}

function wordsOf(text: string): number {
  return text.split(/\s+/).filter((word) => /\w/.test(word)).length;
}
