import type { Database } from "../database.ts";
import type { Actor, AnyOperation } from "../operation.ts";
import { oneLine } from "../payload.ts";
import * as access from "./sql.ts";

/** What an act was about, by the first of these that it names. */
const TARGETS = ["runId", "gateId", "keyId", "webhookId", "deliveryId", "queue", "name"];

function targetOf(input: unknown): string | undefined {
  if (typeof input !== "object" || input === null) return undefined;
  const ids = TARGETS.map((name): unknown => Reflect.get(input, name));
  const id = ids.find((known) => typeof known === "string");
  return typeof id === "string" ? oneLine(id).slice(0, 100) : undefined; // not yet held against any schema
}

/**
 * The audit trail: every refused or privileged act, by whom and with what outcome (model.md §16). A
 * privileged act is noted before and after, so that a crash in between leaves the attempt.
 */
export async function note(
  db: Database,
  { name }: Pick<AnyOperation, "name">,
  input: unknown,
  actor: Pick<Actor, "name" | "via">,
  outcome: string,
): Promise<void> {
  if (db.readOnly) return;
  const target = targetOf(input);
  await db.one(access.audit, {
    actor: actor.name,
    via: actor.via,
    operation: name,
    target,
    outcome,
  });
}
