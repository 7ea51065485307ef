import { createHash } from "node:crypto";
import { mkdir, rename, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { Run } from "@tidebase/sdk";
import { listSources, type Passage, readPassages } from "./corpus.ts";
import type { Complete } from "./model.ts";
import {
  composeReport,
  draftPrompt,
  type Evidence,
  extractPrompt,
  type Finding,
  parseEvidence,
  parsePlan,
  planPrompt,
} from "./prompts.ts";
import { rank } from "./ranking.ts";

export interface Research {
  readonly question: string;
  /** The repository that is read. */
  readonly root: string;
  /** The report goes into a folder here that has the run's id for a name. */
  readonly out: string;
}

export interface Published {
  readonly report: string;
  readonly claims: number;
  readonly sources: number;
}

/** What the demo watches the agent by; the workflow itself needs none of it. */
export interface Observer {
  begun(step: string): void;
  effect(step: string, idempotencyKey?: string): void;
  returned(step: string): void;
}

export interface Tools {
  readonly complete: Complete;
  readonly observer: Observer;
  /** A step takes about this long, so that a person can follow. */
  readonly paceMs: number;
}

/** Name and key of every step, in the order in which they begin. */
export const STEPS = [
  "survey repository",
  "plan queries",
  "read docs",
  "read source",
  "search:1",
  "search:2",
  "search:3",
  "extract evidence",
  "draft report",
  "check citations",
  "publish report",
  "announce report",
] as const;

/** The steps that change something outside, and so carry an idempotency key. */
export const DECLARED: ReadonlySet<string> = new Set<StepName>([
  "publish report",
  "announce report",
]);

type StepName = (typeof STEPS)[number];
interface Effect {
  readonly sideEffects: readonly string[];
  readonly idempotencyKey: string;
}

const FOUND = 12;
/** Prose answers a question better than a comment does. */
const DOCS_WEIGHT = 1.5;
const KEPT_PASSAGES = 400;

/** Reads the repository, finds what answers the question, and publishes a report that cites it. */
export async function research(run: Run<Research>, tools: Tools): Promise<Published> {
  const { question, root } = run.input;
  const out = join(run.input.out, run.runId);
  const step = stepper(run, tools);

  const files = await step("survey repository", () => listSources(root));
  const queries = await step("plan queries", async (signal) =>
    parsePlan(await tools.complete(planPrompt(question), signal), question),
  );
  await run.state.patch({ phase: "reading", queries });

  const [docs, source] = await Promise.all([
    step("read docs", () => readAll(root, files.filter(isDocs), queries)),
    step("read source", () =>
      readAll(
        root,
        files.filter((path) => !isDocs(path)),
        queries,
      ),
    ),
  ]);
  const findings: Finding[] = [];
  for (const [index, query] of queries.entries())
    findings.push(
      await step(`search:${index + 1}` as StepName, () => search(query, [...docs, ...source])),
    );

  await run.state.patch({ phase: "writing", passages: docs.length + source.length });
  const evidence = await step("extract evidence", (signal) =>
    extract(findings, tools.complete, signal),
  );
  const body = await step("draft report", (signal) =>
    tools.complete(draftPrompt(question, evidence), signal),
  );
  const sources = await step("check citations", () => check(root, body, evidence));

  const report = join(out, "report.md");
  await step("publish report", () => publish(report, composeReport(question, body, evidence)), {
    sideEffects: ["writes report.md"],
    idempotencyKey: `${run.runId}:report`,
  });
  const published = { report, claims: evidence.length, sources };
  await step("announce report", () => announce(join(out, "outbox"), published), {
    sideEffects: ["posts to the outbox"],
    idempotencyKey: `${run.runId}:announcement`,
  });
  await run.state.patch({ phase: "done", report });
  return published;
}

/** `run.step`, with what the demo counts and the pace at which a person can follow. */
function stepper(run: Run<Research>, { observer, paceMs }: Tools) {
  return async function step<Output>(
    id: StepName,
    work: (signal: AbortSignal) => Output | Promise<Output>,
    effect?: Effect,
  ): Promise<Output> {
    const [name = id, key] = id.split(":");
    const options = { ...(key === undefined ? {} : { key }), ...effect };
    const output = await run.step(name, options, async ({ signal }) => {
      observer.begun(id);
      await pause(paceMs / 2, undefined, { signal });
      const worked = await work(signal);
      observer.effect(id, effect?.idempotencyKey);
      await pause(paceMs / 2, undefined, { signal });
      return worked;
    });
    observer.returned(id);
    return output as Output;
  };
}

function isDocs(path: string): boolean {
  return path.endsWith(".md");
}

/** The passages that have anything to do with one of the queries. */
async function readAll(root: string, paths: string[], queries: string[]): Promise<Passage[]> {
  const passages: Passage[] = [];
  for (const path of paths) passages.push(...(await readPassages(root, path)));
  return rank(queries.join(" "), passages, ({ text }) => text)
    .slice(0, KEPT_PASSAGES)
    .map(({ item }) => item);
}

function search(query: string, passages: readonly Passage[]): Finding {
  const ranked = rank(query, passages, ({ text }) => text)
    .map(({ item, score }) => ({ item, score: item.kind === "docs" ? score * DOCS_WEIGHT : score }))
    .sort((one, other) => other.score - one.score);
  return { query, passages: ranked.slice(0, FOUND).map(({ item }) => item) };
}

/** What the findings say, numbered; a sentence counts for the first query that found it. */
async function extract(
  findings: readonly Finding[],
  complete: Complete,
  signal: AbortSignal,
): Promise<Evidence[]> {
  const found: Omit<Evidence, "number">[] = [];
  for (const finding of findings) {
    const answer = await complete(extractPrompt(finding), signal);
    for (const item of parseEvidence(answer, finding))
      if (!found.some(({ sentence }) => sentence === item.sentence)) found.push(item);
  }
  if (found.length === 0) throw new Error("Nothing in the repository answers the question.");
  return found.map((item, index) => ({ number: index + 1, ...item }));
}

/** How many files are cited. Throws when a citation has no evidence, or its words have moved. */
async function check(root: string, body: string, evidence: readonly Evidence[]): Promise<number> {
  const paths = new Set<string>();
  for (const [citation, number] of body.matchAll(/\[(\d+)\]/g)) {
    const item = evidence.find((candidate) => candidate.number === Number(number));
    if (item === undefined) throw new Error(`The draft cites ${citation}, which is no evidence.`);
    const passages = await readPassages(root, item.path);
    if (
      !passages.some(
        ({ firstLine, lastLine }) => firstLine === item.firstLine && lastLine === item.lastLine,
      )
    )
      throw new Error(`${item.path}:${item.firstLine} has changed since it was read.`);
    paths.add(item.path);
  }
  return paths.size;
}

/** Whole or not at all, however often: it may be repeated. */
async function publish(report: string, text: string): Promise<{ bytes: number; sha256: string }> {
  const draft = `${report}.${process.pid}.tmp`;
  await mkdir(dirname(report), { recursive: true });
  await writeFile(draft, text);
  await rename(draft, report);
  const sha256 = createHash("sha256").update(text).digest("hex");
  return { bytes: Buffer.byteLength(text), sha256 };
}

/** An outbox that knows its messages by key, as a mail or payment provider would. */
async function announce(outbox: string, published: Published): Promise<string> {
  await mkdir(outbox, { recursive: true });
  const message = join(outbox, "announcement.json");
  await writeFile(message, `${JSON.stringify(published, null, 2)}\n`);
  return message;
}
