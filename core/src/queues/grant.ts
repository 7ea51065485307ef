import type { z } from "zod";
import type { Database } from "../database.ts";
import { isAway } from "../failure.ts";
import { JsonText } from "../json-text.ts";
import * as leases from "../leases/sql.ts";
import { readJournal } from "../steps/journal.ts";
import type { Grant } from "./schema.ts";
import type * as queues from "./sql.ts";

type Claimed = NonNullable<
  NonNullable<(typeof queues.claim)["types"]> extends (input: never) => infer Row ? Row : never
>;

const NOTHING = new JsonText("[]");

/**
 * What the claimed begin with. One that cannot be read is left out, if others can: its lease lapses, as that of a
 * lost worker does.
 */
export async function grantsOf(
  db: Database,
  claimed: readonly Claimed[],
): Promise<z.output<typeof Grant>[]> {
  const read = await Promise.allSettled(claimed.map((row) => grantOf(db, row)));
  const failures = read.flatMap((one) => (one.status === "rejected" ? [one.reason] : []));
  const away = failures.find(isAway);
  if (away !== undefined) throw away;
  if (failures.length > 0 && failures.length === claimed.length) throw failures[0];
  return read.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
}

/**
 * What a worker begins with. A run without steps has no journal; of others it is read after the grant:
 * by then nobody else can add to it.
 */
async function grantOf(
  db: Database,
  { stepCount, ...claimed }: Claimed,
): Promise<z.output<typeof Grant>> {
  if (stepCount === 0)
    return { ...claimed, journal: NOTHING, afterName: null, afterKey: null, unfinished: NOTHING };
  const { runId } = claimed;
  const { unfinished } = await db.one(leases.payloadsAndUnfinished, { runId });
  const page = await readJournal(db, { runId, afterName: "", afterKey: "" });
  if (page === undefined) throw new Error(`${runId} is claimed, and gone`);
  const { erased: _, ...shown } = page;
  return { ...claimed, ...shown, unfinished };
}
