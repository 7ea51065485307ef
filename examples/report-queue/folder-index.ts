import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join, posix } from "node:path";
import type { Workflow } from "@tidebase/sdk";
import type { Document } from "./documents.ts";
import { indexPath, reportPath, write } from "./files.ts";
import { QUEUE, WORKFLOWS } from "./names.ts";
import type { Report } from "./report.ts";
import type { TracedStep } from "./traced-step.ts";
import type { Setup } from "./workflows.ts";

/** What the index of a folder is made of. */
export interface FolderInput {
  readonly folder: string;
  readonly documents: readonly Document[];
}

/** One line of a folder's index. */
export interface Entry {
  readonly path: string;
  readonly title: string;
  readonly words: number;
  readonly summary: string;
  /** Relative links that lead nowhere. */
  readonly broken: readonly string[];
}

/** A child: reads one report and checks the links of its document. */
export function indexEntry(setup: Setup, step: TracedStep): Workflow<Document, Entry> {
  return (run) => {
    const { path } = run.input;
    return step({ run, path }, "check links", { sideEffects: ["read"] }, async () => {
      const text = await readFile(join(setup.out, reportPath(path)), "utf8");
      const { title, words, summary, links } = JSON.parse(text) as Report;
      const broken = links.filter((link) => isBroken(setup.root, path, link));
      return { path, title, words, summary: summary[0] ?? "", broken };
    });
  };
}

/** The parent: a child for each document, and their entries as one file, whose path it gives. */
export function folderIndex(setup: Setup, step: TracedStep): Workflow<FolderInput, string> {
  return async (run) => {
    const { folder, documents } = run.input;
    // This run is suspended meanwhile: it takes no worker's place from its children.
    const entries = await run.fanout<Entry, Document>(
      "entry",
      documents.map((input) => ({ workflow: WORKFLOWS.entry, key: input.path, input })),
      { queue: QUEUE, maxConcurrency: 4, tags: ["index"] },
    );
    const file = indexPath(folder);
    const effect = { sideEffects: ["writes the index"], idempotencyKey: `${run.runId}:index` };
    await step({ run, path: folder }, "write index", effect, () =>
      write(join(setup.out, file), indexOf(folder, entries)),
    );
    return file;
  };
}

function isBroken(root: string, path: string, link: string): boolean {
  const [target = ""] = link.split("#");
  if (target === "" || !/^\.{0,2}[\w./-]+$/.test(target) || !path.endsWith(".md")) return false;
  return !existsSync(join(root, posix.join(posix.dirname(path), target)));
}

function indexOf(folder: string, entries: readonly Entry[]): string {
  const words = entries.reduce((sum, entry) => sum + entry.words, 0);
  const lines = entries.map(({ path, title, words: n, summary, broken }) => {
    const bad = broken.length === 0 ? "" : ` **Broken links:** ${broken.join(", ")}.`;
    return `- **${title}** (${path}, ${n} words). ${summary}`.trimEnd() + bad;
  });
  return `# Index of ${folder}\n\n${entries.length} documents, ${words} words.\n\n${lines.join("\n")}\n`;
}
