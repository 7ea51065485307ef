import type { z } from "zod";
import type { Database } from "../database.ts";
import { JsonText } from "../json-text.ts";
import * as leases from "../leases/sql.ts";
import * as steps from "../steps/sql.ts";
import type { Grant } from "./schema.ts";
import type * as queues from "./sql.ts";

type Claimed = NonNullable<
  NonNullable<(typeof queues.claim)["types"]> extends (input: never) => infer Row ? Row : never
>;

const NOTHING = new JsonText("[]");

/**
 * What a worker begins with. A run without steps has no journal; of others it is read after the grant:
 * by then nobody else can add to it.
 */
export async function grantOf(
  db: Database,
  { stepCount, ...claimed }: Claimed,
): Promise<z.output<typeof Grant>> {
  if (stepCount === 0)
    return { ...claimed, journal: NOTHING, afterName: null, afterKey: null, unfinished: NOTHING };
  const { runId } = claimed;
  const { unfinished } = await db.one(leases.payloadsAndUnfinished, { runId });
  const page = await db.one(steps.journal, { runId, afterName: "", afterKey: "" });
  return { ...claimed, ...page, unfinished };
}
