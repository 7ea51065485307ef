import type { Database } from "../database.ts";
import { payloadText } from "../json-text.ts";
import * as runs from "../runs/sql.ts";
import { at, mergePatch } from "./rules.ts";
import * as state from "./sql.ts";

interface Document {
  readonly stream: string;
  /** 0 when nothing was ever written. */
  readonly version: number;
  readonly latest: number;
  readonly found: boolean;
  readonly value: unknown;
  readonly createdAt: string | null;
}

/**
 * The document at a version: the nearest whole one before it with the patches since folded in. When
 * those outweigh it, the folded document is kept for the next reader (model.md §6).
 */
export async function readDocument(
  db: Database,
  which: {
    runId: string;
    stream: string;
    version?: number | undefined;
    path?: string | undefined;
  },
): Promise<Document | "run_not_found" | "version_not_found"> {
  const { runId, stream, version, path = "" } = which;
  const rows = await db.many(state.history, { runId, stream, version });
  const last = rows.at(-1);
  if (last === undefined) {
    if ((await db.maybe(runs.exists, { runId })) === undefined) return "run_not_found";
    if (version !== undefined) return "version_not_found";
    return { stream, version: 0, latest: 0, found: false, value: null, createdAt: null };
  }
  let value: unknown;
  let patchBytes = 0;
  for (const { whole, body } of rows) {
    const part: unknown = JSON.parse(body.text);
    value = whole ? part : mergePatch(value, part);
    if (!whole) patchBytes += body.bytes;
  }
  const body = payloadText(value ?? null);
  if (!db.readOnly && rows.length > 8 && patchBytes > body.bytes)
    await db.maybe(state.keepKeyframe, { runId, stream, version: last.version, body });
  const { latest, createdAt } = last;
  return { stream, version: last.version, latest, createdAt, ...at(value ?? null, path) };
}
