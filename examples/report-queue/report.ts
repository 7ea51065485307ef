import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Workflow } from "@tidebase/sdk";
import { type Analysis, analyse, summarise } from "./analysis.ts";
import type { Document } from "./documents.ts";
import { reportPath, sha256, write } from "./files.ts";
import type { TracedStep } from "./traced-step.ts";
import type { Setup } from "./workflows.ts";

/** What is written for each document, and kept as the result of its run. */
export interface Report extends Document, Analysis {
  readonly summary: readonly string[];
}

/** Reads a document, analyses and summarises it, and writes its report: a step each. */
export function documentReport(setup: Setup, step: TracedStep): Workflow<Document, Report> {
  return async (run) => {
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
    const report: Report = { path, sha256: sha256(text), ...analysis, summary };
    const effect = { sideEffects: ["writes the report"], idempotencyKey: `${run.runId}:report` };
    await step(of, "write report", effect, () =>
      write(join(setup.out, reportPath(path)), `${JSON.stringify(report, null, 2)}\n`),
    );
    return report;
  };
}

/** Every seventh document or so, always the same: a stand-in for a service that limits its callers. */
function isRefusedAtFirst(path: string): boolean {
  return Number.parseInt(sha256(path).slice(0, 4), 16) % 7 === 0;
}
