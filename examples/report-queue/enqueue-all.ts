import type { Tidebase } from "@tidebase/sdk";
import { type Document, findDocuments, jobOf } from "./documents.ts";
import { WORKFLOWS } from "./names.ts";

/** How many runs there are new, and how many were there before. */
export interface Enqueued {
  readonly created: number;
  readonly existing: number;
  /** A run of an older content is still active: the next night finds the newer. */
  readonly deduplicated: number;
}

const REFUSED = new Set(["idempotency_conflict", "input_refused"]);

/** A run for each document that has none yet for its content. Throws when one was refused. */
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
