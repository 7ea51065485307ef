import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { dirname, join, posix } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { Run, StepContext, StepContract, Tidebase } from "@tidebase/sdk";
import { type Analysis, analyse, summarise } from "./analysis.ts";
import { type Document, findDocuments, jobOf, QUEUE } from "./documents.ts";
import { newTrace } from "./trace.ts";

/** Where a worker reads and writes, and what is the matter with it. */
export interface Setup {
  readonly root: string;
  readonly out: string;
  /** How long a step takes at least, so that there is something to interrupt. */
  readonly paceMs: number;
  /** This version of the code fails on that document. */
  readonly defect: string | undefined;
}

/** What is written for each document, and kept as the result of its run. */
export interface Report extends Document, Analysis {
  readonly summary: readonly string[];
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

export const WORKFLOWS = {
  report: "document-report",
  index: "folder-index",
  entry: "index-entry",
  all: "report-all",
} as const;

/** Where the report of a document is, below the output folder. */
export function reportPath(path: string): string {
  return posix.join("reports", `${path}.json`);
}

/** Where the index of a folder is. */
export function indexPath(folder: string): string {
  return posix.join("indexes", `${folder}.md`);
}

/** Registers the four workflows; the process that does so can work on any of their runs. */
export function registerWorkflows(tide: Tidebase, setup: Setup): void {
  const trace = newTrace(setup.out);

  /** A step that leaves a trace of every call. */
  function step<Output>(
    { run, path }: { readonly run: Run<unknown>; readonly path: string },
    name: string,
    contract: StepContract,
    work: (context: StepContext) => Output | Promise<Output>,
  ): Promise<Output> {
    return run.step(name, contract, async (context) => {
      const line = { step: name, path, attempt: context.attempt };
      trace({ ...line, at: "begun" });
      try {
        await pause(setup.paceMs);
        const output = await work(context);
        trace({ ...line, at: "done" });
        return output;
      } catch (error) {
        trace({ ...line, at: "threw" });
        throw error;
      }
    });
  }

  tide.workflow<Report, Document>(WORKFLOWS.report, async (run) => {
    const { path } = run.input;
    const of = { run, path };
    const text = await step(of, "read", { sideEffects: ["read"] }, () =>
      readFile(join(setup.root, path), "utf8"),
    );
    const analysis = await step(of, "analyse", {}, () => {
      if (path === setup.defect) throw new Error(`A defect of this version: ${path}.`);
      return analyse(path, text);
    });
    const retry = { maxAttempts: 3, minMs: 100 };
    const summary = await step(of, "summarise", { retry }, ({ attempt }) => {
      if (attempt === 1 && isRefusedAtFirst(path)) throw new Error("429 Too Many Requests");
      return summarise(path, text);
    });
    const report: Report = { path, sha256: hash(text), ...analysis, summary };
    // Written whole and under one name: who repeats it, repeats nothing.
    const effect = { sideEffects: ["writes the report"], idempotencyKey: `${run.runId}:report` };
    await step(of, "write report", effect, () =>
      write(join(setup.out, reportPath(path)), `${JSON.stringify(report, null, 2)}\n`),
    );
    return report;
  });

  tide.workflow<Entry, Document>(WORKFLOWS.entry, async (run) => {
    const { path } = run.input;
    return step({ run, path }, "check links", { sideEffects: ["read"] }, async () => {
      const text = await readFile(join(setup.out, reportPath(path)), "utf8");
      const { title, words, summary, links } = JSON.parse(text) as Report;
      const broken = links.filter((link) => isBroken(setup.root, path, link));
      return { path, title, words, summary: summary[0] ?? "", broken };
    });
  });

  tide.workflow<string, FolderInput>(WORKFLOWS.index, async (run) => {
    const { folder, documents } = run.input;
    // This run is suspended meanwhile: it holds no worker's place while its children wait for one.
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
  });

  tide.workflow<Enqueued, { readonly documents: number }>(WORKFLOWS.all, async (run) => {
    const effect = { sideEffects: ["queues runs"], idempotencyKey: `${run.runId}:all` };
    return step({ run, path: "." }, "queue them", effect, () =>
      enqueueAll(tide, setup.root, run.input.documents),
    );
  });
}

/** What the index of a folder is made of. */
export interface FolderInput {
  readonly folder: string;
  readonly documents: readonly Document[];
}

/** How many runs there are new, and how many were there before. */
export interface Enqueued {
  readonly created: number;
  readonly existing: number;
  /** A run of an older content is still active: the next night finds the newer. */
  readonly deduplicated: number;
}

/** A run for each document that has none yet for its content. Throws when a key has another's content. */
export async function enqueueAll(tide: Tidebase, root: string, count: number): Promise<Enqueued> {
  const documents = await findDocuments(root, count);
  const results = await tide.enqueueMany<Document>(WORKFLOWS.report, documents.map(jobOf));
  const refused = results.find(({ outcome }) => REFUSED.has(outcome));
  if (refused !== undefined) throw new Error(`A run was not queued: ${refused.outcome}.`);
  const number = (outcome: string) => results.filter((one) => one.outcome === outcome).length;
  return {
    created: number("created"),
    existing: number("existing"),
    deduplicated: number("deduplicated"),
  };
}

const REFUSED = new Set(["idempotency_conflict", "input_refused"]);

/** Every seventh document or so, always the same: a stand-in for a service that limits its callers. */
function isRefusedAtFirst(path: string): boolean {
  return Number.parseInt(hash(path).slice(0, 4), 16) % 7 === 0;
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
    return `- **${title}** (${path}, ${n} words). ${summary}${bad}`;
  });
  return `# Index of ${folder}\n\n${entries.length} documents, ${words} words.\n\n${lines.join("\n")}\n`;
}

async function write(path: string, text: string): Promise<void> {
  const draft = `${path}.${process.pid}.tmp`;
  await mkdir(dirname(path), { recursive: true });
  await writeFile(draft, text);
  await rename(draft, path);
}

function hash(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
