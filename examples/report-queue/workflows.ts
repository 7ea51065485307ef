import type { Tidebase } from "@tidebase/sdk";
import type { Document } from "./documents.ts";
import { type Enqueued, enqueueAll } from "./enqueue-all.ts";
import { type Entry, type FolderInput, folderIndex, indexEntry } from "./folder-index.ts";
import { WORKFLOWS } from "./names.ts";
import { documentReport, type Report } from "./report.ts";
import { newTracedStep } from "./traced-step.ts";

/** Where a worker reads and writes, and what is the matter with it. */
export interface Setup {
  readonly root: string;
  readonly out: string;
  /** How long a step takes at least. */
  readonly paceMs: number;
  /** This version of the code fails on that document. */
  readonly defect: string | undefined;
}

/** Registers the four workflows; the process that does so can work on any of their runs. */
export function registerWorkflows(tide: Tidebase, setup: Setup): void {
  const step = newTracedStep(setup.out, setup.paceMs);
  tide.workflow<Report, Document>(WORKFLOWS.report, documentReport(setup, step));
  tide.workflow<Entry, Document>(WORKFLOWS.entry, indexEntry(setup, step));
  tide.workflow<string, FolderInput>(WORKFLOWS.index, folderIndex(setup, step));
  tide.workflow<Enqueued, { readonly documents: number }>(WORKFLOWS.all, (run) => {
    const effect = { sideEffects: ["queues runs"], idempotencyKey: `${run.runId}:all` };
    return step({ run, path: "." }, "queue them", effect, () =>
      enqueueAll(tide, setup.root, run.input.documents),
    );
  });
}
