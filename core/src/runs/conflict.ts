import type { Database } from "../database.ts";
import { differences } from "./identity.ts";
import * as runs from "./sql.ts";

/** What a creation without a queue, webhooks or a schedule says of them. */
const NOTHING = {
  queue: null,
  dedupeKey: null,
  concurrencyKey: null,
  webhooks: [],
  schedule: null,
};

/** The names of what is not the same in a creation and in the run that its key or id belongs to. */
export async function conflictWith(
  db: Database,
  runId: string,
  sent: Readonly<Record<string, unknown>>,
): Promise<string[]> {
  const { scheduleId, ...kept } = await db.one(runs.body, { runId });
  return differences({ ...NOTHING, ...sent }, { ...kept, runId, schedule: scheduleId });
}
